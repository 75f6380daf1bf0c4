//! Reading rows: one, a page by time, a page in the order of loading, all of a range.

use std::{ops::ControlFlow, pin::pin};

use futures_util::TryStreamExt as _;
use tokio_postgres::{
    Client, Row,
    types::{ToSql, Type},
};
use tollgate_accounting::ledger::{Decoder, Entry, Order, Page, RowQuery, StoreError, UsageFilter};
use tollgate_domain::{RequestId, UnixMillis};
use uuid::Uuid;

use super::{Bound, Outcome, count, instant, months, signed, text};

/// One row.
pub(super) async fn one(from: &Client, id: RequestId) -> Outcome<Option<Entry>> {
    let mut asked = Asked::new();
    asked.narrow("started_at =", months::started_instant(id), Type::TIMESTAMPTZ);
    asked.narrow("id =", Uuid::from_bytes(id.to_bytes()), Type::UUID);
    Ok(asked.fetch(from, "").await?.pop())
}

/// The gateways that have written rows.
pub(super) async fn instances(from: &Client) -> Outcome<Vec<String>> {
    let distinct = "SELECT DISTINCT instance FROM tollgate.entries ORDER BY instance";
    let rows = from.query_typed(distinct, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// A page.
pub(super) async fn page(from: &Client, query: &RowQuery) -> Outcome<Page<Entry>> {
    months::require_rows_since(from, query.from).await?;
    match query.order {
        Order::Newest => newest(from, query).await,
        Order::Seq => in_order(from, query).await,
    }
}

/// Visits every row that started in `[begin, end)` and is admitted, in any order, until told to stop.
pub(super) async fn each(
    from: &Client,
    (begin, end): (Option<UnixMillis>, Option<UnixMillis>),
    filter: &UsageFilter,
    mut visit: impl FnMut(Entry) -> ControlFlow<()>,
) -> Outcome<()> {
    let mut asked = Asked::new();
    asked.between(begin, end);
    asked.teams(&filter.teams);
    asked.text("project", filter.project.as_ref().map(|project| project.as_str()));
    asked.text("key", filter.key.as_ref().map(|key| key.as_str()));
    let mut rows = pin!(from.query_typed_raw(&asked.statement(""), asked.bound()).await?);
    let mut decoder = Decoder::new();
    while let Some(row) = rows.try_next().await? {
        if visit(decode(&mut decoder, &row)?).is_break() {
            break;
        }
    }
    Ok(())
}

async fn newest(from: &Client, query: &RowQuery) -> Outcome<Page<Entry>> {
    let limit = query.limit.clamp(1, RowQuery::MAX_LIMIT);
    let mut asked = Asked::of(query);
    if let Some(after) = &query.after {
        let id: RequestId = cursor(after, 'n')?;
        asked.narrow("started_at <=", months::started_instant(id), Type::TIMESTAMPTZ);
        asked.narrow("id <", Uuid::from_bytes(id.to_bytes()), Type::UUID);
    }
    let order = format!("ORDER BY started_at DESC, id DESC LIMIT {}", limit + 1);
    let mut items = asked.fetch(from, &order).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(|last| format!("n{}", last.id)) } else { None };
    Ok(Page { items, next })
}

async fn in_order(from: &Client, query: &RowQuery) -> Outcome<Page<Entry>> {
    let limit = query.limit.clamp(1, RowQuery::MAX_LIMIT);
    let after: u64 = query.after.as_deref().map_or(Ok(0), |after| cursor(after, 's'))?;
    let mut asked = Asked::of(query);
    asked.narrow("seq >", signed(after), Type::INT8);
    let items = asked.fetch(from, &format!("ORDER BY seq LIMIT {limit}")).await?;
    let next = items.last().map(|last| format!("s{}", last.seq));
    Ok(Page { items, next })
}

/// A question for rows: its conditions and their values.
struct Asked {
    conditions: Vec<String>,
    values: Vec<(Box<dyn ToSql + Sync>, Type)>,
}

impl Asked {
    fn new() -> Self {
        Self { conditions: Vec::new(), values: Vec::new() }
    }

    /// What the query wants, what `after` and `limit` say aside.
    fn of(query: &RowQuery) -> Self {
        let mut asked = Self::new();
        asked.between(query.from, query.to);
        asked.teams(&query.teams);
        asked.text("kind", query.kind.map(|kind| kind.as_str()));
        asked.text("project", query.project.as_ref().map(|project| project.as_str()));
        asked.text("key", query.key.as_ref().map(|key| key.as_str()));
        asked.text("model", query.model.as_ref().map(|model| model.as_str()));
        asked.text("\"end\"", query.end.map(|end| end.as_str()));
        asked.text("error_code", query.error_code.as_deref());
        asked
    }

    /// Adds a condition that ends where its value stands.
    fn narrow(&mut self, condition: &str, value: impl ToSql + Sync + 'static, kind: Type) {
        self.values.push((Box::new(value), kind));
        self.conditions.push(format!("{condition} ${}", self.values.len()));
    }

    fn text(&mut self, column: &str, wanted: Option<&str>) {
        if let Some(wanted) = wanted {
            self.narrow(&format!("{column} ="), text(wanted).into_owned(), Type::TEXT);
        }
    }

    fn teams(&mut self, teams: &[tollgate_domain::TeamName]) {
        if !teams.is_empty() {
            let teams: Vec<String> = teams.iter().map(|team| text(team.as_str()).into_owned()).collect();
            self.narrow("team = ANY", teams, Type::TEXT_ARRAY);
            let last = self.conditions.last_mut().expect("it was just added");
            *last = last.replace("ANY ", "ANY (") + ")";
        }
    }

    fn between(&mut self, begin: Option<UnixMillis>, end: Option<UnixMillis>) {
        if let Some(begin) = begin {
            self.narrow("started_at >=", instant(begin), Type::TIMESTAMPTZ);
        }
        if let Some(end) = end {
            self.narrow("started_at <", instant(end), Type::TIMESTAMPTZ);
        }
    }

    fn statement(&self, order: &str) -> String {
        let conditions = if self.conditions.is_empty() { "true" } else { &self.conditions.join(" AND ") };
        format!("SELECT id, seq, entry FROM tollgate.entries WHERE {conditions} {order}")
    }

    fn bound(&self) -> impl Iterator<Item = Bound<'_>> {
        self.values.iter().map(|(value, kind)| -> Bound<'_> { (&**value, kind.clone()) })
    }

    async fn fetch(&self, from: &Client, order: &str) -> Outcome<Vec<Entry>> {
        let mut rows = pin!(from.query_typed_raw(&self.statement(order), self.bound()).await?);
        let mut decoder = Decoder::new();
        let mut entries = Vec::new();
        while let Some(row) = rows.try_next().await? {
            entries.push(decode(&mut decoder, &row)?);
        }
        Ok(entries)
    }
}

fn decode(decoder: &mut Decoder, row: &Row) -> Outcome<Entry> {
    let id = RequestId::from_bytes(row.try_get::<_, Uuid>(0)?.into_bytes());
    let mut entry = decoder
        .entry(row.try_get(2)?)
        .map_err(|error| StoreError::BadRow { id, reason: error.to_string() })?;
    entry.seq = count(row.try_get(1)?);
    Ok(entry)
}

/// What a cursor of the list `list` holds.
fn cursor<T: std::str::FromStr>(text: &str, list: char) -> Result<T, StoreError> {
    let parsed = text.strip_prefix(list).and_then(|rest| rest.parse().ok());
    parsed.ok_or_else(|| StoreError::BadCursor(text.to_owned()))
}
