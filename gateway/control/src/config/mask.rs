//! Secrets that somebody has written into a configuration, taken out of what is shown and put back into
//! what is sent.
//!
//! A secret that stands in the file itself is shown as a mark, `${kept:…}`. The mark is a keyed digest, so
//! that it tells nothing but whether two secrets are the same; a text with marks can be sent back, and
//! whoever changes a configuration need not know its secrets.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use aho_corasick::{AhoCorasick, MatchKind};
use sha2::{Digest, Sha256};
use tollgate_proxy::KeyRing;

use super::{
    document::{Part, shown},
    tree::{Node, Value},
};

/// Fields whose text is a secret, wherever they stand. One too many hides what need not be hidden.
const SECRET_FIELDS: [&str; 10] = [
    "credential",
    "value",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "client_secret",
    "secret",
    "sha256",
    "token",
    "url",
];
/// Headers whose values are secrets have one of these in their names.
const SECRET_HEADERS: [&str; 6] = ["auth", "key", "token", "secret", "cookie", "password"];
/// How a mark begins.
const MARK: &str = "${kept:";
/// What stands for one while it is looked at.
const PLAIN_MARK: &str = "the-mark-of-a-secret-";
/// From this length on, a secret is hidden wherever it stands in the file, comments included.
const TELLING: usize = 8;

/// Hides and finds secrets of one gateway.
pub struct Masks {
    ring: KeyRing,
}

impl Masks {
    /// Marks that are made with this pepper.
    #[must_use]
    pub fn new(pepper: [u8; 32]) -> Self {
        Self { ring: KeyRing::new(pepper) }
    }

    /// The files as they may be shown.
    #[must_use]
    pub fn hide(&self, parts: &[Part]) -> Vec<Part> {
        let hide = |part: &Part| Part { path: part.path.clone(), text: self.hidden(part) };
        parts.iter().map(hide).collect()
    }

    /// A text with the secrets of these files in place of their marks. A mark of no secret of theirs stays,
    /// and no configuration takes it; so do all marks of a text that has one where no secret belongs, since
    /// a name can be echoed.
    #[must_use]
    pub fn put_back(&self, text: &str, parts: &[Part]) -> String {
        if !text.contains(MARK) || !marks_stand_for_secrets(text) {
            return text.to_owned();
        }
        let literals = parts.iter().filter_map(literals).flatten();
        let known: HashMap<String, String> =
            literals.flat_map(|literal| literal.lines()).map(|line| (self.mark(&line), line)).collect();
        let mut whole = String::with_capacity(text.len());
        for (index, part) in text.split(MARK).enumerate() {
            let mark = part.split_once('}').filter(|_| index > 0);
            match mark.and_then(|(digest, rest)| Some((known.get(&format!("{MARK}{digest}}}"))?, rest))) {
                Some((secret, rest)) => whole.extend([secret.as_str(), rest]),
                None if index > 0 => whole.extend([MARK, part]),
                None => whole.push_str(part),
            }
        }
        whole
    }

    fn hidden(&self, part: &Part) -> String {
        let Some(mut literals) = literals(part) else {
            // What was in force could be read; better nothing than a secret.
            return "# not shown: this file cannot be read\n".to_owned();
        };
        // The longest first: one secret may be a part of another.
        literals.sort_by_key(|literal| std::cmp::Reverse(literal.text.len()));
        let mut lines: Vec<String> = part.text.split('\n').map(str::to_owned).collect();
        let everywhere = Everywhere::of(&literals);
        let known = everywhere.hide(&mut lines, |secret| self.mark(secret));
        for literal in literals {
            let place = literal.line;
            let mut found = false;
            for secret in literal.lines() {
                found |= known.contains(&secret);
                // A short one is hidden in its line only: elsewhere it may be any word.
                if let Some(line) = lines.get_mut(place).filter(|line| line.contains(&secret)) {
                    *line = line.replace(&secret, &self.mark(&secret));
                    found = true;
                }
            }
            // Written with escapes, so that it does not look like what it says.
            if !found && let Some(line) = lines.get_mut(place) {
                let kept = line.split_once(':').map_or("", |(field, _)| field);
                *line = format!("{kept}: ${{hidden}}");
            }
        }
        lines.join("\n")
    }

    fn mark(&self, secret: &str) -> String {
        let digest = self.ring.digest(&Sha256::digest(secret).into()).to_bytes();
        format!("${{kept:{}}}", hex::encode(&digest[..6]))
    }
}

/// Secrets that are hidden wherever they stand. All are looked for at once: a large organisation has
/// thousands of them in a file of thousands of lines.
struct Everywhere {
    secrets: Vec<String>,
    search: Option<AhoCorasick>,
}

impl Everywhere {
    fn of(literals: &[Literal]) -> Self {
        let lines = literals.iter().flat_map(|literal| {
            let telling = literal.text.len() >= TELLING;
            literal.lines().into_iter().filter(move |secret| telling || secret.len() >= TELLING)
        });
        let secrets: Vec<String> = lines.collect::<HashSet<_>>().into_iter().collect();
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&secrets).ok();
        Self { secrets, search }
    }

    /// Hides them, and gives those that were found.
    fn hide(&self, lines: &mut [String], mark: impl Fn(&str) -> String) -> HashSet<&String> {
        let mut found = HashSet::new();
        let Some(search) = &self.search else { return self.hide_one_by_one(lines, mark) };
        for line in lines {
            let mut shown = String::new();
            let mut past = 0;
            for hit in search.find_iter(line.as_str()) {
                let Some(secret) = self.secrets.get(hit.pattern().as_usize()) else { continue };
                shown.push_str(&line[past..hit.start()]);
                shown.push_str(&mark(secret));
                past = hit.end();
                found.insert(secret);
            }
            if past > 0 {
                shown.push_str(&line[past..]);
                *line = shown;
            }
        }
        found
    }

    /// Slowly, where so many make no one search.
    fn hide_one_by_one(&self, lines: &mut [String], mark: impl Fn(&str) -> String) -> HashSet<&String> {
        let mut longest_first: Vec<&String> = self.secrets.iter().collect();
        longest_first.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut found = HashSet::new();
        for secret in longest_first {
            for line in lines.iter_mut().filter(|line| line.contains(secret)) {
                *line = line.replace(secret, &mark(secret));
                found.insert(secret);
            }
        }
        found
    }
}

/// A secret that stands in a file.
struct Literal {
    text: String,
    /// The line where it begins, from 0.
    line: usize,
}

impl Literal {
    /// A long one, such as a certificate's key, is written over several lines.
    fn lines(&self) -> Vec<String> {
        let lines = self.text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }
}

/// The secrets that stand in a file; `None` when it cannot be read.
fn literals(part: &Part) -> Option<Vec<Literal>> {
    let file: Arc<str> = shown(&part.path);
    let tree = Node::parse(&file, &part.text).ok()?;
    let mut found = Vec::new();
    visit(&tree, Place::Open, &mut |node, text, place| {
        let line = usize::try_from(node.place.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let secret = match place {
            Place::Secret => Some(text).filter(|text| !is_reference(text) && !text.is_empty()),
            _ => password(text),
        };
        found.extend(secret.map(|text| Literal { text: text.to_owned(), line }));
    });
    Some(found)
}

/// True when every mark of a text stands where a secret belongs.
fn marks_stand_for_secrets(text: &str) -> bool {
    // The braces of a mark mean something where its secret stood without quotes.
    let mut plain = String::with_capacity(text.len());
    for (index, part) in text.split(MARK).enumerate() {
        if index > 0 {
            plain.push_str(PLAIN_MARK);
        }
        match part.split_once('}').filter(|_| index > 0) {
            Some((digest, rest)) => plain.extend([digest, rest]),
            None => plain.push_str(part),
        }
    }
    let Ok(tree) = Node::parse(&Arc::from("a text"), &plain) else { return false };
    let mut all = true;
    visit(&tree, Place::Open, &mut |_, text, place| {
        all &= matches!(place, Place::Secret) || !outside_a_password(text).contains(PLAIN_MARK);
    });
    all
}

/// Where the walk is.
#[derive(Clone, Copy)]
enum Place {
    /// Where texts are no secrets.
    Open,
    /// Below a field of secrets.
    Secret,
    /// Among headers.
    Headers,
    /// Below `otlp`.
    Otlp,
    /// Among the headers there, whose values are secrets whatever their names.
    SecretHeaders,
}

/// Shows every text below a node, with where it stands. A field's name is a text in the open.
fn visit(node: &Node, place: Place, see: &mut impl FnMut(&Node, &str, Place)) {
    match &node.value {
        Value::Text(text) => see(node, &text.text, place),
        Value::List(items) => items.iter().for_each(|item| visit(item, place, see)),
        Value::Map(entries) => {
            for (key, value) in entries {
                let name = key.name.to_ascii_lowercase();
                let is_header = || SECRET_HEADERS.iter().any(|part| name.contains(part));
                let below = match place {
                    Place::Headers if is_header() => Place::Secret,
                    Place::Headers => Place::Open,
                    Place::Otlp if name == "headers" => Place::SecretHeaders,
                    Place::SecretHeaders => Place::Secret,
                    _ if name == "otlp" => Place::Otlp,
                    _ if name == "headers" => Place::Headers,
                    // A credential in parts: its parts say which of them are secrets.
                    _ if matches!(value.value, Value::Map(_)) => Place::Open,
                    _ if SECRET_FIELDS.contains(&name.as_str()) => Place::Secret,
                    _ => Place::Open,
                };
                see(value, &key.name, Place::Open);
                visit(value, below, see);
            }
        }
        _ => {}
    }
}

/// A text without the password of the URL that it is: a mark may stand for that.
fn outside_a_password(text: &str) -> String {
    let outside = |password: &str| {
        let (before, after) = text.split_once("://").unwrap_or_default();
        format!("{before}{}", after.replacen(password, "", 1))
    };
    password(text).filter(|password| !password.is_empty()).map_or_else(|| text.to_owned(), outside)
}

/// True for a text that is one reference and nothing else; a default in it may be a secret.
fn is_reference(text: &str) -> bool {
    let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| !inside.contains(['{', '}']) && !inside.contains(":-"))
}

/// The password of a URL that has one in it.
fn password(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let (user, _) = rest.split_once('@').filter(|(user, _)| !user.contains('/'))?;
    user.split_once(':').map(|(_, password)| password).filter(|password| !is_reference(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# the old key was sk-live-0123456789
admin:
  tokens:
    - { name: ops, role: admin, token: "token-of-ops-12345" }
    - { name: eyes, role: viewer, token: "${env:EYES}" }
upstreams:
  - name: one
    credential: sk-live-0123456789
    base_url: https://me:pass-word@host.example/v1
    headers: { x-api-key: "header-secret-1", x-region: east }
  - name: two
    credential: { type: aws, access_key_id: "${env:ID}", secret_access_key: 'abc' }
  - name: three
    credential: "tab\tinside"
  - name: abc
    credential: "${env:KEY:-fallback-secret}"
telemetry:
  otlp: { endpoint: "http://c:4318", headers: { x-our-team: "header-secret-2" } }
ledger:
  url: postgres://tollgate:hunter22@db/ledger
teams:
  - { name: retail, projects: [ { name: search, keys: [ { name: prod, sha256: "00ff00ff00ff" } ] } ] }
"#;

    fn part(text: &str) -> Part {
        Part { path: "main.yaml".into(), text: text.to_owned() }
    }

    fn hidden(text: &str) -> String {
        Masks::new([3; 32]).hide(&[part(text)]).remove(0).text
    }

    #[test]
    fn no_secret_is_shown_wherever_it_stands_and_however_it_is_written() {
        let shown = hidden(TEXT);
        for secret in [
            "sk-live",
            "token-of-ops",
            "pass-word",
            "header-secret",
            "'abc'",
            "tab",
            "fallback",
            "hunter22",
            "00ff",
        ] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        for plain in ["${env:EYES}", "${env:ID}", "name: abc", "x-region: east", "host.example/v1"] {
            assert!(shown.contains(plain), "{plain}: {shown}");
        }
        assert_eq!(shown.lines().count(), TEXT.lines().count());
        let other = Masks::new([4; 32]).hide(&[part(TEXT)]).remove(0).text;
        assert_ne!(other, shown, "a mark tells nothing to who has not the pepper");
    }

    #[test]
    fn what_was_shown_can_be_sent_back() {
        let text = TEXT.replace("    credential: \"tab\\tinside\"\n", "");
        let masks = Masks::new([3; 32]);
        let edited = hidden(&text).replace("name: retail", "name: wholesale");
        let back = masks.put_back(&edited, &[part(&text)]);
        assert_eq!(back, text.replace("name: retail", "name: wholesale"));
        let foreign = "token: ${kept:0123456789ab}";
        assert_eq!(masks.put_back(foreign, &[part(&text)]), foreign);
    }

    #[test]
    fn a_mark_where_no_secret_belongs_brings_no_secret_there() {
        let masks = Masks::new([3; 32]);
        let parts = [part("token: a-secret-of-the-file\n")];
        let mark = masks.hide(&parts).remove(0).text.replace("token: ", "").trim().to_owned();
        assert_eq!(masks.put_back(&format!("token: {mark}\n"), &parts), "token: a-secret-of-the-file\n");
        let flow = format!("keys: [{{ name: x, secret: {mark} }}]\n");
        assert!(masks.put_back(&flow, &parts).contains("secret: a-secret-of-the-file }]"));
        for text in [
            format!("token: {mark}\nregion: {mark}\n"),
            format!("\"{mark}\": 1\n"),
            format!("[ {mark}"),
            format!("base_url: https://{mark}@host.example/v1\n"),
            format!("base_url: https://me:{mark}@{mark}.example/v1\n"),
            format!("base_url: https://host.example/me:{mark}@v1\n"),
        ] {
            assert_eq!(masks.put_back(&text, &parts), text);
        }
    }

    #[test]
    fn a_secret_over_several_lines_is_hidden_whole() {
        let text =
            "upstreams:\n  - credential: |\n      first-line-of-it\n      second-line-of-it\n    name: x\n";
        let shown = hidden(text);
        assert!(!shown.contains("line-of-it") && shown.contains("name: x"), "{shown}");
        assert_eq!(Masks::new([3; 32]).put_back(&shown, &[part(text)]), text);
    }

    #[test]
    fn what_cannot_be_read_is_not_shown() {
        assert!(!hidden("token: 'abc\n  - [").contains("abc"));
    }
}
