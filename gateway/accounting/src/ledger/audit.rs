//! The audit: does the store say what the journal says?
//!
//! It reads both from begin to end and trusts neither. Run it while no gateway writes, or rows that
//! are loaded meanwhile look like differences.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tollgate_domain::{LogId, Money, Name, RequestId, UnixMillis};

use super::{
    closing::{self, Closing},
    codec::Decoder,
    entry::{Entry, Kind},
    journal::{Gap, Item, Part, RecordType, Segments, SystemDisk, Walk, pruned_before},
    query::{Order, RowQuery, UsageQuery},
    store::{LedgerStore, StoreError},
};

/// Differences that a report names one by one; the others are only counted.
const NAMED: usize = 1_000;

/// What an audit found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Segments that were read.
    pub segments: u64,
    /// Undamaged records in the journal.
    pub records: u64,
    /// Rows in the journal, each counted once.
    pub rows: u64,
    /// Rows in the store.
    pub stored: u64,
    /// Requests that have begun and have no row yet. The next start closes them.
    pub open: u64,
    /// Rows of the journal that are still to be loaded.
    pub pending: u64,
    /// Rows of the store that the journal's retention has let go.
    pub beyond_retention: u64,
    /// Rows that are in the journal more than once.
    pub doubles: u64,
    /// Records that could not become rows.
    pub dead_letters: u64,
    /// Places where the journal has lost records.
    pub gaps: Vec<Gap>,
    /// What the store's rows cost, per currency.
    pub cost: BTreeMap<String, Money>,
    /// All input tokens of the store's rows.
    pub input_tokens: u64,
    /// All output tokens of the store's rows.
    pub output_tokens: u64,
    /// The differences, the first thousand of them.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub difference_count: u64,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Difference {
    /// The journal has this row more than once.
    Double {
        /// The row.
        id: String,
    },
    /// The row was loaded, and the store does not have it.
    MissingInStore {
        /// The row.
        id: String,
    },
    /// The store has a row that no journal tells of.
    MissingInJournal {
        /// The row.
        id: String,
    },
    /// Journal and store have different figures.
    Unequal {
        /// The row.
        id: String,
        /// The journal's cost, input and output tokens.
        journal: String,
        /// The store's.
        store: String,
    },
    /// The store's totals are not the sums of its rows.
    Totals {
        /// Of which currency.
        currency: String,
        /// What the rows sum to: cost, input and output tokens.
        rows: String,
        /// What the totals say.
        totals: String,
    },
}

impl Report {
    /// True when nothing is lost, doubled or different. Open requests and rows that are still to be
    /// loaded are the next start's work and no difference.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.difference_count == 0 && self.gaps.is_empty() && self.dead_letters == 0
    }

    fn differs(&mut self, difference: Difference) {
        self.difference_count += 1;
        if self.differences.len() < NAMED {
            self.differences.push(difference);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "journal: {} segments, {} records, {} rows", self.segments, self.records, self.rows)?;
        writeln!(
            f,
            "ledger: {} rows, {} input tokens, {} output tokens",
            self.stored, self.input_tokens, self.output_tokens
        )?;
        for (currency, cost) in &self.cost {
            writeln!(f, "cost: {cost} {currency}")?;
        }
        writeln!(
            f,
            "open: {}, to be loaded: {}, beyond retention: {}",
            self.open, self.pending, self.beyond_retention
        )?;
        for gap in &self.gaps {
            writeln!(f, "gap: {} has lost {} records", gap.file, gap.lost)?;
        }
        if self.dead_letters > 0 {
            writeln!(f, "dead letters: {}", self.dead_letters)?;
        }
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        let unnamed = self.difference_count - self.differences.len() as u64;
        if unnamed > 0 {
            writeln!(f, "and {unnamed} more differences")?;
        }
        write!(f, "{}", if self.is_clean() { "no difference" } else { "journal and ledger differ" })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Double { id } => write!(f, "row {id}: more than once in the journal"),
            Self::MissingInStore { id } => write!(f, "row {id}: loaded, but not in the ledger"),
            Self::MissingInJournal { id } => write!(f, "row {id}: in the ledger, but in no journal"),
            Self::Unequal { id, journal, store } => {
                write!(f, "row {id}: the journal says {journal}, the ledger says {store}")
            }
            Self::Totals { currency, rows, totals } => {
                write!(f, "totals in {currency}: the rows sum to {rows}, the totals say {totals}")
            }
        }
    }
}

/// An audit that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The journal cannot be read.
    #[error("journal {}: {source}", path.display())]
    Journal {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Audits the journal in `folder` against `store`.
///
/// # Errors
/// One of them cannot be read. Damage is no error but part of the report.
pub fn verify(folder: &Path, store: &dyn LedgerStore) -> Result<Report, VerifyError> {
    let fail = |source| VerifyError::Journal { path: folder.to_owned(), source };
    let cursors = store.cursors()?.into_iter().map(|cursor| (cursor.log, cursor.lsn)).collect();
    let horizon = pruned_before(folder).map_err(fail)?;
    let mut journal = JournalRows { loaded: cursors, closings: store.closings()?, ..JournalRows::default() };
    let mut walk = Walk::default();
    for part in Segments::of(&SystemDisk, folder, |_| false).map_err(fail)? {
        journal.part(&mut walk, &part.map_err(fail)?);
    }
    let mut report = journal.report;
    report.open = journal.open.difference(&journal.ended).count() as u64;
    let mut rows = journal.rows;
    // Newest first, as the store gives them; of equal ids the one that was loaded first.
    rows.sort_by_key(|row| (std::cmp::Reverse(row.id), row.pending));
    rows.dedup_by(|later, earlier| {
        let double = later.id == earlier.id;
        if double {
            report.doubles += 1;
            report.differs(Difference::Double { id: later.id.to_string() });
        }
        double
    });
    report.rows = rows.len() as u64;
    report.pending = rows.iter().filter(|row| row.pending).count() as u64;
    report.dead_letters = store.dead_letters()?;
    compare(&mut report, &rows, horizon, store)?;
    Ok(report)
}

/// The figures of a row that must agree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Figures {
    cost: Option<Money>,
    input: u64,
    output: u64,
}

impl Figures {
    const NOTHING: Self = Self { cost: Some(Money::ZERO), input: 0, output: 0 };

    fn of(entry: &Entry) -> Self {
        Self { cost: entry.cost, input: entry.usage.input_tokens(), output: entry.usage.output_tokens() }
    }

    fn add(&mut self, entry: &Entry) {
        let row = Self::of(entry);
        self.cost = Some(self.cost.unwrap_or_default() + row.cost.unwrap_or_default());
        self.input = self.input.saturating_add(row.input);
        self.output = self.output.saturating_add(row.output);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cost {
            Some(cost) => write!(f, "{cost}, ")?,
            None => write!(f, "unpriced, ")?,
        }
        write!(f, "{} in, {} out", self.input, self.output)
    }
}

#[derive(Clone, Copy, Debug)]
struct JournalRow {
    id: RequestId,
    figures: Figures,
    pending: bool,
}

/// The journal, read from begin to end.
#[derive(Default)]
struct JournalRows {
    report: Report,
    decoder: Decoder,
    loaded: HashMap<LogId, u64>,
    closings: Vec<Closing>,
    rows: Vec<JournalRow>,
    open: HashSet<RequestId>,
    /// Rows that came before, or in another log than, their START.
    ended: HashSet<RequestId>,
}

impl JournalRows {
    fn part(&mut self, walk: &mut Walk, part: &Part) {
        self.report.segments += 1;
        let Some(segment) = &part.segment else {
            return self.gap(part, 0);
        };
        walk.through(part, segment, |item| match item {
            Item::Gap { lost } => self.gap(part, lost),
            Item::Record(record) => {
                self.report.records += 1;
                self.record(record.kind, part.file.log, record.lsn, record.payload);
            }
        });
    }

    fn gap(&mut self, part: &Part, lost: u64) {
        let file = part.file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.report.gaps.push(Gap { file, lost });
    }

    fn record(&mut self, kind: RecordType, log: LogId, lsn: u64, payload: &[u8]) {
        match kind {
            RecordType::Start => {
                if let Ok((id, _)) = Decoder::head(payload) {
                    self.open.insert(id);
                }
            }
            RecordType::End => {
                // What cannot be read has become a dead letter, and those are counted.
                let Ok(entry) = self.decoder.entry(payload) else { return };
                if !self.open.remove(&entry.id) && entry.kind == Kind::Usage {
                    self.ended.insert(entry.id);
                }
                let pending = self.loaded.get(&log).is_none_or(|loaded| lsn > *loaded);
                // The ledger has what came too late for its time under another id.
                let id = closing::late(&self.closings, log, lsn, &entry).map_or(entry.id, |late| late.id);
                self.rows.push(JournalRow { id, figures: Figures::of(&entry), pending });
            }
            RecordType::Checkpoint | RecordType::Seal => {}
        }
    }
}

/// Walks over the rows of both, newest first.
fn compare(
    report: &mut Report,
    journal: &[JournalRow],
    horizon: Option<UnixMillis>,
    store: &dyn LedgerStore,
) -> Result<(), VerifyError> {
    let mut sums: BTreeMap<Name, Figures> = BTreeMap::new();
    let mut journal = journal.iter().peekable();
    let mut query =
        RowQuery { kind: None, limit: RowQuery::MAX_LIMIT, order: Order::Newest, ..RowQuery::default() };
    loop {
        let page = store.rows(&query)?;
        for entry in &page.items {
            report.stored += 1;
            // A refusal costs nothing, but its totals have a place all the same.
            let sum = sums.entry(entry.currency.clone()).or_insert(Figures::NOTHING);
            if entry.kind != Kind::Refusal {
                sum.add(entry);
            }
            while let Some(row) = journal.next_if(|row| row.id > entry.id) {
                missing_in_store(report, row);
            }
            match journal.next_if(|row| row.id == entry.id) {
                Some(row) if row.figures != Figures::of(entry) => report.differs(Difference::Unequal {
                    id: entry.id.to_string(),
                    journal: row.figures.to_string(),
                    store: Figures::of(entry).to_string(),
                }),
                Some(_) => {}
                None if horizon.is_some_and(|horizon| entry.id.started_at() <= horizon) => {
                    report.beyond_retention += 1;
                }
                None => report.differs(Difference::MissingInJournal { id: entry.id.to_string() }),
            }
        }
        if page.next.is_none() {
            break;
        }
        query.after = page.next;
    }
    journal.for_each(|row| missing_in_store(report, row));
    compare_totals(report, sums, store)
}

fn missing_in_store(report: &mut Report, row: &JournalRow) {
    if !row.pending {
        report.differs(Difference::MissingInStore { id: row.id.to_string() });
    }
}

fn compare_totals(
    report: &mut Report,
    sums: BTreeMap<Name, Figures>,
    store: &dyn LedgerStore,
) -> Result<(), VerifyError> {
    let mut totals: BTreeMap<Name, Figures> = store
        .usage(&UsageQuery::default())?
        .into_iter()
        .map(|group| {
            let cost = Some(group.cost);
            (group.currency, Figures { cost, input: group.input_tokens, output: group.output_tokens })
        })
        .collect();
    for (currency, rows) in sums {
        let total = totals.remove(&currency).unwrap_or(Figures::NOTHING);
        if total != rows {
            let (rows, totals) = (rows.to_string(), total.to_string());
            report.differs(Difference::Totals { currency: currency.to_string(), rows, totals });
        }
        report.cost.insert(currency.to_string(), rows.cost.unwrap_or_default());
        report.input_tokens = report.input_tokens.saturating_add(rows.input);
        report.output_tokens = report.output_tokens.saturating_add(rows.output);
    }
    for (currency, total) in totals {
        let (rows, totals) = (Figures::NOTHING.to_string(), total.to_string());
        report.differs(Difference::Totals { currency: currency.to_string(), rows, totals });
    }
    Ok(())
}
