//! The close of a month: the rows are final, each team has its statement, and the papers say so.
//!
//! First the provider's invoices are held against the rows, and what cannot be closed is refused while
//! nothing has changed. Then the store closes the books up to the month's end, and all that follows is
//! made of rows that no longer change: a close that is killed at any instant is finished by asking for it
//! again, and what was sealed already is never sealed otherwise.

mod order;
mod verify;

use std::path::Path;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollgate_accounting::ledger::{AuditEntry, Closing, LedgerStore, StoreError, rfc3339};
use tollgate_domain::UnixMillis;

use crate::{
    Month,
    reconcile::{Invoice, Reconciliation, Terms, reconcile},
    statement::{
        CLOSE, Folder, FolderError, Gathered, Papers, RowRange, STATEMENT, Sealed, Statement, Total, gather,
        open, seal,
    },
};

pub use verify::{Verified, verify};

/// The close of a month, as it is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Close {
    /// The month.
    pub month: String,
    /// The first instant, RFC 3339.
    pub from: String,
    /// The first instant after it.
    pub until: String,
    /// The zone that the month is of.
    pub time_zone: String,
    /// When the month was closed.
    pub closed_at: String,
    /// Who closed it.
    pub closed_by: String,
    /// What made it.
    pub software: String,
    /// The rows of the month.
    #[serde(flatten)]
    pub rows: RowRange,
    /// What all teams are charged, in each currency.
    pub totals: Vec<Total>,
    /// The statements and their hashes, by team.
    pub statements: Vec<Issued>,
    /// The reports of the invoices that were held against the month.
    pub reconciliations: Vec<Value>,
    /// Why no invoice was.
    pub without_reconciliation: Option<String>,
    /// Why differences beyond the tolerance were accepted.
    pub accepted: Option<String>,
    /// The hash of the close before this one.
    pub previous: Option<String>,
    /// SHA-256 of the canonical JSON of all the rest.
    pub hash: String,
}

/// A statement, by its hash.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Issued {
    /// The statement's name.
    pub id: String,
    /// The team.
    pub team: String,
    /// Its hash.
    pub hash: String,
}

impl Sealed for Close {
    fn name(&self) -> &str {
        &self.month
    }

    fn hash(&self) -> &str {
        &self.hash
    }

    fn set_hash(&mut self, hash: String) {
        self.hash = hash;
    }
}

/// What a close is made with.
#[derive(Clone, Copy)]
pub struct Books<'a> {
    /// The ledger.
    pub store: &'a dyn LedgerStore,
    /// Where the papers' files are.
    pub folder: &'a Path,
    /// The zone of the calendar.
    pub zone: &'a TimeZone,
    /// Its name.
    pub time_zone: &'a str,
}

/// An order to close a month.
#[derive(Debug)]
pub struct Order {
    /// Which.
    pub month: Month,
    /// The present.
    pub now: UnixMillis,
    /// Who orders it.
    pub by: String,
    /// What speaks for the figures.
    pub proof: Proof,
}

/// What speaks for the figures of a month.
#[derive(Debug)]
pub enum Proof {
    /// Invoices of providers.
    Invoices {
        /// The invoices, each with its terms.
        invoices: Vec<(Invoice, Terms)>,
        /// Why differences beyond the tolerance are accepted, if they are.
        accept: Option<String>,
    },
    /// None, for this reason.
    Without(String),
}

/// A month that was not closed.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// It has not ended.
    #[error("{month} has not ended: it lasts until {until}")]
    NotEnded {
        /// The month.
        month: Month,
        /// Its end.
        until: String,
    },
    /// It is closed.
    #[error("{0} is closed already, and a closed month is never closed again")]
    AlreadyClosed(Month),
    /// The books are closed further.
    #[error("the books are closed up to {until} already; {month} lies before")]
    Passed {
        /// The month.
        month: Month,
        /// Up to when the books are closed.
        until: String,
    },
    /// An earlier month has rows and is open.
    #[error("{earlier} has rows and is not closed; close it before {month}")]
    EarlierOpen {
        /// The month that was asked for.
        month: Month,
        /// The month that comes first.
        earlier: String,
    },
    /// An earlier close broke off.
    #[error("a close up to {until} broke off; finish it first, with the same time zone")]
    Unfinished {
        /// The end of the month that it was for.
        until: String,
    },
    /// Invoices differ from the rows.
    #[error(
        "{} differences are beyond the tolerance; see `tollgate reconcile`, or accept them with a reason",
        .0.iter().map(material).sum::<usize>()
    )]
    Differs(Vec<Reconciliation>),
    /// The rows of the month are not those of a statement that was sealed for it.
    #[error("statement {id} was sealed for other rows; see `tollgate close --verify`")]
    OtherRows {
        /// The statement.
        id: String,
    },
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A paper cannot be kept, or was changed.
    #[error(transparent)]
    Paper(#[from] FolderError),
}

fn material(report: &Reconciliation) -> usize {
    // Sums may differ beyond the tolerance where no single cell does.
    report.items.iter().filter(|item| item.material).count().max(usize::from(!report.within_tolerance))
}

impl Books<'_> {
    /// Closes a month, or finishes a close that broke off.
    ///
    /// # Errors
    /// Nothing has changed, but where the store or a file failed, or a row came between the comparison
    /// with the invoices and the close of the books and made a difference: then ask again.
    pub fn close(&self, order: &Order) -> Result<Close, CloseError> {
        let papers = Papers::load(self.store)?;
        let place = self.place(order, &papers)?;
        let mut reports = self.reconcile(order)?;
        self.audit(order, &reports)?;
        let closing = match &place.closing {
            Some(closing) => closing.clone(),
            None => {
                let closing = self.store.close_books(place.until, order.now)?;
                // Rows may have come between the comparison and the close.
                reports = self.reconcile(order)?;
                closing
            }
        };
        let month = order.month.to_string();
        let folder = Folder(self.folder);
        folder.keep_closing(&month, &closing)?;
        let mut sealed = Vec::new();
        let gathered = gather(self.store, place.from, place.until)?;
        for (team, found) in &gathered {
            sealed.push(self.issue(order, &place, &closing, &papers, team, found)?);
        }
        let close = seal(Close {
            month: month.clone(),
            from: rfc3339(place.from),
            until: rfc3339(place.until),
            time_zone: self.time_zone.to_owned(),
            closed_at: rfc3339(closing.at),
            closed_by: order.by.clone(),
            software: SOFTWARE.to_owned(),
            rows: all_rows(gathered.values()),
            totals: all_totals(gathered.values()),
            statements: sealed,
            reconciliations: reports.iter().map(|report| json!(report)).collect(),
            without_reconciliation: order.proof.without(),
            accepted: order.proof.accepted(&reports),
            previous: place.previous.clone(),
            hash: String::new(),
        });
        Ok(folder.keep(self.store, (CLOSE, &month), None, close, order.now)?)
    }

    fn issue(
        &self,
        order: &Order,
        place: &Place,
        closing: &Closing,
        papers: &Papers,
        team: &str,
        found: &Gathered,
    ) -> Result<Issued, CloseError> {
        let month = order.month.to_string();
        let id = format!("{month}.{team}");
        let draft = seal(Statement {
            id: id.clone(),
            month: month.clone(),
            team: team.to_owned(),
            from: rfc3339(place.from),
            until: rfc3339(place.until),
            time_zone: self.time_zone.to_owned(),
            closed_at: rfc3339(closing.at),
            software: SOFTWARE.to_owned(),
            rows: found.rows.clone(),
            lines: found.lines.clone(),
            totals: found.totals.clone(),
            previous: last_of(papers, team, &month),
            hash: String::new(),
        });
        let stored = papers.text(STATEMENT, &id);
        let folder = Folder(self.folder);
        let kept = folder.keep(self.store, (STATEMENT, &month), stored, draft.clone(), order.now)?;
        // What was sealed before a kill says the same, but perhaps of another version of us.
        if (&kept.lines, &kept.rows, &kept.previous) != (&draft.lines, &draft.rows, &draft.previous) {
            return Err(CloseError::OtherRows { id });
        }
        Ok(Issued { id, team: team.to_owned(), hash: kept.hash })
    }

    fn reconcile(&self, order: &Order) -> Result<Vec<Reconciliation>, CloseError> {
        let Proof::Invoices { invoices, accept } = &order.proof else { return Ok(Vec::new()) };
        let reports = invoices.iter().map(|(invoice, terms)| reconcile(self.store, invoice, terms));
        let reports = reports.collect::<Result<Vec<_>, _>>()?;
        if accept.is_none() && reports.iter().any(|report| !report.within_tolerance) {
            return Err(CloseError::Differs(reports));
        }
        Ok(reports)
    }

    fn audit(&self, order: &Order, reports: &[Reconciliation]) -> Result<(), StoreError> {
        let detail = json!({
            "invoices": reports.len(),
            "without_reconciliation": order.proof.without(),
            "accepted": order.proof.accepted(reports),
        });
        self.store.append_audit(&AuditEntry {
            seq: 0,
            at: order.now,
            actor: order.by.clone(),
            action: "month.close".to_owned(),
            subject: order.month.to_string(),
            detail: detail.to_string(),
        })?;
        Ok(())
    }
}

/// Gives a store what the papers' files have and it has not: after it was lost, and before it takes rows
/// from the journal. Tells of files that are not what was sealed, and leaves those alone.
///
/// # Errors
/// The store or the folder cannot be used.
pub fn restore(store: &dyn LedgerStore, folder: &Path) -> Result<Vec<FolderError>, FolderError> {
    Folder(folder).restore(store)
}

/// Every statement that was sealed, by month and team.
///
/// # Errors
/// The store cannot be read, or a statement in it was changed.
pub fn statements(store: &dyn LedgerStore) -> Result<Vec<Statement>, FolderError> {
    let papers = Papers::load(store)?;
    papers.of(STATEMENT).map(|(name, text)| opened(name, text)).collect()
}

/// One statement, as it was sealed; none when there is none of this name.
///
/// # Errors
/// The store cannot be read, or the statement in it was changed.
pub fn statement_text(store: &dyn LedgerStore, id: &str) -> Result<Option<(Statement, String)>, FolderError> {
    let papers = Papers::load(store)?;
    let text = papers.text(STATEMENT, id);
    text.map(|text| Ok((opened(id, text)?, text.to_owned()))).transpose()
}

fn opened(name: &str, text: &str) -> Result<Statement, FolderError> {
    open(text).map_err(|fault| FolderError::Changed { what: format!("statement {name}"), fault })
}

/// What makes the papers.
const SOFTWARE: &str = concat!("tollgate ", env!("CARGO_PKG_VERSION"));

/// Where a month stands among what is closed.
struct Place {
    from: UnixMillis,
    until: UnixMillis,
    /// The closing of a close that broke off.
    closing: Option<Closing>,
    /// The hash of the close before.
    previous: Option<String>,
}

/// The hash of a team's last statement before a month.
fn last_of(papers: &Papers, team: &str, month: &str) -> Option<String> {
    let earlier = papers.of(STATEMENT).rev().filter_map(|(name, text)| {
        let (of, named) = name.split_once('.')?;
        (named == team && of < month).then_some(text)
    });
    earlier.filter_map(|text| open::<Statement>(text).ok()).map(|statement| statement.hash).next()
}

fn all_rows<'a>(teams: impl Iterator<Item = &'a Gathered> + Clone) -> RowRange {
    let mut price_ids: Vec<String> = teams.clone().flat_map(|team| team.rows.price_ids.clone()).collect();
    price_ids.sort();
    price_ids.dedup();
    RowRange {
        rows: teams.clone().map(|team| team.rows.rows).sum(),
        refusals: teams.clone().map(|team| team.rows.refusals).sum(),
        first_seq: teams.clone().filter_map(|team| team.rows.first_seq).min(),
        last_seq: teams.filter_map(|team| team.rows.last_seq).max(),
        price_ids,
    }
}

/// The sums of the statements: what is charged is what the teams are charged.
fn all_totals<'a>(teams: impl Iterator<Item = &'a Gathered>) -> Vec<Total> {
    let mut totals: Vec<Total> = Vec::new();
    for total in teams.flat_map(|team| &team.totals) {
        match totals.iter_mut().find(|known| known.currency == total.currency) {
            Some(known) => {
                known.exact += total.exact;
                known.amount += total.amount;
            }
            None => totals.push(total.clone()),
        }
    }
    totals.sort_by(|one, other| one.currency.cmp(&other.currency));
    totals
}
