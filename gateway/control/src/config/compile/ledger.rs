//! Where the ledger's rows are kept.

use std::{path::PathBuf, time::Duration};

use tollgate_stores::ServerUrl;

use crate::config::{
    document::Document,
    file::Store,
    problem::{Path, Problem},
};

/// A store that was chosen, and where it is.
#[derive(Clone, Debug)]
pub enum LedgerPlace {
    /// The embedded store, in this file.
    File(PathBuf),
    /// A PostgreSQL server.
    Server {
        /// Where it is, with the right to use it.
        url: Box<ServerUrl>,
        /// How long rows are kept; none: for ever.
        retention: Option<Duration>,
    },
}

pub(super) fn compile(document: &Document, problems: &mut Vec<Problem>) -> LedgerPlace {
    let section = &document.file.ledger;
    let file = LedgerPlace::File(document.sources().resolve(&document.file.data_dir).join("ledger.db"));
    let url = match (section.store, &section.url) {
        (Store::Postgres, Some(url)) => url,
        (Store::Sqlite, _) | (Store::Postgres, None) => return file,
    };
    match ServerUrl::parse(url.0.expose()) {
        Ok(url) => {
            LedgerPlace::Server { url: Box::new(url), retention: section.retention.map(|span| span.0) }
        }
        Err(error) => {
            let path = Path::default().field("ledger").field("url");
            problems.push(document.problem(path, error.to_string()));
            file
        }
    }
}
