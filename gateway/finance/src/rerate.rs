//! Re-rating: what rows would cost by the price book in force now, and the corrections that say so.
//!
//! A row keeps what it was charged for ever. Where its own usage at its own time costs something else
//! by now, a correction is posted that takes back the one charge and makes the other. Earlier
//! corrections count, so that a second run posts nothing, and one that was killed is completed by
//! running it again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    thread,
    time::Duration,
};

use serde::Serialize;
use tollgate_accounting::{
    ledger::{
        Adjustment, End, Entry, Kind, LedgerStore, PostError, Postings, RowQuery, StoreError, standing,
    },
    price::{Bill, Meter, MeterKind, Price},
};
use tollgate_domain::{Money, RequestId, UnixMillis, Usage};

/// The `operation` of corrections of this kind.
const REASON: &str = "rerate";
/// Corrections that lie in another month than their rows, and are held in memory at a time.
const MOVED: usize = 100_000;
/// Corrections that are posted together, and brought to the device by one sync.
const TOGETHER: usize = 1_000;
/// How long rows that were posted before may take until the ledger has them.
const LOADING: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(50);

/// A run over the rows of a period.
#[derive(Clone, Copy)]
pub struct Rerating<'a> {
    /// The ledger.
    pub store: &'a dyn LedgerStore,
    /// The way in for corrections.
    pub postings: &'a Postings,
    /// The price of a row's target when the row began, by the book in force now; none when the
    /// target has no price.
    pub price_of: &'a dyn Fn(&Entry, UnixMillis) -> Option<Arc<Price>>,
    /// The first instant that corrections may lie at; none when nothing was ever closed.
    pub closed_until: Option<UnixMillis>,
    /// The present.
    pub now: UnixMillis,
    /// The configuration in force.
    pub config_version: u64,
}

/// Whether corrections are posted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// They are.
    Post,
    /// Only the sums are told.
    Preview,
}

/// What a run found and did.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Rerated {
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows that cost something else by now.
    pub differing: u64,
    /// Corrections that were posted.
    pub posted: u64,
    /// Rows that have no price even now.
    pub unpriced: u64,
    /// Rows whose charge cannot be made again from their usage, and stays: those that recovery has
    /// charged by their worst case, and those that more was billed with than their usage tells.
    pub left: u64,
    /// The differing rows by team and model.
    pub items: Vec<Change>,
}

/// How the rows of a team and model change.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Change {
    /// The team.
    pub team: String,
    /// The model, as clients call it.
    pub model: String,
    /// The currency of the amounts.
    pub currency: String,
    /// Rows that cost something else by now.
    pub rows: u64,
    /// What they are charged so far.
    pub before: Money,
    /// What they cost by the book in force now.
    pub after: Money,
    /// The sum of the corrections.
    pub delta: Money,
}

/// A run that did not reach the end. What was posted stays; run it again.
#[derive(Debug, thiserror::Error)]
pub enum RerateError {
    /// Somebody else works out corrections at this moment.
    #[error("another re-rating is under way; its corrections must be in the ledger first")]
    Busy,
    /// Corrections that were posted before are not in the ledger yet, so they cannot be counted.
    #[error("the ledger is behind the journal; try again once it has caught up")]
    Behind,
    /// The ledger cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A correction was not posted.
    #[error(transparent)]
    Post(#[from] PostError),
}

impl Rerating<'_> {
    /// Goes over the rows that began in `[from, to)`. Memory holds a page of rows and what it posts
    /// together, however long the period is. Blocks.
    ///
    /// # Errors
    /// As [`RerateError`] says.
    pub fn run(&self, from: UnixMillis, to: UnixMillis, mode: Mode) -> Result<Rerated, RerateError> {
        let _turn = self.postings.turn().ok_or(RerateError::Busy)?;
        self.wait_until_loaded()?;
        let mut run =
            Run { rating: self, mode, found: Rerated::default(), changes: BTreeMap::new(), due: Vec::new() };
        // Spans that have more moved corrections than memory should hold are halved.
        let mut spans = vec![(from, to)];
        while let Some((from, to)) = spans.pop() {
            match self.moved(from, to)? {
                Some(moved) => run.span(from, to, &moved)?,
                None => {
                    let middle = UnixMillis::new(from.get() + (to.get() - from.get()) / 2);
                    spans.extend([(from, middle), (middle, to)]);
                }
            }
        }
        run.post()?;
        run.found.items = run.changes.into_values().collect();
        Ok(run.found)
    }

    fn wait_until_loaded(&self) -> Result<(), RerateError> {
        let tries = LOADING.as_millis() / LOOK.as_millis();
        for _ in 0..tries {
            if self.postings.are_loaded()? {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        Err(RerateError::Behind)
    }

    /// Corrections of the span's rows that lie at another instant than their rows, because the month
    /// was closed. None when there are too many to hold, and the span can be halved.
    fn moved(&self, from: UnixMillis, to: UnixMillis) -> Result<Option<Corrections>, StoreError> {
        let mut moved = Corrections::default();
        // Only what is closed by now can have corrections elsewhere; they lie anywhere after it.
        if self.closed_until.is_none_or(|open| open <= from) {
            return Ok(Some(moved));
        }
        let divisible = to.since(from) > 1;
        let query = RowQuery { from: Some(from), ..query(Some(Kind::Adjustment)) };
        let mut count = 0;
        each_page(self.store, query, |entries| {
            let of_span = |entry: &&Entry| {
                let adjusts = entry.adjusts.map(RequestId::started_at);
                is_correction(entry)
                    && adjusts.is_some_and(|at| from <= at && at < to && at != entry.started_at)
            };
            for entry in entries.iter().filter(of_span) {
                count += 1;
                moved.add(entry);
            }
            Ok::<_, StoreError>(count <= MOVED || !divisible)
        })?;
        Ok((count <= MOVED || !divisible).then_some(moved))
    }
}

/// Corrections that rows have had, by the row.
#[derive(Default)]
struct Corrections(HashMap<RequestId, Earlier>);

#[derive(Clone, Default)]
struct Earlier {
    count: u64,
    meters: Vec<Meter>,
}

impl Corrections {
    fn add(&mut self, correction: &Entry) {
        let Some(id) = correction.adjusts else { return };
        let earlier = self.0.entry(id).or_default();
        earlier.count += 1;
        earlier.meters.extend(correction.meters.iter().cloned());
    }

    fn take(&mut self, other: Option<&Earlier>, id: RequestId) -> Earlier {
        let mut earlier = self.0.remove(&id).unwrap_or_default();
        if let Some(other) = other {
            earlier.count += other.count;
            earlier.meters.extend(other.meters.iter().cloned());
        }
        earlier
    }
}

/// A run under way.
struct Run<'a> {
    rating: &'a Rerating<'a>,
    mode: Mode,
    found: Rerated,
    changes: BTreeMap<(String, String, String), Change>,
    /// Corrections that are not posted yet.
    due: Vec<Entry>,
}

impl Run<'_> {
    fn span(&mut self, from: UnixMillis, to: UnixMillis, moved: &Corrections) -> Result<(), RerateError> {
        let query = RowQuery { from: Some(from), to: Some(to), ..query(None) };
        // A row and its corrections have the same instant, and may be on two pages.
        let mut instant: Vec<Entry> = Vec::new();
        each_page(self.rating.store, query, |entries| {
            for entry in entries.drain(..) {
                if instant.first().is_some_and(|first| first.started_at != entry.started_at) {
                    self.instant(&instant, moved)?;
                    instant.clear();
                }
                instant.push(entry);
            }
            Ok::<_, RerateError>(true)
        })?;
        self.instant(&instant, moved)
    }

    /// Judges the rows that began at one instant.
    fn instant(&mut self, entries: &[Entry], moved: &Corrections) -> Result<(), RerateError> {
        let mut corrections = Corrections::default();
        entries.iter().filter(|entry| is_correction(entry)).for_each(|entry| corrections.add(entry));
        for entry in entries.iter().filter(|entry| is_ratable(entry)) {
            let earlier = corrections.take(moved.0.get(&entry.id), entry.id);
            self.row(entry, &earlier)?;
        }
        Ok(())
    }

    fn row(&mut self, entry: &Entry, earlier: &Earlier) -> Result<(), RerateError> {
        self.found.rows += 1;
        let bill = match rate(entry, self.rating.price_of) {
            Ok(bill) => bill,
            Err(Unrated::Unpriced) => {
                self.found.unpriced += 1;
                return Ok(());
            }
            Err(Unrated::Left) => {
                self.found.left += 1;
                return Ok(());
            }
        };
        let before: Vec<Meter> = standing(entry.meters.iter().chain(&earlier.meters).cloned());
        let adjustment = Adjustment {
            original: entry,
            reason: REASON,
            earlier: earlier.count,
            before: &before,
            after: &bill.meters,
        };
        let closed_until = self.rating.closed_until;
        let is_closed = |at| closed_until.is_some_and(|open| at < open);
        let Some(correction) = adjustment.row(self.rating.now, self.rating.config_version, is_closed) else {
            return Ok(());
        };
        self.note(entry, before.iter().map(|meter| meter.cost).sum(), bill.cost);
        if self.mode == Mode::Post {
            self.due.push(correction);
            if self.due.len() >= TOGETHER {
                self.post()?;
            }
        }
        Ok(())
    }

    fn note(&mut self, entry: &Entry, before: Money, after: Money) {
        let (team, model) = (entry.identity.team.to_string(), entry.model.to_string());
        let currency = entry.currency.to_string();
        self.found.differing += 1;
        let change = self
            .changes
            .entry((team.clone(), model.clone(), currency.clone()))
            .or_insert_with(|| Change { team, model, currency, ..Change::default() });
        change.rows += 1;
        change.before += before;
        change.after += after;
        change.delta += after - before;
    }

    fn post(&mut self) -> Result<(), RerateError> {
        if !self.due.is_empty() {
            self.found.posted += self.rating.postings.post(&self.due)?.written;
            self.due.clear();
        }
        Ok(())
    }
}

/// Why nobody can tell what a row costs by now.
enum Unrated {
    /// It has no price.
    Unpriced,
    /// Its charge cannot be made again, and stays.
    Left,
}

/// What a row costs by now.
fn rate(entry: &Entry, price_of: &dyn Fn(&Entry, UnixMillis) -> Option<Arc<Price>>) -> Result<Bill, Unrated> {
    if entry.end == Some(End::Recovered) {
        return Err(Unrated::Left);
    }
    if entry.usage == Usage::default() {
        // What consumed nothing costs nothing; what was billed beside is not known any more.
        return if entry.meters.is_empty() { Ok(Bill::default()) } else { Err(Unrated::Left) };
    }
    // A row that came late for closed time is an adjustment of itself: its price is that of its begin.
    let began = entry.adjusts.map_or(entry.started_at, RequestId::started_at);
    let Some(price) = price_of(entry, began) else {
        // Its price is gone from the book: the charge stands as it was made.
        return Err(if entry.cost.is_some() { Unrated::Left } else { Unrated::Unpriced });
    };
    if price.currency != entry.currency || has_more_than_its_usage(entry) {
        return Err(Unrated::Left);
    }
    Ok(price.bill(&entry.usage))
}

/// True when meters charge more of something than the row's usage has: a pass of another model,
/// billed beside, whose usage the row does not tell.
fn has_more_than_its_usage(entry: &Entry) -> bool {
    let charged = |kind| -> u64 {
        entry.meters.iter().filter(|meter| meter.meter == kind).map(|meter| meter.quantity).sum()
    };
    MeterKind::ALL.into_iter().any(|kind| charged(kind) > kind.quantity(&entry.usage))
}

/// A row that a price can be asked for: a request, also one that came late for closed time.
fn is_ratable(entry: &Entry) -> bool {
    match entry.kind {
        Kind::Usage | Kind::Probe => true,
        Kind::Adjustment => !is_correction(entry) && entry.usage != Usage::default(),
        Kind::Refusal | Kind::Fixed => false,
    }
}

fn is_correction(entry: &Entry) -> bool {
    entry.kind == Kind::Adjustment && entry.operation == REASON
}

fn query(kind: Option<Kind>) -> RowQuery {
    RowQuery { kind, limit: RowQuery::MAX_LIMIT, ..RowQuery::default() }
}

/// Gives every page, newest first, until `visit` says that it is enough.
fn each_page<E: From<StoreError>>(
    store: &dyn LedgerStore,
    mut query: RowQuery,
    mut visit: impl FnMut(&mut Vec<Entry>) -> Result<bool, E>,
) -> Result<(), E> {
    loop {
        let mut page = store.rows(&query)?;
        let goes_on = visit(&mut page.items)?;
        match page.next {
            Some(next) if goes_on => query.after = Some(next),
            _ => return Ok(()),
        }
    }
}
