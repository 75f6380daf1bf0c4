//! The statement: what a team is charged for a month, sealed by its hash.
//!
//! A statement holds the hash of the team's statement before it, so that none can be changed, left out
//! or put in without breaking the chain. It lies in the store and, with the same bytes, in a file; either
//! gives back the other.

mod canonical;
mod folder;
mod gather;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tollgate_domain::Money;

pub use folder::FolderError;
pub(crate) use folder::{CLOSE, Folder, Papers, STATEMENT};
pub(crate) use gather::{Gathered, gather};

/// What a team is charged for a month.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Statement {
    /// Its name: `2026-11.retail`.
    pub id: String,
    /// The month.
    pub month: String,
    /// The team.
    pub team: String,
    /// The first instant, RFC 3339.
    pub from: String,
    /// The first instant after it.
    pub until: String,
    /// The zone that the month is of.
    pub time_zone: String,
    /// When the month was closed.
    pub closed_at: String,
    /// What made it.
    pub software: String,
    /// The rows that it sums.
    #[serde(flatten)]
    pub rows: RowRange,
    /// What is charged, line by line; the last line of a currency is its rounding.
    pub lines: Vec<Line>,
    /// What is charged in all, in each currency.
    pub totals: Vec<Total>,
    /// The hash of the team's statement before this one.
    pub previous: Option<String>,
    /// SHA-256 of the canonical JSON of all the rest.
    pub hash: String,
}

/// Which rows a paper is about.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RowRange {
    /// How many.
    pub rows: u64,
    /// Those of them that were refused, and cost nothing.
    pub refusals: u64,
    /// The ledger's number of the first.
    pub first_seq: Option<u64>,
    /// The ledger's number of the last.
    pub last_seq: Option<u64>,
    /// The price entries that were applied.
    pub price_ids: Vec<String>,
}

/// One line of a statement.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Line {
    /// `usage`, `probe`, `fixed`, `adjustment`, or `rounding`.
    pub kind: String,
    /// The project.
    pub project: Option<String>,
    /// The model, as clients call it.
    pub model: Option<String>,
    /// What was counted; none where the amount is of no quantity.
    pub meter: Option<String>,
    /// In what it was counted.
    pub unit: Option<String>,
    /// How much. What a correction takes back counts against it.
    pub quantity: Option<i64>,
    /// What it costs, exactly; none where the model had no price.
    pub cost: Option<Money>,
    /// The currency.
    pub currency: String,
}

/// What is charged in one currency.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Total {
    /// The currency.
    pub currency: String,
    /// The sum of the rows, to the last place.
    pub exact: Money,
    /// The sum in whole minor units: that of all lines.
    pub amount: Money,
}

/// A paper that is sealed by the hash of all but its hash.
pub(crate) trait Sealed: Serialize + DeserializeOwned {
    /// Its name among those of its kind.
    fn name(&self) -> &str;
    fn hash(&self) -> &str;
    fn set_hash(&mut self, hash: String);
}

impl Sealed for Statement {
    fn name(&self) -> &str {
        &self.id
    }

    fn hash(&self) -> &str {
        &self.hash
    }

    fn set_hash(&mut self, hash: String) {
        self.hash = hash;
    }
}

/// Seals a paper.
pub(crate) fn seal<T: Sealed>(mut paper: T) -> T {
    let hash = hash_of(to_value(&paper));
    paper.set_hash(hash);
    paper
}

/// The paper as it is kept.
pub(crate) fn text_of<T: Sealed>(paper: &T) -> String {
    canonical::text(&to_value(paper))
}

/// Reads a paper that was kept, and checks that it is what was sealed.
///
/// # Errors
/// What is wrong with it, if a single byte is not as it was written.
pub(crate) fn open<T: Sealed>(text: &str) -> Result<T, String> {
    // The text itself is checked, not what this version would write: later ones may say more.
    let unreadable = |error: serde_json::Error| format!("cannot be read: {error}");
    let value: Value = serde_json::from_str(text).map_err(unreadable)?;
    if canonical::text(&value) != text {
        return Err("is not as it was written".to_owned());
    }
    let hash = hash_of(value.clone());
    let paper: T = serde_json::from_value(value).map_err(unreadable)?;
    if hash != paper.hash() {
        return Err(format!("has the hash {hash}, and says that it is {}", paper.hash()));
    }
    Ok(paper)
}

/// SHA-256 of the canonical form of all but the hash.
fn hash_of(mut paper: Value) -> String {
    if let Some(members) = paper.as_object_mut() {
        members.remove("hash");
    }
    hex::encode(Sha256::digest(canonical::text(&paper)))
}

fn to_value<T: Serialize>(paper: &T) -> Value {
    serde_json::to_value(paper).expect("texts and whole numbers are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        seal(Statement {
            id: "2026-11.retail".to_owned(),
            month: "2026-11".to_owned(),
            team: "retail".to_owned(),
            from: "2026-11-01T00:00:00.000Z".to_owned(),
            until: "2026-12-01T00:00:00.000Z".to_owned(),
            time_zone: "UTC".to_owned(),
            closed_at: "2026-12-03T00:00:00.000Z".to_owned(),
            software: "tollgate".to_owned(),
            rows: RowRange { rows: 3, price_ids: vec!["a\"é\u{1}".to_owned()], ..RowRange::default() },
            lines: Vec::new(),
            totals: Vec::new(),
            previous: None,
            hash: String::new(),
        })
    }

    #[test]
    fn a_statement_is_read_back_and_every_changed_byte_is_found() {
        let text = text_of(&statement());
        assert_eq!(open::<Statement>(&text), Ok(statement()));
        let bytes = text.as_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            let found = String::from_utf8(changed).map_or(true, |text| open::<Statement>(&text).is_err());
            assert!(found, "byte {at} of {text}");
        }
        for other in
            [format!("{text} "), text.replace("\"rows\":3", "\"rows\": 3"), text.replace("3,", "3,\"x\":1,")]
        {
            assert!(open::<Statement>(&other).is_err(), "{other}");
        }
    }

    #[test]
    fn the_hash_is_that_of_the_canonical_rest() {
        let text = text_of(&statement());
        assert!(
            text.starts_with(r#"{"closed_at":"2026-12-03T00:00:00.000Z","first_seq":null,"from":"#),
            "{text}"
        );
        let rest = text.replace(&format!(",\"hash\":\"{}\"", statement().hash), "");
        let rest = rest.replace(&format!("\"hash\":\"{}\",", statement().hash), "");
        assert_eq!(hex::encode(Sha256::digest(&rest)), statement().hash);
    }
}
