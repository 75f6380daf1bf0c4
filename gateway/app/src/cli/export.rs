//! `export`: files for finance.
//!
//! A file stands under its name only when it is whole: it is written beside its place and moved there
//! at the end. Whatever ends the export before, an interrupt too, takes the begun file away.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufWriter, IsTerminal, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::NamedTempFile;

use crate::say::say;

use super::client::{Client, ServerArgs};

/// A finance file's form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    /// One line per row of the ledger.
    Csv,
    /// FOCUS: one line per hour, project, key, target and meter.
    Focus,
    /// Apache Parquet: the rows of the ledger, typed.
    Parquet,
    /// An Excel workbook: a sheet per team, by day, project and model.
    Xlsx,
}

/// The form of a FOCUS file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum FocusFormat {
    Csv,
    Parquet,
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
    /// The form of a FOCUS file [default: csv]
    #[arg(long, value_name = "FORMAT")]
    format: Option<FocusFormat>,
    /// A workbook with a sheet of all requests too.
    #[arg(long)]
    detail: bool,
    /// The file to write; `-` or nothing is stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// A call to the server: the parts of its path, and its query.
struct Call<'a> {
    path: [&'static str; 2],
    query: Vec<(&'static str, &'a str)>,
}

impl ExportArgs {
    /// What is asked of the server.
    fn call(&self) -> Result<Call<'_>> {
        if self.kind != Kind::Focus && (self.focus_version.is_some() || self.format.is_some()) {
            bail!("--focus-version and --format are for FOCUS files: tollgate export focus");
        }
        if self.kind != Kind::Xlsx && self.detail {
            bail!("--detail is for workbooks; the other forms have every row: tollgate export xlsx");
        }
        let name = match self.kind {
            Kind::Csv => "csv",
            Kind::Focus => "focus",
            Kind::Parquet => "parquet",
            Kind::Xlsx => "xlsx",
        };
        let mut query = vec![("from", self.from.as_str()), ("to", self.to.as_str())];
        query.extend(self.focus_version.as_deref().map(|version| ("version", version)));
        query.extend(self.format.map(|format| match format {
            FocusFormat::Csv => ("format", "csv"),
            FocusFormat::Parquet => ("format", "parquet"),
        }));
        query.extend(self.detail.then_some(("detail", "true")));
        Ok(Call { path: ["export", name], query })
    }

    fn is_text(&self) -> bool {
        match self.kind {
            Kind::Csv => true,
            Kind::Focus => self.format != Some(FocusFormat::Parquet),
            Kind::Parquet | Kind::Xlsx => false,
        }
    }
}

pub(super) fn export(args: &ExportArgs) -> Result<()> {
    let Call { path, query } = args.call()?;
    let client = Client::new(&args.server)?;
    let file = args.out.as_deref().filter(|file| *file != Path::new("-"));
    let Some(file) = file else {
        let stdout = io::stdout().lock();
        if stdout.is_terminal() && !args.is_text() {
            bail!("this form of file is nothing to look at in a terminal; --out FILE says where it goes");
        }
        client.download(&path, &query, &mut BufWriter::new(stdout))?;
        return Ok(());
    };
    let cannot_write = || format!("cannot write {}", file.display());
    let mut target = Target::open(file).with_context(cannot_write)?;
    let bar = progress();
    let copied = client.download(&path, &query, &mut bar.wrap_write(target.writer()));
    bar.finish_and_clear();
    let bytes = copied.with_context(cannot_write)?;
    target.keep(file).with_context(cannot_write)?;
    say!("{}: {bytes} bytes", file.display());
    Ok(())
}

/// What has come so far, and how fast. It is shown on stderr, and only in a terminal.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {bytes} in {elapsed}, {bytes_per_sec}")
        .expect("the template names what there is");
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A file on its way to its place.
enum Target {
    /// Beside the place; it goes away unless it is kept.
    Beside(NamedTempFile),
    /// A device or a pipe is written where it is: a file must not take its place.
    Special(File),
}

impl Target {
    fn open(file: &Path) -> io::Result<Self> {
        if fs::metadata(file).is_ok_and(|known| !known.is_file()) {
            return Ok(Self::Special(File::options().write(true).open(file)?));
        }
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // Whoever may read new files of this user may read this one.
        let permissions = Permissions::from_mode(0o666);
        let beside = tempfile::Builder::new()
            .prefix(".tollgate-export-")
            .suffix(".part")
            .permissions(permissions)
            .tempfile_in(folder)?;
        Ok(Self::Beside(beside))
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Beside(beside) => beside.as_file_mut(),
            Self::Special(file) => file,
        }
    }

    /// Moves the whole file to its place, in one step.
    fn keep(self, file: &Path) -> io::Result<()> {
        if let Self::Beside(beside) = self {
            beside.as_file().sync_all()?;
            beside.persist(file)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_kept_leaves_nothing_and_the_old_one_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("november.csv");
        fs::write(&file, "old").expect("it is ours");
        let mut target = Target::open(&file).expect("there is room");
        target.writer().write_all(b"half").expect("there is room");
        drop(target);
        assert_eq!(fs::read_to_string(&file).expect("it is there"), "old");
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1);

        let mut target = Target::open(&file).expect("there is room");
        target.writer().write_all(b"whole").expect("there is room");
        target.keep(&file).expect("it is moved");
        assert_eq!(fs::read_to_string(&file).expect("it is there"), "whole");
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1);
    }

    #[test]
    fn a_device_keeps_its_place() {
        let mut target = Target::open(Path::new("/dev/null")).expect("it takes everything");
        target.writer().write_all(b"gone").expect("it takes everything");
        target.keep(Path::new("/dev/null")).expect("nothing is moved");
        assert!(!fs::metadata("/dev/null").expect("it is there").is_file());
    }
}
