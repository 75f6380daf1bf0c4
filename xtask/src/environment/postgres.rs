//! The PostgreSQL server that tests of the ledger start for themselves.

use anyhow::{Context as _, Result};
use tollgate_test_support::PostgresPrograms;

use super::tools;
use crate::workspace::Workspace;

/// Makes sure that its programs are there. They stand outside of `PATH` on Debian, so what the tests
/// find is what counts.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    if PostgresPrograms::find().is_err() {
        tools::install_packages(workspace, &["postgresql"]).context("PostgreSQL is missing")?;
    }
    println!("{}", PostgresPrograms::find()?.version()?);
    Ok(())
}
