//! What each store needs and does not take, and how large a segment of the journal may be.

use std::time::Duration;

use tollgate_accounting::ledger::JournalOptions;
use tollgate_stores::ServerUrl;

use crate::config::{file::Store, problem::Path};

use super::Check;

/// Rows that the journal may still bring again must be known when it does; that is a week, and whole
/// months are dropped.
const SHORTEST_RETENTION: Duration = Duration::from_secs(31 * 24 * 3_600);

impl Check<'_> {
    pub(super) fn ledger(&mut self) {
        let here = Path::default().field("ledger");
        let section = &self.file.ledger;
        match (section.store, &section.url) {
            (Store::Sqlite, None) => {}
            (Store::Sqlite, Some(_)) => self.error(
                here.field("url"),
                "is for the store `postgres`: leave it out, or say `store: postgres`",
            ),
            (Store::Postgres, None) => self.error(here.field("store"), "the store `postgres` needs a `url`"),
            (Store::Postgres, Some(url)) => match ServerUrl::parse(url.0.expose()) {
                Ok(_) => self.literal(&here.field("url")),
                Err(error) => self.error(here.field("url"), error.to_string()),
            },
        }
        match (section.store, section.retention) {
            (Store::Sqlite, Some(_)) => self.error(
                here.field("retention"),
                "is for the store `postgres`; the embedded ledger keeps all rows",
            ),
            (Store::Postgres, Some(span)) if span.0 < SHORTEST_RETENTION => {
                self.error(here.field("retention"), "must be at least 31d");
            }
            _ => {}
        }
        let sizes = JournalOptions::MIN_SEGMENT..=JournalOptions::MAX_SEGMENT;
        if section.journal.segment.is_some_and(|size| !sizes.contains(&size.0)) {
            self.error(here.field("journal").field("segment"), "a segment has between 256KiB and 1GiB");
        }
    }
}
