//! A client of the admin API.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::client::{Caller, Reply};

/// A row may take a second to show; a busy machine gets more.
const ROW_LIMIT: Duration = Duration::from_secs(15);

/// Talks to one admin listener with one token.
#[derive(Clone, Debug)]
pub struct Admin {
    caller: Caller,
}

impl Admin {
    /// A client of the admin API at `base` (scheme and authority).
    pub fn new(base: impl Into<String>, token: impl Into<String>) -> Self {
        Self { caller: Caller::new(base, token) }
    }

    /// `GET` below `/api/v1`, which must answer 200.
    ///
    /// # Errors
    /// No answer, or another status; the error holds the body.
    pub async fn get(&self, path: &str) -> Result<Value> {
        expect_ok(path, self.caller.get(&format!("/api/v1{path}")).await?)
    }

    /// `POST` below `/api/v1`, which must answer 2xx.
    ///
    /// # Errors
    /// No answer, or another status; the error holds the body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        expect_ok(path, self.caller.post(&format!("/api/v1{path}"), &[], body.to_string()).await?)
    }

    /// `GET` at the root, `/metrics` or `/readyz` for example, whatever it answers.
    ///
    /// # Errors
    /// No answer.
    pub async fn root(&self, path: &str) -> Result<Reply> {
        self.caller.get(path).await
    }

    /// Usage in groups; `by` as the API takes it, for example `team,model`.
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub async fn usage(&self, by: &str) -> Result<Value> {
        self.get(&format!("/usage?by={by}")).await
    }

    /// All rows that fit `query` (without `limit` and `after`), page by page, newest first.
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub async fn requests(&self, query: &str) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut after = String::new();
        loop {
            let mut page = self.get(&format!("/requests?limit=1000&{query}{after}")).await?;
            rows.append(page["items"].as_array_mut().context("no items")?);
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(rows),
            }
        }
    }

    /// The row of one request, as soon as it shows.
    ///
    /// # Errors
    /// It does not show in time.
    pub async fn row(&self, id: &str) -> Result<Value> {
        ensure!(!id.is_empty(), "the answer had no request id");
        let deadline = Instant::now() + ROW_LIMIT;
        loop {
            let reply = self.caller.get(&format!("/api/v1/requests/{id}")).await?;
            if reply.status.is_success() {
                return Ok(reply.json());
            }
            if Instant::now() >= deadline {
                bail!("no row {id} after {ROW_LIMIT:?}: {} {}", reply.status, text(&reply));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until exactly `count` rows fit `query`, and gives them.
    ///
    /// # Errors
    /// Another number of rows stands there when the time is over.
    pub async fn rows(&self, query: &str, count: usize) -> Result<Vec<Value>> {
        let deadline = Instant::now() + ROW_LIMIT;
        loop {
            let rows = self.requests(query).await?;
            if rows.len() == count {
                return Ok(rows);
            }
            if Instant::now() >= deadline {
                bail!("{} rows for `{query}` after {ROW_LIMIT:?}, wanted {count}", rows.len());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The budgets of all scopes.
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub async fn budgets(&self) -> Result<Vec<Value>> {
        self.items("/budgets").await
    }

    /// What stands in a list: `regions`, `upstreams` or `targets`.
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub async fn list(&self, what: &str) -> Result<Vec<Value>> {
        self.items(&format!("/{what}")).await
    }

    /// An operator's order: `act("regions", "eastus", "drain", "test")`.
    ///
    /// # Errors
    /// As [`Admin::post`].
    pub async fn act(&self, what: &str, name: &str, action: &str, reason: &str) -> Result<Value> {
        self.post(&format!("/{what}/{name}/{action}"), &json!({ "reason": reason })).await
    }

    /// Reloads the configuration; the answer whatever it is, since refusals are what tests look at.
    ///
    /// # Errors
    /// No answer.
    pub async fn reload(&self) -> Result<Reply> {
        self.caller.post("/api/v1/config/reload", &[], "{}").await
    }

    async fn items(&self, path: &str) -> Result<Vec<Value>> {
        let mut list = self.get(path).await?;
        Ok(list["items"].as_array_mut().with_context(|| format!("{path}: no items"))?.drain(..).collect())
    }
}

fn expect_ok(path: &str, reply: Reply) -> Result<Value> {
    ensure!(reply.status.is_success(), "{path}: {} {}", reply.status, text(&reply));
    Ok(reply.json())
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}
