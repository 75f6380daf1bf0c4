//! Whether a month can be closed at all, and what speaks for its figures.

use jiff::Timestamp;
use tollgate_accounting::ledger::{Closing, Dimension, UsageQuery, rfc3339};
use tollgate_domain::UnixMillis;

use super::{Books, Close, CloseError, Order, Place, Proof};
use crate::{
    reconcile::Reconciliation,
    statement::{CLOSE, Papers, open},
};

/// Two months that follow one another may have a gap or an overlap of so much, when the calendar's time
/// zone was changed between them.
const ZONES_APART: i64 = 27 * 3_600_000;

impl Books<'_> {
    /// Where the month stands; an error when it cannot be closed now.
    pub(super) fn place(&self, order: &Order, papers: &Papers) -> Result<Place, CloseError> {
        let month = order.month;
        if papers.text(CLOSE, &month.to_string()).is_some() {
            return Err(CloseError::AlreadyClosed(month));
        }
        let (begin, until) = month.window(self.zone);
        let closings = self.store.closings()?;
        let done = closes(papers);
        let is_done = |closing: &&Closing| done.iter().any(|close| close.until == rfc3339(closing.until));
        if let Some(broken) = closings.iter().find(|closing| !is_done(closing) && closing.until != until) {
            return Err(CloseError::Unfinished { until: rfc3339(broken.until) });
        }
        let closing = closings.iter().find(|closing| closing.until == until).cloned();
        let last = closings.iter().map(|closing| closing.until).rfind(|end| *end < until);
        if closing.is_none()
            && let Some(passed) = closings.iter().find(|closing| closing.until > until)
        {
            return Err(CloseError::Passed { month, until: rfc3339(passed.until) });
        }
        if order.now < until {
            return Err(CloseError::NotEnded { month, until: rfc3339(until) });
        }
        // A month goes on where the one before it was closed, also when zones have changed since.
        let from = last.filter(|last| last.since(begin).abs() <= ZONES_APART).unwrap_or(begin);
        self.refuse_open_time(order, last, from)?;
        let previous = done.last().map(|close| close.hash.clone());
        Ok(Place { from, until, closing, previous })
    }

    /// What is open before the month would be closed with it and stand in no statement.
    fn refuse_open_time(
        &self,
        order: &Order,
        open: Option<UnixMillis>,
        from: UnixMillis,
    ) -> Result<(), CloseError> {
        let query = UsageQuery {
            from: open,
            to: Some(from),
            by: vec![Dimension::Month],
            time_zone: self.zone.clone(),
            ..UsageQuery::default()
        };
        if open.is_some_and(|open| open >= from) {
            return Ok(());
        }
        match self.store.usage(&query)?.first().and_then(|group| group.group.first()) {
            Some((_, earlier)) => {
                Err(CloseError::EarlierOpen { month: order.month, earlier: earlier.clone() })
            }
            None => Ok(()),
        }
    }
}

/// The closes that are done, the earliest first.
fn closes(papers: &Papers) -> Vec<Close> {
    let mut closes: Vec<Close> = papers.of(CLOSE).filter_map(|(_, text)| open(text).ok()).collect();
    closes.sort_by_key(|close| close.until.parse::<Timestamp>().ok());
    closes
}

impl Proof {
    pub(super) fn without(&self) -> Option<String> {
        match self {
            Self::Without(reason) => Some(reason.clone()),
            Self::Invoices { .. } => None,
        }
    }

    /// The reason for accepting differences, where there are any to accept.
    pub(super) fn accepted(&self, reports: &[Reconciliation]) -> Option<String> {
        let needed = reports.iter().any(|report| !report.within_tolerance);
        match self {
            Self::Invoices { accept, .. } if needed => accept.clone(),
            _ => None,
        }
    }
}
