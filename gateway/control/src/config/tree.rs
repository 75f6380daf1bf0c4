//! The text of a file as a tree of values, each with its place.
//!
//! serde-saphyr reads the YAML (its limits against alias bombs and its refusal of duplicate keys
//! hold); what comes out keeps every position, so that a reference that leads nowhere is reported
//! as precisely as a missing bracket. Trees hold secrets and therefore have no `Debug`.

use std::{fmt, sync::Arc};

use serde::de::{self, MapAccess, SeqAccess};
use serde_saphyr::{Location, Spanned};

use super::problem::{Path, Place, Problem, Step};

/// Deepest nesting that is read. The format needs ten levels; reading takes stack for each.
const MAX_DEPTH: usize = 20;
/// Events that aliases may replay in all: templates for some hundred projects.
const MAX_REPLAYED: usize = 100_000;

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    /// A number with a fraction or an exponent, as it was written: no float touches a price.
    Decimal(String),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
    /// Was refused already: skipped, so that the next problem can be found.
    Refused,
}

/// A text, and whether a reference such as `${env:NAME}` made it.
#[derive(Clone)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) expanded: bool,
}

/// The name of a field and where it stands.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

impl Node {
    /// Reads the one YAML document of a file.
    pub(crate) fn parse(file: &Arc<str>, source: &str) -> Result<Self, Problem> {
        // YAML 1.2: `no` is a country, not a boolean.
        let options = serde_saphyr::options! {
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            with_snippet: false,
            budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
            alias_limits: serde_saphyr::alias_limits! {
                max_total_replayed_events: MAX_REPLAYED,
                max_replay_stack_depth: MAX_DEPTH,
            },
        };
        let parsed: Result<Spanned<Raw>, _> = serde_saphyr::from_str_with_options(source, options);
        match parsed {
            Ok(raw) => Ok(raw_to_node(raw, file, source)),
            Err(error) => Err(syntax_problem(&error, file, source)),
        }
    }

    /// The value at a path, if the whole path exists.
    pub(crate) fn find(&self, path: &Path) -> Option<&Node> {
        path.steps().iter().try_fold(self, Node::step)
    }

    /// The place of the value at a path, or of the nearest value above it that exists.
    pub(crate) fn place_of(&self, path: &Path) -> &Place {
        let mut node = self;
        for step in path.steps() {
            match node.step(step) {
                Some(next) => node = next,
                None => break,
            }
        }
        &node.place
    }

    /// Takes the value at a path out of the tree; false when it is the root or is not there.
    pub(crate) fn remove(&mut self, path: &Path) -> bool {
        let Some((last, way)) = path.steps().split_last() else { return false };
        let mut node = self;
        for step in way {
            let next = match (step, &mut node.value) {
                (Step::Field(name), Value::Map(entries)) => {
                    entries.iter_mut().find(|(key, _)| key.name == **name).map(|(_, value)| value)
                }
                (Step::Index(index), Value::List(items)) => items.get_mut(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return false,
            }
        }
        match (last, &mut node.value) {
            (Step::Field(name), Value::Map(entries)) => {
                let before = entries.len();
                entries.retain(|(key, _)| key.name != **name);
                entries.len() < before
            }
            // Nothing is taken out of a list, so that the paths of its other items stay right.
            (Step::Index(index), Value::List(items)) if *index < items.len() => {
                let gone = !matches!(items[*index].value, Value::Refused);
                items[*index].value = Value::Refused;
                gone
            }
            _ => false,
        }
    }

    fn step(&self, step: &Step) -> Option<&Node> {
        match (step, &self.value) {
            (Step::Field(name), Value::Map(entries)) => {
                entries.iter().find(|(key, _)| key.name == **name).map(|(_, value)| value)
            }
            (Step::Index(index), Value::List(items)) => items.get(*index),
            _ => None,
        }
    }

    /// What kind of value this is, in words for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null | Value::Refused => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Decimal(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a group of fields",
        }
    }
}

fn syntax_problem(error: &serde_saphyr::Error, file: &Arc<str>, source: &str) -> Problem {
    let place = error.location().map(|location| place_at(location, file));
    let mut message = error.without_snippet().render_with_formatter(&serde_saphyr::UserMessageFormatter);
    // The place stands before every message; the library's own mention of it is left out.
    if let Some(cut) = message.find(" at line ") {
        message.truncate(cut);
    }
    let message = message.lines().next().unwrap_or("this is no YAML").trim_end_matches('.');
    let is_block_in_brackets = IN_BRACKETS.iter().any(|fault| message.contains(fault));
    if is_block_in_brackets
        && let Some((bracket, line, column)) = place.as_ref().and_then(|place| open_bracket(source, place))
    {
        let message = format!(
            "{message}: the `{bracket}` of line {line}, column {column} is still open here; close it"
        );
        return Problem::at(place, message);
    }
    match ADVICE.iter().find(|(fault, _)| message.contains(fault)) {
        Some((_, advice)) => Problem::at(place, format!("{message}: {advice}")),
        None => Problem::at(place, message),
    }
}

/// What the parser says where brackets are open, and lines go on as if they were not.
const IN_BRACKETS: [&str; 2] = ["illegal placement of ':'", "only valid inside a block"];

/// The innermost bracket that is open at a place, if an earlier line has opened it.
fn open_bracket(source: &str, place: &Place) -> Option<(char, usize, usize)> {
    let mut open = Vec::new();
    let mut quote = None;
    for (number, line) in (1..place.line as usize).zip(source.lines()) {
        let mut before = ' ';
        for (column, letter) in (1..).zip(line.chars()) {
            match (quote, letter) {
                (Some(mark), _) if mark == letter => quote = None,
                (Some(_), _) => {}
                (None, '#') if before.is_whitespace() => break,
                // An apostrophe in a plain text is no quote.
                (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(letter),
                (None, '[' | '{') => open.push((letter, number, column)),
                (None, ']' | '}') => drop(open.pop()),
                _ => {}
            }
            before = letter;
        }
    }
    open.pop()
}

/// What helps against what the parser says. It speaks of its grammar; people want to know what to type.
const ADVICE: [(&str, &str); 19] = [
    ("tabs disallowed", "indent with spaces"),
    ("unclosed quote", "close it, or take it out"),
    ("invalid trailing content", "close the quote before it, or write a quote in a text twice, or otherwise"),
    ("only valid inside a block", "close the bracket before it"),
    ("unclosed bracket", "close it with `]` or `}`"),
    ("misplaced bracket", "there is one too many here, or one too few before"),
    ("illegal placement of ':'", "close the bracket before it, or put a text that has `: ` in it in quotes"),
    ("mapping values are not allowed", "put a text that has `: ` in it in quotes"),
    ("duplicate mapping key", "give it once"),
    ("reference to unknown value", "define it before as &NAME, or put a text that begins with `*` in quotes"),
    ("Recursive reference", "a value cannot hold itself"),
    ("unexpected character", "put the text in quotes"),
    ("unknown escape character", "write `\\\\` for a backslash, or use single quotes"),
    ("simple key expected ':'", "write a field as `name: value`"),
    ("only single YAML document", "take out the `---`, or use `include` for more files"),
    ("block sequence entries are not allowed", "begin the list on a line of its own, or put it in brackets"),
    ("block scalar", "begin the text on the next line"),
    ("did not find expected '-'", "indent alike what belongs together"),
    ("did not find expected", "indent alike what belongs together"),
];

fn place_at(location: Location, file: &Arc<str>) -> Place {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).max(1);
    Place { file: Arc::clone(file), line: number(location.line()), column: number(location.column()) }
}

/// What serde-saphyr gives before the source text is at hand again.
enum Raw {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn raw_to_node(raw: Spanned<Raw>, file: &Arc<str>, source: &str) -> Node {
    let place = place_at(raw.defined, file);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(flag) => Value::Bool(flag),
        Raw::Int(number) => Value::Int(number),
        Raw::Float(number) => Value::Decimal(written(raw.defined, source, number)),
        Raw::Text(text) => Value::Text(Text { text, expanded: false }),
        Raw::List(items) => {
            Value::List(items.into_iter().map(|item| raw_to_node(item, file, source)).collect())
        }
        Raw::Map(entries) => {
            let entry = |(key, value): (Spanned<String>, _)| {
                let place = place_at(key.defined, file);
                (Key { place, name: key.value }, raw_to_node(value, file, source))
            };
            Value::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { place, value }
}

/// The number as the file has it.
fn written(location: Location, source: &str, number: f64) -> String {
    let span = location.span();
    let range = span.byte_offset().zip(span.byte_len()).and_then(|(start, length)| {
        let start = usize::try_from(start).ok()?;
        source.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    });
    range.map_or_else(|| number.to_string(), |text| text.trim().to_owned())
}

impl<'de> de::Deserialize<'de> for Raw {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> de::Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_newtype_struct<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Int(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Int(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Raw, E> {
        Ok(Raw::Int(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
