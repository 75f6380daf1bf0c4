//! A report as evidence: its content in one canonical form, and the hash of that.

use std::{collections::BTreeMap, fmt::Write};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A drill's paper: sealed when it is over.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What is told. Of numbers, only whole ones.
    pub content: Value,
    /// SHA-256 of the content's canonical form, in hexadecimal; `None` while the drill runs.
    pub sha256: Option<String>,
}

/// Why a paper proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Flaw {
    /// Nothing was sealed.
    #[error("the report of drill {0} is not sealed: the drill is not over")]
    Open(String),
    /// The content is not what was sealed.
    #[error("the report of drill {0} is not what was sealed: its content has another hash")]
    Changed(String),
    /// The report before it is another one, or is gone.
    #[error("the report of drill {0} follows a report that is not there")]
    Unchained(String),
}

impl Evidence {
    /// Not sealed yet.
    #[must_use]
    pub const fn open(content: Value) -> Self {
        Self { content, sha256: None }
    }

    /// Sealed now.
    #[must_use]
    pub fn seal(content: Value) -> Self {
        let sha256 = Some(hash(&content));
        Self { content, sha256 }
    }

    /// True until it is sealed.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.sha256.is_none()
    }

    /// Looks whether the content is what was sealed.
    ///
    /// # Errors
    /// It is not, or nothing was sealed.
    pub fn verify(&self) -> Result<(), Flaw> {
        let id = || self.content["id"].as_str().unwrap_or("without an id").to_owned();
        match &self.sha256 {
            None => Err(Flaw::Open(id())),
            Some(sealed) if *sealed == hash(&self.content) => Ok(()),
            Some(_) => Err(Flaw::Changed(id())),
        }
    }

    /// As the API and the file have it.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({ "content": self.content, "sha256": self.sha256 })
    }
}

fn hash(content: &Value) -> String {
    let mut text = String::new();
    write_canonical(content, &mut text);
    hex::encode(Sha256::digest(text))
}

/// Members in the order of their names' bytes, nothing between the parts, strings as `serde_json` writes
/// them (RFC 8785 for content without fractions).
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            out.push('{');
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            for (place, (name, value)) in members.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                let _ = write!(out, "{}:", Value::from(name.as_str()));
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_content_in_whatever_order_it_is_written() {
        let (one, other) = (json!({ "id": "1", "b": [1, "x"] }), json!({ "b": [1, "x"], "id": "1" }));
        let sealed = Evidence::seal(one);
        let canonical = Sha256::digest(r#"{"b":[1,"x"],"id":"1"}"#);
        assert_eq!(sealed.sha256, Some(hex::encode(canonical)));
        let moved = Evidence { content: other, ..sealed.clone() };
        assert_eq!(moved.verify(), Ok(()));
        let changed = Evidence { content: json!({ "id": "1", "b": [2, "x"] }), ..sealed.clone() };
        assert_eq!(changed.verify(), Err(Flaw::Changed("1".into())));
        assert_eq!(Evidence::open(sealed.content).verify(), Err(Flaw::Open("1".into())));
    }
}
