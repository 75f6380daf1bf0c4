//! Are the papers what was sealed, and the rows what the papers say?

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use tollgate_accounting::ledger::{Dimension, LedgerStore, UsageQuery};
use tollgate_domain::{Money, UnixMillis};

use super::Close;
use crate::statement::{CLOSE, Folder, FolderError, Papers, STATEMENT, Sealed, Statement, open};

/// What was found.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Verified {
    /// Months that are closed.
    pub months: u64,
    /// Statements that were read.
    pub statements: u64,
    /// What is not as it was sealed.
    pub faults: Vec<String>,
}

impl Verified {
    /// True when nothing is changed, missing or added.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} closed months, {} statements", self.months, self.statements)?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "{fault}"))?;
        write!(
            f,
            "{}",
            if self.is_clean() { "no difference" } else { "the papers are not as they were sealed" }
        )
    }
}

/// Checks every paper in the store and in the folder, their chains, and the rows of closed months.
///
/// # Errors
/// The store or the folder cannot be read. What is wrong with a paper is part of the answer.
pub fn verify(store: &dyn LedgerStore, folder: &Path) -> Result<Verified, FolderError> {
    let papers = Papers::load(store)?;
    let mut check = Check { found: Verified::default() };
    let statements: Vec<Statement> = check.papers(&papers, STATEMENT);
    let mut closes: Vec<Close> = check.papers(&papers, CLOSE);
    closes.sort_by_key(|close| instant(&close.until));
    check.found.months = closes.len() as u64;
    check.found.statements = statements.len() as u64;
    check.files(&papers, Folder(folder))?;
    check.chains(&statements, &closes);
    for close in &closes {
        check.closing(store, close)?;
        check.rows(store, close, &statements)?;
    }
    Ok(check.found)
}

struct Check {
    found: Verified,
}

impl Check {
    fn fault(&mut self, fault: String) {
        self.found.faults.push(fault);
    }

    /// Opens the papers of a kind.
    fn papers<T: Sealed>(&mut self, papers: &Papers, kind: &str) -> Vec<T> {
        let mut opened = Vec::new();
        for (name, text) in papers.of(kind) {
            match open::<T>(text) {
                Ok(paper) if paper.name() == name => opened.push(paper),
                Ok(_) => self.fault(format!("{kind} {name} in the ledger is of another name")),
                Err(fault) => self.fault(format!("{kind} {name} in the ledger {fault}")),
            }
        }
        opened
    }

    /// Every file is what the ledger has, and everything that the ledger has is a file.
    fn files(&mut self, papers: &Papers, folder: Folder<'_>) -> Result<(), FolderError> {
        let mut filed: BTreeSet<(&str, String)> = BTreeSet::new();
        for month in folder.months()? {
            match folder.statements(&month) {
                Ok(files) => {
                    for (path, text) in files {
                        let name = open::<Statement>(&text).map(|paper| paper.id);
                        self.file(papers, STATEMENT, &path.display().to_string(), &text, name.clone());
                        filed.extend(name.ok().map(|name| (STATEMENT, name)));
                    }
                }
                Err(error) => self.changed(error)?,
            }
            match folder.close(&month) {
                Ok(Some(text)) => {
                    let name = open::<Close>(&text).map(|close| close.month);
                    self.file(papers, CLOSE, &format!("the close of {month}"), &text, name.clone());
                    filed.extend(name.ok().map(|name| (CLOSE, name)));
                }
                Ok(None) => {}
                Err(error) => self.changed(error)?,
            }
        }
        for kind in [STATEMENT, CLOSE] {
            for (name, _) in papers.of(kind) {
                if !filed.contains(&(kind, name.to_owned())) {
                    self.fault(format!("{kind} {name} has no file that says the same"));
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, papers: &Papers, kind: &str, what: &str, text: &str, name: Result<String, String>) {
        match name {
            Err(fault) => self.fault(format!("{what} {fault}")),
            Ok(name) if papers.text(kind, &name) != Some(text) => {
                self.fault(format!("{what} is not what the ledger has"));
            }
            Ok(_) => {}
        }
    }

    /// A file that was changed is a finding; one that cannot be read at all is an error.
    fn changed(&mut self, error: FolderError) -> Result<(), FolderError> {
        match error {
            FolderError::Changed { .. } => {
                self.fault(error.to_string());
                Ok(())
            }
            other => Err(other),
        }
    }

    /// Each paper holds the hash of the one before it, and each close those of its statements.
    fn chains(&mut self, statements: &[Statement], closes: &[Close]) {
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        let mut before: Option<&str> = None;
        for close in closes {
            if close.previous.as_deref() != before {
                self.fault(format!("the close of {} does not follow the close before it", close.month));
            }
            before = Some(&close.hash);
            for sealed in &close.statements {
                let Some(statement) = statements.iter().find(|statement| statement.id == sealed.id) else {
                    self.fault(format!("statement {} is missing", sealed.id));
                    continue;
                };
                if statement.hash != sealed.hash {
                    self.fault(format!("statement {} is not the one that was sealed", sealed.id));
                }
                if statement.previous.as_deref() != last.get(&*statement.team).copied() {
                    self.fault(format!("statement {} does not follow the team's one before it", sealed.id));
                }
                last.insert(&statement.team, &statement.hash);
            }
        }
        for statement in statements {
            let sealed = closes.iter().flat_map(|close| &close.statements);
            // Those of a close that broke off are sealed by it when it is finished.
            let is_later = closes.iter().all(|close| close.month != statement.month);
            if !is_later && !sealed.clone().any(|sealed| sealed.id == statement.id) {
                self.fault(format!("statement {} is in no close", statement.id));
            }
        }
    }

    fn closing(&mut self, store: &dyn LedgerStore, close: &Close) -> Result<(), FolderError> {
        let until = instant(&close.until);
        if store.closings()?.iter().all(|closing| closing.until != until) {
            self.fault(format!("the books are not closed up to the end of {}", close.month));
        }
        Ok(())
    }

    /// The sums of the rows are those of the statements.
    fn rows(
        &mut self,
        store: &dyn LedgerStore,
        close: &Close,
        statements: &[Statement],
    ) -> Result<(), FolderError> {
        let query = UsageQuery {
            from: Some(instant(&close.from)),
            to: Some(instant(&close.until)),
            by: vec![Dimension::Team],
            time_zone: TimeZone::UTC,
            ..UsageQuery::default()
        };
        let mut rows: BTreeMap<(String, String), Money> = BTreeMap::new();
        for group in store.usage(&query)? {
            let team = group.group.first().map(|(_, team)| team.clone()).unwrap_or_default();
            rows.insert((team, group.currency.to_string()), group.cost);
        }
        let sealed = statements.iter().filter(|statement| statement.month == close.month);
        for statement in sealed {
            for total in &statement.totals {
                let found =
                    rows.remove(&(statement.team.clone(), total.currency.clone())).unwrap_or_default();
                if found != total.exact {
                    self.fault(format!(
                        "statement {} is of {} {}, the rows are of {found}",
                        statement.id, total.exact, total.currency
                    ));
                }
            }
        }
        for ((team, currency), cost) in rows.into_iter().filter(|(_, cost)| !cost.is_zero()) {
            self.fault(format!("{team} has rows of {cost} {currency} in {} and no statement", close.month));
        }
        Ok(())
    }
}

fn instant(text: &str) -> UnixMillis {
    UnixMillis::new(text.parse::<Timestamp>().map_or(0, |at| at.as_millisecond()))
}
