//! Reading rows: one, a page by time, a page in the order of loading.

use std::{cmp::Reverse, ops::ControlFlow};

use rusqlite::{Rows, Transaction};
use tollgate_accounting::ledger::{DecodeError, Decoder, Entry, Order, Page, RowQuery, StoreError};
use tollgate_domain::{RequestId, UnixMillis};

use super::{
    Outcome,
    blocks::{self, Block, Kept, second_of},
    signed,
};

/// Bounds that every id is between.
const LOWEST: RequestId = RequestId::from_bytes([0; 16]);
const HIGHEST: RequestId = RequestId::from_bytes([0xff; 16]);

/// One row.
pub(super) fn one(from: &Transaction<'_>, id: RequestId) -> Outcome<Option<Entry>> {
    let found = blocks::find(from, id)?;
    found.map(|(seq, bytes)| decode(&mut Decoder::new(), (seq, id, &bytes))).transpose()
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
    walk(
        from,
        (begin.map_or(LOWEST, RequestId::first_at), end.map_or(HIGHEST, RequestId::first_at)),
        project,
        &mut visit,
    )
}

/// Visits the rows with ids from `first` to before `past`, by id, the highest first.
fn walk(
    from: &Transaction<'_>,
    (first, past): (RequestId, RequestId),
    project: Option<&str>,
    visit: &mut dyn FnMut(Entry) -> ControlFlow<()>,
) -> Outcome<()> {
    let mut decoder = Decoder::new();
    let mut visit_second = |blocks: &[Block]| -> Outcome<ControlFlow<()>> {
        let mut rows = blocks.iter().flat_map(Block::rows).collect::<Outcome<Vec<Kept<'_>>>>()?;
        rows.retain(|(_, id, _)| (first..past).contains(id));
        rows.sort_unstable_by_key(|(_, id, _)| Reverse(*id));
        for row @ (_, id, bytes) in rows {
            if let Some(project) = project
                && decoder.identity_of(bytes).map_err(|error| bad_row(id, &error))?.project.as_str()
                    != project
            {
                continue;
            }
            if visit(decode(&mut decoder, row)?).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    };
    let mut select = from.prepare_cached(&format!(
        "SELECT {} FROM blocks WHERE first_id >= ? AND first_id < ? ORDER BY first_id DESC",
        Block::COLUMNS
    ))?;
    let earliest = RequestId::first_at(second_of(first));
    let blocks = select.query([earliest.to_bytes(), past.to_bytes()])?;
    visit_runs(blocks, Block::second, &mut visit_second)
}

fn newest(from: &Transaction<'_>, query: &RowQuery) -> Outcome<Page<Entry>> {
    let limit = query.limit.clamp(1, RowQuery::MAX_LIMIT);
    let first = query.from.map_or(LOWEST, RequestId::first_at);
    let mut past = query.to.map_or(HIGHEST, RequestId::first_at);
    if let Some(after) = &query.after {
        past = past.min(cursor(after, 'n')?);
    }
    let mut items = Vec::new();
    let mut more = false;
    let project = query.project.as_ref().map(|project| project.as_str());
    walk(from, (first, past), project, &mut |entry| {
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
    let mut items = Vec::new();
    let mut take_batch = |blocks: &[Block]| -> Outcome<ControlFlow<()>> {
        let mut rows = blocks.iter().flat_map(Block::rows).collect::<Outcome<Vec<Kept<'_>>>>()?;
        rows.retain(|(seq, ..)| *seq > after);
        rows.sort_unstable_by_key(|(seq, ..)| *seq);
        for row in rows {
            let entry = decode(&mut decoder, row)?;
            if query.matches(&entry) {
                items.push(entry);
            }
            if items.len() == limit {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    };
    let mut select = from.prepare_cached(&format!(
        "SELECT {} FROM blocks
         WHERE place >= coalesce(
             (SELECT batch FROM blocks WHERE place <= ?1 + 1 ORDER BY place DESC LIMIT 1), 0)
         ORDER BY place",
        Block::COLUMNS
    ))?;
    visit_runs(select.query([signed(after)])?, Block::batch, &mut take_batch)?;
    let next = items.last().map(|last: &Entry| format!("s{}", last.seq));
    Ok(Page { items, next })
}

/// Visits blocks that follow each other and have `what` in common together, until told to stop.
fn visit_runs<T: PartialEq>(
    mut rows: Rows<'_>,
    what: impl Fn(&Block) -> T,
    visit: &mut dyn FnMut(&[Block]) -> Outcome<ControlFlow<()>>,
) -> Outcome<()> {
    let mut run: Vec<Block> = Vec::new();
    while let Some(row) = rows.next()? {
        let block = Block::read(row)?;
        if run.first().is_some_and(|known| what(known) != what(&block)) {
            if visit(&run)?.is_break() {
                return Ok(());
            }
            run.clear();
        }
        run.push(block);
    }
    visit(&run).map(drop)
}

fn decode(decoder: &mut Decoder, (seq, id, bytes): Kept<'_>) -> Outcome<Entry> {
    let mut entry = decoder.entry(bytes).map_err(|error| bad_row(id, &error))?;
    entry.seq = seq;
    Ok(entry)
}

fn bad_row(id: RequestId, error: &DecodeError) -> StoreError {
    StoreError::BadRow { id, reason: error.to_string() }
}

/// What a cursor of the list `list` holds.
fn cursor<T: std::str::FromStr>(text: &str, list: char) -> Result<T, StoreError> {
    let parsed = text.strip_prefix(list).and_then(|rest| rest.parse().ok());
    parsed.ok_or_else(|| StoreError::BadCursor(text.to_owned()))
}
