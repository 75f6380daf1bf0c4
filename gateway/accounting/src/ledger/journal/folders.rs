//! The folders of a journal and the space reserved in them.
//!
//! The first folder is home: it tells by a small file where else segments may lie, so that whoever
//! reads the journal needs to know the first one only. A second folder, best on another device, is
//! taken while the first has no space, and for good once the first has failed.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    JournalError,
    disk::{self, Disk, DiskFile, Lock},
    segment::{self, Segment, SegmentHeader},
};

/// The file in the first folder that names the others, one absolute path a line.
const ELSEWHERE: &str = "elsewhere";
/// The file that is locked.
const LOCK: &str = "lock";
const SPARE: &str = "spare";

#[derive(Debug)]
pub(super) struct Folders {
    disk: Arc<dyn Disk>,
    list: Vec<Folder>,
    segment_bytes: u64,
    spares: Mutex<Vec<Spare>>,
    /// `spares.len()`, for those who only want to know.
    spare_count: AtomicU64,
    /// Names of reserved files are numbered, never used twice.
    next_spare: AtomicU64,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Held as long as the journal or any of its writers lives.
    _lock: Lock,
    /// A segment here could not be written or synced.
    failed: AtomicBool,
    /// A segment's name may not be on the device yet.
    dirty: AtomicBool,
}

/// A reserved file that no log has taken yet.
#[derive(Debug)]
pub(super) struct Spare {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    folder: usize,
}

impl Folders {
    /// Makes, locks and tidies the folders.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        paths: &[PathBuf],
        segment_bytes: u64,
    ) -> Result<Self, JournalError> {
        let mut list = Vec::new();
        for path in paths {
            list.push(Folder::open(&*disk, path)?);
        }
        let home = list.first().ok_or(JournalError::NoFolder)?.path.clone();
        remember(&*disk, &home, &paths[1..]).map_err(|source| JournalError::Io { path: home, source })?;
        Ok(Self {
            disk,
            list,
            segment_bytes,
            spares: Mutex::default(),
            spare_count: AtomicU64::new(0),
            next_spare: AtomicU64::new(0),
        })
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The first folder.
    pub(super) fn home(&self) -> &Path {
        &self.list[0].path
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn path(&self, folder: usize) -> &Path {
        &self.list[folder].path
    }

    /// No more segments are made in a folder that has failed, unless all have.
    pub(super) fn mark_failed(&self, folder: usize) {
        self.list[folder].failed.store(true, Ordering::Release);
        if self.list.iter().all(Folder::has_failed) {
            return;
        }
        let mut spares = self.spares.lock();
        spares.retain(|spare| spare.folder != folder);
        self.spare_count.store(spares.len() as u64, Ordering::Release);
    }

    pub(super) fn spare_count(&self) -> u64 {
        self.spare_count.load(Ordering::Acquire)
    }

    /// Reserves a file in the first folder that has the space.
    pub(super) fn make_spare(&self) -> io::Result<()> {
        let mut refusal = None;
        for folder in self.usable() {
            match self.reserve(folder) {
                Ok(spare) => {
                    let mut spares = self.spares.lock();
                    spares.push(spare);
                    self.spare_count.store(spares.len() as u64, Ordering::Release);
                    return Ok(());
                }
                Err(error) => refusal = Some(error),
            }
        }
        Err(refusal.expect("there is a folder"))
    }

    /// A reserved file for a log: one that is ready, else one made on the spot.
    pub(super) fn take_spare(&self) -> io::Result<Spare> {
        loop {
            let mut spares = self.spares.lock();
            if let Some(spare) = spares.pop() {
                self.spare_count.store(spares.len() as u64, Ordering::Release);
                return Ok(spare);
            }
            drop(spares);
            self.make_spare()?;
        }
    }

    /// Gives a file that holds its header, and perhaps records, the name by which readers find it.
    pub(super) fn publish(&self, spare: Spare, header: &SegmentHeader) -> io::Result<Segment> {
        let path = segment::path(self.path(spare.folder), header.log, header.number);
        self.disk.rename(&spare.path, &path)?;
        self.list[spare.folder].dirty.store(true, Ordering::Release);
        Ok(Segment { file: spare.file, path, folder: spare.folder })
    }

    /// Removes a reserved file that nothing will be kept in.
    pub(super) fn discard(&self, spare: Spare) {
        // If it stays, the next start removes it.
        let _ = self.disk.remove(&spare.path);
    }

    /// Brings the names of new segments in a folder to the device. One caller at a time.
    pub(super) fn sync_names(&self, folder: usize) -> io::Result<()> {
        let folder = &self.list[folder];
        if folder.dirty.swap(false, Ordering::AcqRel) {
            self.disk
                .sync_folder(&folder.path)
                .inspect_err(|_| folder.dirty.store(true, Ordering::Release))?;
        }
        Ok(())
    }

    /// As [`sync_names`](Self::sync_names), in every folder.
    pub(super) fn sync_all_names(&self) -> io::Result<()> {
        (0..self.list.len()).try_for_each(|folder| self.sync_names(folder))
    }

    fn usable(&self) -> impl Iterator<Item = usize> {
        let all_failed = self.list.iter().all(Folder::has_failed);
        (0..self.list.len()).filter(move |at| all_failed || !self.list[*at].has_failed())
    }

    fn reserve(&self, folder: usize) -> io::Result<Spare> {
        let number = self.next_spare.fetch_add(1, Ordering::Relaxed);
        let path = self.path(folder).join(format!("{number}.{SPARE}"));
        let file = self.disk.create(&path)?;
        if let Err(error) = file.allocate(self.segment_bytes) {
            drop(file);
            // Nobody refers to the file; if even this fails, the next start removes it.
            let _ = self.disk.remove(&path);
            return Err(error);
        }
        Ok(Spare { file, path, folder })
    }
}

impl Folder {
    fn open(disk: &dyn Disk, path: &Path) -> Result<Self, JournalError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { path, source }
        };
        disk.make_folder(path).map_err(at(path))?;
        let lock_path = path.join(LOCK);
        let lock = disk
            .lock(&lock_path)
            .map_err(at(&lock_path))?
            .ok_or_else(|| JournalError::Locked(path.to_owned()))?;
        remove_spares(disk, path).map_err(at(path))?;
        let (failed, dirty) = (AtomicBool::new(false), AtomicBool::new(true));
        Ok(Self { path: path.to_owned(), _lock: lock, failed, dirty })
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

impl Spare {
    /// The file under the name that it has for now.
    pub(super) fn segment(&self) -> Segment {
        Segment { file: Arc::clone(&self.file), path: self.path.clone(), folder: self.folder }
    }

    pub(super) fn file(&self) -> &dyn DiskFile {
        &*self.file
    }
}

/// The folders of a journal whose first one is known: those in use and those of former times.
pub(super) fn all_of(disk: &dyn Disk, home: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![home.to_owned()];
    match disk.read(&home.join(ELSEWHERE)) {
        Ok(text) => {
            let text = String::from_utf8(text).map_err(io::Error::other)?;
            folders.extend(text.lines().map(PathBuf::from));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(folders)
}

/// Writes down that segments may lie in these folders too, before any does.
fn remember(disk: &dyn Disk, home: &Path, others: &[PathBuf]) -> io::Result<()> {
    let mut known = all_of(disk, home)?;
    let count = known.len();
    for other in others {
        let other = std::path::absolute(other)?;
        if !known.contains(&other) {
            known.push(other);
        }
    }
    if known.len() == count {
        return Ok(());
    }
    let mut lines = String::new();
    for path in &known[1..] {
        let line = path.to_str().filter(|text| !text.contains('\n'));
        let unfit = || io::Error::other(format!("{} cannot be written into a line", path.display()));
        lines.push_str(line.ok_or_else(unfit)?);
        lines.push('\n');
    }
    disk::replace(disk, &home.join(ELSEWHERE), lines.as_bytes())
}

/// Removes what a former process had reserved and not used.
fn remove_spares(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    for path in disk.list(folder)? {
        if path.extension().is_some_and(|extension| extension == SPARE) {
            disk.remove(&path)?;
        }
    }
    Ok(())
}
