//! `backup` and `restore`: what a gateway keeps, in one file, and a folder made of it again that is known
//! to be good before it has its name.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, BufWriter, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tollgate_accounting::ledger::{self, Journal, JournalOptions, LedgerStore as _, Loader};
use tollgate_control::{
    backup::{BackupWriter, Manifest, unpack},
    config::{Document, LedgerPlace, Sources},
};
use tollgate_stores::{SqliteStore, copy_sqlite};

use super::{ConfigFile, output, verify::journal_folder};
use crate::run::{first_look, wall_clock};

/// How SQLite files begin.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// What SQLite keeps beside a file while it is in use; a copy has it all in one.
const BESIDE_SQLITE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Where the configuration's files are in a backup.
const CONFIGURATION: &str = "configuration";

#[derive(Args, Debug)]
pub(super) struct BackupArgs {
    /// The file to write; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The gateway's configuration, which names its data folder and is backed up with it.
    #[command(flatten)]
    config: ConfigFile,
    /// The gateway's data folder alone, without a configuration.
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data folder to make; it must not be there, or be empty.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// What is backed up.
struct Kept {
    data_dir: PathBuf,
    instance: String,
    has_ledger: bool,
    document: Option<Document>,
}

impl Kept {
    fn of(args: &BackupArgs) -> Result<Self> {
        if let Some(dir) = &args.dir {
            let journal = journal_folder(dir)?;
            let instance = journal.file_name().context("the journal's folder has a name")?;
            let instance = instance.to_string_lossy().into_owned();
            let has_ledger = dir.join("ledger.db").is_file();
            return Ok(Self { data_dir: dir.clone(), instance, has_ledger, document: None });
        }
        let document = Document::load(&args.config.path(), &Sources::process())?;
        let settings = first_look(&document)?;
        Ok(Self {
            instance: settings.instance.to_string(),
            has_ledger: matches!(settings.ledger, LedgerPlace::File(_)),
            data_dir: settings.data_dir,
            document: Some(document),
        })
    }

    fn journal(&self) -> PathBuf {
        self.data_dir.join("journal").join(&self.instance)
    }
}

/// Writes a backup, also of a gateway that runs.
pub(super) fn backup(args: &BackupArgs) -> Result<()> {
    let kept = Kept::of(args)?;
    if !kept.journal().is_dir() {
        bail!("no journal at {}", kept.journal().display());
    }
    if args.out.exists() {
        bail!("{} is there already; a backup overwrites nothing", args.out.display());
    }
    let folder = args.out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let scratch = tempfile::Builder::new()
        .prefix(".tollgate-backup")
        .tempdir_in(folder.unwrap_or(Path::new(".")))
        .with_context(|| format!("cannot write beside {}", args.out.display()))?;
    let partial = scratch.path().join("backup");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    let program = env!("CARGO_PKG_VERSION");
    let into = BufWriter::new(file);
    let mut writer = BackupWriter::new(into, wall_clock(), program, &kept.instance, kept.has_ledger);
    add_all(&mut writer, &kept, scratch.path())?;
    let (mut into, manifest) = writer.finish()?;
    into.flush()?;
    into.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    fs::rename(&partial, &args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    tell(&format!("{} is whole", args.out.display()), &manifest)
}

/// In this order: the journal has all that the ledger has, so that the ledger is copied first; what
/// the journal has more is loaded when the backup is restored.
fn add_all(writer: &mut BackupWriter<BufWriter<File>>, kept: &Kept, scratch: &Path) -> Result<()> {
    let (databases, others) = files_of(&kept.data_dir)?;
    for path in &databases {
        let copy = scratch.join("copy");
        copy_sqlite(path, &copy).with_context(|| format!("cannot copy {}", path.display()))?;
        let bytes = fs::metadata(&copy)?.len();
        writer.add(&name_in(&kept.data_dir, path)?, bytes, File::open(&copy)?)?;
        fs::remove_file(&copy)?;
    }
    for path in &others {
        add_whole(writer, &name_in(&kept.data_dir, path)?, path)?;
    }
    for path in ledger::files_to_copy(&kept.journal())? {
        let name = path.file_name().context("files have names")?.to_string_lossy();
        add_whole(writer, &format!("journal/{}/{name}", kept.instance), &path)?;
    }
    for (number, part) in kept.document.iter().flat_map(|document| &document.parts).enumerate() {
        let name = part.path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy());
        let name = format!("{CONFIGURATION}/{number:02}-{name}");
        writer.add(&name, part.text.len() as u64, part.text.as_bytes())?;
    }
    Ok(())
}

/// One state of a file, which may grow meanwhile; one that is gone was not needed any more.
fn add_whole(writer: &mut BackupWriter<BufWriter<File>>, name: &str, path: &Path) -> Result<()> {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    Ok(writer.add(name, content.len() as u64, content.as_slice())?)
}

/// The databases, and all else but the journal, in the order of their names.
fn files_of(data_dir: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut databases, mut others) = (Vec::new(), Vec::new());
    let mut folders = vec![data_dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && path != data_dir.join("journal") {
                folders.push(path);
            } else if kind.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if BESIDE_SQLITE.iter().any(|ending| name.ends_with(ending)) || name.ends_with(".new") {
                    continue;
                }
                if is_sqlite(&path) { databases.push(path) } else { others.push(path) }
            }
        }
    }
    databases.sort();
    others.sort();
    Ok((databases, others))
}

fn is_sqlite(path: &Path) -> bool {
    let mut begin = [0; SQLITE.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == SQLITE
}

fn name_in(folder: &Path, path: &Path) -> Result<String> {
    let name = path.strip_prefix(folder)?.to_str();
    Ok(name.with_context(|| format!("{} has a name that is no text", path.display()))?.to_owned())
}

/// Makes a data folder of a backup. It has its name only once it is known to be good.
pub(super) fn restore(args: &RestoreArgs) -> Result<()> {
    let dir = std::path::absolute(&args.dir)?;
    if dir.exists() && (!dir.is_dir() || fs::read_dir(&dir)?.next().is_some()) {
        bail!("{} is there and not empty; a restore overwrites nothing", dir.display());
    }
    let above = dir.parent().context("a folder stands in a folder")?;
    fs::create_dir_all(above).with_context(|| format!("cannot create {}", above.display()))?;
    let backup = File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let scratch = tempfile::Builder::new().prefix(".tollgate-restore").tempdir_in(above)?;
    let folder = scratch.path().join("data");
    fs::create_dir(&folder)?;
    let manifest = unpack(BufReader::new(backup), &folder)
        .with_context(|| format!("{} cannot be restored", args.file.display()))?;
    let audited = prove(&folder, &manifest)?;
    fs::rename(&folder, &dir).with_context(|| format!("cannot make {}", dir.display()))?;
    File::open(above)?.sync_all()?;
    tell(&format!("{} is restored, {audited}", dir.display()), &manifest)
}

/// Does what a start does, closes what was open and loads what the ledger did not have, and then holds
/// the journal against the ledger.
fn prove(folder: &Path, manifest: &Manifest) -> Result<&'static str> {
    if !manifest.has_ledger {
        return Ok("its ledger is on a server and was not looked at");
    }
    let home = folder.join("journal").join(&manifest.instance);
    let path = folder.join("ledger.db");
    if !home.is_dir() || !path.is_file() {
        bail!("this backup has no journal or no ledger");
    }
    let store = Arc::new(SqliteStore::open(&path)?);
    {
        let journal = Journal::open(&home, JournalOptions::default())?;
        let recovered = journal.recover_beside(&*store, &manifest.instance, wall_clock())?;
        if !recovered.gaps.is_empty() || !recovered.rolled_back.is_empty() {
            bail!("the journal of this backup is damaged: {:?} {:?}", recovered.gaps, recovered.rolled_back);
        }
        let store: Arc<SqliteStore> = Arc::clone(&store);
        Loader::new(journal.folder(), store).run_once().context("loading the journal into the ledger")?;
        journal.sync()?;
    }
    let report = ledger::verify(&home, &*store)?;
    if !report.is_clean() || store.dead_letters()? > 0 {
        bail!("journal and ledger of this backup differ:\n{report}");
    }
    Ok("journal and ledger agree")
}

fn tell(what: &str, manifest: &Manifest) -> Result<()> {
    let bytes: u64 = manifest.parts.values().map(|part| part.bytes).sum();
    let (parts, mebibytes) = (manifest.parts.len(), bytes.div_ceil(1 << 20));
    let instance = &manifest.instance;
    output::write(format!("{what}: {parts} files of {instance}, {mebibytes} MiB\n").as_bytes())
}
