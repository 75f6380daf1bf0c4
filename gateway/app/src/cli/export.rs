//! `export`: files for finance.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::{
    client::{Client, ServerArgs},
    not_available,
};

/// A finance file's form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    /// One line per row of the ledger.
    Csv,
    /// FOCUS: one line per hour, project, key, target and meter.
    Focus,
    /// Apache Parquet (not available yet).
    Parquet,
    /// Excel (not available yet).
    Xlsx,
}

#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// The form.
    kind: Kind,
    /// From this time on: RFC 3339, a date, a month, or relative (-7d, today, this-month).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: String,
    /// Up to but without this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: String,
    /// The version of FOCUS: 1.2 or 1.4 [default: 1.4]
    #[arg(long, value_name = "VERSION")]
    focus_version: Option<String>,
    /// The file to write; without it stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn export(args: &ExportArgs) -> Result<()> {
    let name = match args.kind {
        Kind::Csv => "csv",
        Kind::Focus => "focus",
        Kind::Parquet => return Err(not_available("tollgate export parquet")),
        Kind::Xlsx => return Err(not_available("tollgate export xlsx")),
    };
    let client = Client::new(&args.server)?;
    let path = ["export", name];
    let mut query = vec![("from", args.from.as_str()), ("to", args.to.as_str())];
    query.extend(args.focus_version.as_deref().map(|version| ("version", version)));
    let Some(file) = &args.out else {
        client.download(&path, &query, &mut BufWriter::new(io::stdout().lock()))?;
        return Ok(());
    };
    // Beside its final place first: a broken download never stands under the name of a whole file.
    let part = file.with_added_extension("part");
    let mut target = File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
    let copied = client.download(&path, &query, &mut target).and_then(|bytes| {
        target.sync_all()?;
        std::fs::rename(&part, file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(bytes)
    });
    match copied {
        Ok(bytes) => eprintln!("{}: {bytes} bytes", file.display()),
        Err(error) => {
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
    }
    Ok(())
}
