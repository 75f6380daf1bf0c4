//! Reading rows: one, a page by time, a page in the order of loading.

use std::ops::ControlFlow;

use rusqlite::{OptionalExtension, Transaction, params};
use tollgate_accounting::ledger::{Decoder, Entry, Order, Page, RowQuery, StoreError};
use tollgate_domain::{RequestId, UnixMillis};

use super::{Outcome, count, signed};

/// One row.
pub(super) fn one(from: &Transaction<'_>, id: RequestId) -> Outcome<Option<Entry>> {
    read_one(from, &mut Decoder::new(), id)
}

/// A page.
pub(super) fn page(from: &Transaction<'_>, query: &RowQuery) -> Outcome<Page<Entry>> {
    match query.order {
        Order::Newest => newest(from, query),
        Order::Seq => in_order(from, query),
    }
}

/// Visits every row that started in `[begin, end)`, newest first, until told to stop.
pub(super) fn each(
    from: &Transaction<'_>,
    (begin, end): (Option<UnixMillis>, Option<UnixMillis>),
    project: Option<&str>,
    mut visit: impl FnMut(Entry) -> ControlFlow<()>,
) -> Outcome<()> {
    let first = begin.map_or([0; 16], |begin| RequestId::first_at(begin).to_bytes());
    let past = end.map_or([0xff; 16], |end| RequestId::first_at(end).to_bytes());
    walk(from, first, past, project, &mut visit)
}

fn walk(
    from: &Transaction<'_>,
    first: [u8; 16],
    past: [u8; 16],
    project: Option<&str>,
    visit: &mut dyn FnMut(Entry) -> ControlFlow<()>,
) -> Outcome<()> {
    let mut decoder = Decoder::new();
    let mut select = from.prepare_cached(
        "SELECT id, seq, entry FROM entries
         WHERE id >= ?1 AND id < ?2 AND (?3 IS NULL OR project = ?3) ORDER BY id DESC",
    )?;
    let mut rows = select.query(params![first, past, project])?;
    while let Some(row) = rows.next()? {
        let id = RequestId::from_bytes(row.get(0)?);
        let entry =
            decode(&mut decoder, id, row.get(1)?, row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?;
        if visit(entry).is_break() {
            break;
        }
    }
    Ok(())
}

fn newest(from: &Transaction<'_>, query: &RowQuery) -> Outcome<Page<Entry>> {
    let limit = query.limit.clamp(1, RowQuery::MAX_LIMIT);
    let first = query.from.map_or([0; 16], |time| RequestId::first_at(time).to_bytes());
    let mut past = query.to.map_or([0xff; 16], |time| RequestId::first_at(time).to_bytes());
    if let Some(after) = &query.after {
        let id: RequestId = cursor(after, 'n')?;
        past = past.min(id.to_bytes());
    }
    let mut items = Vec::new();
    let mut more = false;
    let project = query.project.as_ref().map(|project| project.as_str());
    walk(from, first, past, project, &mut |entry| {
        if !query.matches(&entry) {
            return ControlFlow::Continue(());
        }
        if items.len() == limit {
            more = true;
            return ControlFlow::Break(());
        }
        items.push(entry);
        ControlFlow::Continue(())
    })?;
    let next = if more { items.last().map(|last: &Entry| format!("n{}", last.id)) } else { None };
    Ok(Page { items, next })
}

fn in_order(from: &Transaction<'_>, query: &RowQuery) -> Outcome<Page<Entry>> {
    let limit = query.limit.clamp(1, RowQuery::MAX_LIMIT);
    let after: u64 = query.after.as_deref().map_or(Ok(0), |after| cursor(after, 's'))?;
    let mut decoder = Decoder::new();
    let mut select = from.prepare_cached(
        "SELECT first_seq, ids FROM batches
         WHERE first_seq >= (SELECT coalesce(max(first_seq), 0) FROM batches WHERE first_seq <= ?1 + 1)
         ORDER BY first_seq",
    )?;
    let mut batches = select.query([signed(after)])?;
    let mut items = Vec::new();
    'batches: while let Some(batch) = batches.next()? {
        let first = count(batch.get(0)?);
        let ids: Vec<u8> = batch.get(1)?;
        let (ids, _) = ids.as_chunks::<16>();
        for (seq, id) in (first..).zip(ids).skip_while(|(seq, _)| *seq <= after) {
            debug_assert!(seq > after);
            let Some(entry) = read_one(from, &mut decoder, RequestId::from_bytes(*id))? else { continue };
            if query.matches(&entry) {
                items.push(entry);
                if items.len() == limit {
                    break 'batches;
                }
            }
        }
    }
    let next = items.last().map(|last: &Entry| format!("s{}", last.seq));
    Ok(Page { items, next })
}

fn read_one(from: &Transaction<'_>, decoder: &mut Decoder, id: RequestId) -> Outcome<Option<Entry>> {
    let found: Option<(i64, Vec<u8>)> = from
        .prepare_cached("SELECT seq, entry FROM entries WHERE id = ?")?
        .query_row([id.to_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(seq, bytes)| decode(decoder, id, seq, &bytes)).transpose()
}

fn decode(decoder: &mut Decoder, id: RequestId, seq: i64, bytes: &[u8]) -> Outcome<Entry> {
    let mut entry =
        decoder.entry(bytes).map_err(|error| StoreError::BadRow { id, reason: error.to_string() })?;
    entry.seq = count(seq);
    Ok(entry)
}

/// What a cursor of the list `list` holds.
fn cursor<T: std::str::FromStr>(text: &str, list: char) -> Result<T, StoreError> {
    let parsed = text.strip_prefix(list).and_then(|rest| rest.parse().ok());
    parsed.ok_or_else(|| StoreError::BadCursor(text.to_owned()))
}
