//! A disk in the test's hand, under a real folder.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use tollgate_accounting::ledger::{About, Disk, DiskFile, Lock, SystemDisk};

use super::soon;

/// Whoever has a copy has the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiskInHand(Arc<Hand>);

#[derive(Debug, Default)]
struct Hand {
    mood: Mutex<Mood>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Mood {
    holds_syncs: bool,
    fails_syncs: bool,
    /// Files that can still be reserved; `None` is without end.
    space: Option<usize>,
    /// Syncs that wait.
    held: usize,
}

impl DiskInHand {
    /// From now on syncs do not return.
    pub(crate) fn hold_syncs(&self) {
        self.change(|mood| mood.holds_syncs = true);
    }

    /// Syncs return again, and those that wait.
    pub(crate) fn release_syncs(&self) {
        self.change(|mood| mood.holds_syncs = false);
    }

    /// From now on every sync fails, or none.
    pub(crate) fn fail_syncs(&self, fails: bool) {
        self.change(|mood| mood.fails_syncs = fails);
    }

    /// From now on so many files can be reserved.
    pub(crate) fn leave_space_for(&self, files: usize) {
        self.change(|mood| mood.space = Some(files));
    }

    /// Waits until a sync is held.
    pub(crate) async fn holds_a_sync(&self) {
        let disk = self.clone();
        let waiting = tokio::task::spawn_blocking(move || {
            let mood = disk.0.mood.lock().unwrap_or_else(PoisonError::into_inner);
            drop(disk.0.changed.wait_while(mood, |mood| mood.held == 0).expect("nobody panics in here"));
        });
        soon("a sync", waiting).await.expect("the wait ends");
    }

    fn change(&self, change: impl FnOnce(&mut Mood)) {
        change(&mut self.0.mood.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.changed.notify_all();
    }

    fn sync(&self) -> io::Result<()> {
        let mut mood = self.0.mood.lock().unwrap_or_else(PoisonError::into_inner);
        while mood.holds_syncs {
            mood.held += 1;
            self.0.changed.notify_all();
            mood = self.0.changed.wait(mood).unwrap_or_else(PoisonError::into_inner);
            mood.held -= 1;
        }
        if mood.fails_syncs { Err(io::Error::other("injected: no sync")) } else { Ok(()) }
    }
}

impl Disk for DiskInHand {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        SystemDisk.make_folder(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        SystemDisk.lock(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(FileInHand { disk: self.clone(), file: SystemDisk.create(path)? }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(FileInHand { disk: self.clone(), file: SystemDisk.open(path)? }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        SystemDisk.read(path)
    }

    fn head(&self, path: &Path, length: usize) -> io::Result<Vec<u8>> {
        SystemDisk.head(path, length)
    }

    fn about(&self, path: &Path) -> io::Result<About> {
        SystemDisk.about(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        SystemDisk.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        SystemDisk.sync_folder(folder)
    }
}

#[derive(Debug)]
struct FileInHand {
    disk: DiskInHand,
    file: Arc<dyn DiskFile>,
}

impl DiskFile for FileInHand {
    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut mood = self.disk.0.mood.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(space) = mood.space {
            mood.space = Some(space.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?);
        }
        drop(mood);
        self.file.allocate(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync()?;
        self.file.sync()
    }
}
