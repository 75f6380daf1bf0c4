//! From a tree to typed values, with every problem at its place.
//!
//! A refused value is taken out and reading starts again, so one run reports all of them. Values
//! never appear in messages: a secret may stand where something else was expected.

use std::{cell::RefCell, fmt};

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::{
    problem::{Path, Place, Problem, Severity, Step, nearest},
    tree::{Key, Node, Value},
};

/// Reads a typed value. The tree comes back without what was refused.
///
/// # Errors
/// Everything that does not fit the type: unknown fields, missing ones, values of another kind.
pub(super) fn read<T: DeserializeOwned>(tree: &mut Node) -> Result<T, Vec<Problem>> {
    let mut problems: Vec<Problem> = Vec::new();
    let mut refused: Vec<Path> = Vec::new();
    // Each turn refuses one value, and a document has finitely many; the bound is for people.
    for _ in 0..100 {
        let unknown = RefCell::new(Vec::new());
        let outcome = T::deserialize(Reader { node: tree, unknown: &unknown, path: Path::default() });
        for problem in unknown.into_inner() {
            if !problems.iter().any(|known| known.path == problem.path) {
                problems.push(problem);
            }
        }
        let fault = match outcome {
            Ok(value) if problems.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(fault) => fault,
        };
        let at = fault.path.clone();
        // A required field that was itself refused is no news.
        // Nor is one that was written otherwise.
        let follows = fault.missing.is_some_and(|name| {
            let meant =
                |known: &Problem| known.suggestion.as_deref() == Some(name) && known.path.is_field_of(&at);
            refused.contains(&at.field(name)) || problems.iter().any(meant)
        });
        if !follows {
            problems.push(fault.into_problem(tree));
        }
        if !tree.remove(&at) {
            break;
        }
        refused.push(at);
    }
    problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.line, place.column)));
    Err(problems)
}

/// Reads one node.
struct Reader<'a> {
    node: &'a Node,
    unknown: &'a RefCell<Vec<Problem>>,
    path: Path,
}

/// Why a node does not fit.
#[derive(Debug)]
struct Fault {
    message: String,
    suggestion: Option<String>,
    path: Path,
    /// Where, when it is not where the value at `path` stands: an unknown field.
    place: Option<Place>,
    /// The field that is not there.
    missing: Option<&'static str>,
    /// Set on the way up as soon as a value has claimed the fault.
    claimed: bool,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        let (message, path) = (message.into(), Path::default());
        Self { message, suggestion: None, path, place: None, missing: None, claimed: false }
    }

    fn into_problem(self, tree: &Node) -> Problem {
        let place = self.place.unwrap_or_else(|| tree.place_of(&self.path).clone());
        let (path, message, suggestion) = (self.path, self.message, self.suggestion);
        Problem { severity: Severity::Error, place: Some(place), path, message, suggestion }
    }

    /// The value that the fault happened in gives it its path.
    fn claim(mut self, reader_path: &Path) -> Self {
        if !self.claimed {
            self.claimed = true;
            self.path = reader_path.clone();
        }
        self
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let names = expected.iter().copied();
        Self {
            suggestion: nearest(variant, names),
            ..Self::new(format!("must be one of: {}", expected.join(", ")))
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let suggestion = nearest(field, expected.iter().copied());
        let choice = match suggestion {
            Some(_) => String::new(),
            None => format!(": there are {}", expected.join(", ")),
        };
        Self { suggestion, ..Self::new(format!("there is no field `{field}` here{choice}")) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("the field `{field}` is missing")) }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("the field `{field}` is given twice"))
    }
}

impl Reader<'_> {
    fn mismatch(&self, expected: &str) -> Fault {
        let found = self.node.kind();
        let advice = match (&self.node.value, expected) {
            (Value::Int(_) | Value::Decimal(_) | Value::Bool(_), "a text") => ": put it in quotes",
            (Value::Text(text), "a whole number") if text.text.parse::<u64>().is_ok() => {
                ": leave out its quotes"
            }
            (Value::Text(_) | Value::Int(_), "a list") => ": put it in brackets, as in [a, b]",
            (Value::Text(_), "a group of fields") => ": write fields with their values, as in { a: 1, b: 2 }",
            _ => "",
        };
        Fault::new(format!("expected {expected}, found {found}{advice}")).claim(&self.path)
    }

    fn whole(&self, most: u64) -> Result<u64, Fault> {
        let number = match &self.node.value {
            Value::Int(number) => Some(*number),
            Value::Text(text) if text.expanded => text.text.trim().parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.mismatch("a whole number"))?;
        u64::try_from(number)
            .ok()
            .filter(|number| *number <= most)
            .ok_or_else(|| Fault::new(format!("expected a whole number from 0 to {most}")).claim(&self.path))
    }

    fn text(&self) -> Result<&str, Fault> {
        match &self.node.value {
            Value::Text(text) => Ok(&text.text),
            _ => Err(self.mismatch("a text")),
        }
    }

    fn map<'de, V: Visitor<'de>>(
        self,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Value::Map(entries) = &self.node.value else { return Err(self.mismatch("a group of fields")) };
        let fields =
            Fields { entries: entries.iter(), value: None, known, unknown: self.unknown, path: &self.path };
        visitor.visit_map(fields).map_err(|fault| fault.claim(&self.path))
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Value::List(items) = &self.node.value else { return Err(self.mismatch("a list")) };
        let items = Items { items: items.iter().enumerate(), unknown: self.unknown, path: &self.path };
        visitor.visit_seq(items).map_err(|fault| fault.claim(&self.path))
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let path = self.path.clone();
        match &self.node.value {
            Value::Null | Value::Refused => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Int(number) => match u64::try_from(*number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_i128(*number),
            },
            // As it was written: who reads decimals reads their text, never a float.
            Value::Decimal(text) => visitor.visit_str(text),
            Value::Text(text) => visitor.visit_str(&text.text),
            Value::List(_) => return self.list(visitor),
            Value::Map(_) => return self.map(None, visitor),
        }
        .map_err(|fault: Fault| fault.claim(&path))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Text(text) if text.expanded && matches!(text.text.as_str(), "true" | "false") => {
                visitor.visit_bool(text.text == "true")
            }
            _ => Err(self.mismatch("true or false")),
        }
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u64(self.whole(u16::MAX.into())?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u64(self.whole(u32::MAX.into())?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u64(self.whole(u64::MAX)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.text()?).map_err(|fault: Fault| fault.claim(&self.path))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.list(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.map(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.map(Some(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let name: de::value::StrDeserializer<'_, Fault> = self.text()?.into_deserializer();
        visitor.visit_enum(name).map_err(|fault| fault.claim(&self.path))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    unknown: &'a RefCell<Vec<Problem>>,
    path: &'a Path,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        for (index, node) in self.items.by_ref() {
            if !matches!(node.value, Value::Refused) {
                let path = self.path.then(Step::Index(index));
                let reader = Reader { node, unknown: self.unknown, path: path.clone() };
                return seed.deserialize(reader).map(Some).map_err(|fault| fault.claim(&path));
            }
        }
        Ok(None)
    }
}

struct Fields<'a> {
    entries: std::slice::Iter<'a, (Key, Node)>,
    value: Option<(&'a Key, &'a Node)>,
    /// The fields of a struct; `None` for a map whose keys are free.
    known: Option<&'static [&'static str]>,
    unknown: &'a RefCell<Vec<Problem>>,
    path: &'a Path,
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        for (key, node) in self.entries.by_ref() {
            if let Some(known) = self.known.filter(|known| !known.contains(&key.name.as_str())) {
                let fault = <Fault as de::Error>::unknown_field(&key.name, known);
                let path = self.path.field(&key.name);
                let suggestion = fault.suggestion;
                let at = Problem::at(Some(key.place.clone()), fault.message);
                self.unknown.borrow_mut().push(Problem { path, suggestion, ..at });
                continue;
            }
            self.value = Some((key, node));
            let name: de::value::StrDeserializer<'_, Fault> = key.name.as_str().into_deserializer();
            let at_key = |fault: Fault| Fault {
                place: Some(key.place.clone()),
                ..fault.claim(&self.path.field(&key.name))
            };
            return seed.deserialize(name).map(Some).map_err(at_key);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.value.take().expect("serde asks for a value after its key");
        let path = self.path.field(&key.name);
        let reader = Reader { node, unknown: self.unknown, path: path.clone() };
        seed.deserialize(reader).map_err(|fault| fault.claim(&path))
    }
}
