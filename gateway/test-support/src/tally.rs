//! Compares the ledger with what the simulated providers say they served.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, ensure};
use serde_json::Value;
use tollgate_simulator::{Book, Call, Operation, Usage};

use crate::admin::Admin;

/// The ledger's rows of kind `usage`, read once, and the comparisons that they must pass.
#[derive(Debug)]
pub struct LedgerTally {
    rows: Vec<Value>,
}

impl LedgerTally {
    /// Reads all rows.
    ///
    /// # Errors
    /// The admin API does not give them.
    pub async fn read(admin: &Admin) -> Result<Self> {
        Ok(Self { rows: admin.requests("").await? })
    }

    /// Without the rows of upstreams whose answers are written out by a test: the book of such a provider
    /// does not know what they say.
    #[must_use]
    pub fn without_upstreams(mut self, prefix: &str) -> Self {
        self.rows.retain(|row| !text(row, "upstream").starts_with(prefix));
        self
    }

    /// The rows, newest first.
    pub fn rows(&self) -> &[Value] {
        &self.rows
    }

    /// Every answer that a provider sent whole, usage told, has exactly one row with exactly that
    /// usage; and no completed row claims an answer that no provider sent.
    ///
    /// # Errors
    /// All differences, one a line.
    pub fn agrees_with(&self, books: &[&Book]) -> Result<()> {
        let calls = calls_of(books);
        let mut differences = self.doubles();
        let by_answer = self.by_answer();
        for call in calls.values().filter(|call| call.usage_told && is_billed(call)) {
            match by_answer.get(call.request_id.as_str()).map(Vec::as_slice) {
                Some([row]) => differences.extend(difference(row, call)),
                found => differences.push(format!(
                    "{} rows for the answer {} ({:?})",
                    found.map_or(0, <[_]>::len),
                    call.request_id,
                    call.operation
                )),
            }
        }
        for row in
            self.rows.iter().filter(|row| row["end"] == "completed" && row["usage_source"] == "reported")
        {
            if !calls.contains_key(text(row, "upstream_request_id")) {
                differences.push(format!("row {} claims an answer that no provider sent", text(row, "id")));
            }
        }
        told(&differences)
    }

    /// Each of these requests, whose answers a client has received whole, has exactly one row,
    /// completed, with the usage that the provider told.
    ///
    /// # Errors
    /// All differences, one a line.
    pub fn has_received<'a>(&self, ids: impl IntoIterator<Item = &'a str>, books: &[&Book]) -> Result<()> {
        let calls = calls_of(books);
        let mut rows: HashMap<&str, Vec<&Value>> = HashMap::new();
        for row in &self.rows {
            rows.entry(text(row, "id")).or_default().push(row);
        }
        let mut differences = Vec::new();
        for id in ids {
            match rows.get(id).map(Vec::as_slice) {
                Some([row]) if row["end"] == "completed" => {
                    match calls.get(text(row, "upstream_request_id")) {
                        Some(call) => differences.extend(difference(row, call)),
                        None => differences.push(format!("row {id} names no provider's answer: {row}")),
                    }
                }
                Some([row]) => differences.push(format!("row {id} of a whole answer ends {}", row["end"])),
                found => differences.push(format!("{} rows for request {id}", found.map_or(0, <[_]>::len))),
            }
        }
        told(&differences)
    }

    /// Ids that several rows share.
    fn doubles(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &self.rows {
            *counts.entry(text(row, "id")).or_default() += 1;
        }
        counts
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .map(|(id, count)| format!("{count} rows for request {id}"))
            .collect()
    }

    fn by_answer(&self) -> HashMap<&str, Vec<&Value>> {
        let mut rows: HashMap<&str, Vec<&Value>> = HashMap::new();
        for row in &self.rows {
            rows.entry(text(row, "upstream_request_id")).or_default().push(row);
        }
        rows
    }
}

fn calls_of(books: &[&Book]) -> HashMap<String, Call> {
    books.iter().flat_map(|book| book.calls()).map(|call| (call.request_id.clone(), call)).collect()
}

fn is_billed(call: &Call) -> bool {
    matches!(
        call.operation,
        Operation::Chat | Operation::Responses | Operation::Embeddings | Operation::Messages
    )
}

fn difference(row: &Value, call: &Call) -> Option<String> {
    let count = |name: &str| row[name].as_u64().unwrap_or_default();
    let counted = Usage {
        input_tokens: count("input_tokens"),
        cached_input_tokens: count("cached_input_tokens"),
        cache_write_tokens: count("cache_write_tokens"),
        output_tokens: count("output_tokens"),
        reasoning_tokens: count("reasoning_tokens"),
    };
    (counted != call.usage)
        .then(|| format!("row {} counts {counted:?}, the provider told {:?}", text(row, "id"), call.usage))
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

fn told(differences: &[String]) -> Result<()> {
    ensure!(differences.is_empty(), "the ledger differs:\n{}", differences.join("\n"));
    Ok(())
}
