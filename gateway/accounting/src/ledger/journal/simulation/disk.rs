//! The simulated machine as a [`Disk`], with faults on request and a record of what was asked.

use std::{
    collections::{BTreeSet, HashSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{
    super::disk::{About, Disk, DiskFile, Lock},
    machine::{Image, Machine, Operation},
};

/// Shared by those who have it, as a disk is.
#[derive(Clone, Debug, Default)]
pub(in crate::ledger::journal) struct SimulatedDisk(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    machine: Machine,
    /// Every operation since the machine was switched on, or since the process began.
    operations: Vec<Operation>,
    folders: HashSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    /// Bytes that can still be reserved.
    space: Option<u64>,
    /// Calls that fail, each until taken back.
    broken: HashSet<(Call, PathBuf)>,
    /// The next call of this kind fails.
    fails_once: HashSet<Call>,
    /// Syncs wait while this is set.
    syncs_held: bool,
    /// Syncs that wait.
    syncs_waiting: usize,
}

/// A kind of call that can fail.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Call {
    Write,
    Sync,
    Rename,
    Create,
}

impl SimulatedDisk {
    /// A disk as a crash has left it.
    pub(super) fn of(machine: Machine) -> Self {
        let disk = Self::default();
        disk.0.state.lock().machine = machine;
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    /// Every operation so far.
    pub(super) fn operations(&self) -> Vec<Operation> {
        self.state().operations.clone()
    }

    pub(super) fn operation_count(&self) -> usize {
        self.state().operations.len()
    }

    /// From now on so many bytes can be reserved; `None` is without end.
    pub(super) fn set_space(&self, bytes: Option<u64>) {
        self.state().space = bytes;
    }

    /// The next call of this kind fails.
    pub(super) fn fail_once(&self, call: Call) {
        self.state().fails_once.insert(call);
    }

    /// Calls of this kind fail in this folder, or do so no more.
    pub(super) fn set_broken(&self, call: Call, folder: &Path, broken: bool) {
        let mut state = self.state();
        if broken {
            state.broken.insert((call, folder.to_owned()));
        } else {
            state.broken.remove(&(call, folder.to_owned()));
        }
    }

    /// From now on syncs wait, or all go on.
    pub(super) fn hold_syncs(&self, held: bool) {
        self.state().syncs_held = held;
        self.0.released.notify_all();
    }

    /// Returns once a sync waits.
    pub(super) fn wait_for_held_sync(&self) {
        let mut state = self.state();
        while state.syncs_waiting == 0 {
            self.0.released.wait(&mut state);
        }
    }

    /// How many segments have their names in this folder.
    pub(super) fn segments_in(&self, folder: &Path) -> usize {
        let state = self.state();
        let segment = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "journal");
        state.cache().names.keys().filter(|path| path.parent() == Some(folder)).filter(segment).count()
    }

    /// What a loss of power would leave for sure.
    pub(super) fn switched_off(&self) -> Self {
        let state = self.state();
        let nothing = &mut rand::SeedableRng::seed_from_u64(0);
        let image = state.machine.cut(super::machine::Cut::Nothing, nothing);
        Self::of(Machine::of(image))
    }
}

impl State {
    fn run(&mut self, operation: Operation) {
        self.machine.apply(&operation);
        self.operations.push(operation);
    }

    fn cache(&self) -> &Image {
        &self.machine.cache
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, path.display().to_string());
        self.cache().names.get(path).copied().ok_or_else(missing)
    }

    fn check(&mut self, call: Call, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(path).to_owned();
        if self.fails_once.remove(&call) || self.broken.contains(&(call, folder)) {
            return Err(io::Error::other(format!("injected: {call:?} {}", path.display())));
        }
        Ok(())
    }
}

impl Disk for SimulatedDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.state().folders.insert(folder.to_owned());
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let taken = !self.state().locks.insert(path.to_owned());
        Ok((!taken).then(|| Box::new(Held(self.clone(), path.to_owned())) as Lock))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.check(Call::Create, path)?;
        let file = state.cache().files.len();
        state.run(Operation::Create { path: path.to_owned(), file });
        drop(state);
        Ok(Arc::new(OpenFile { disk: self.clone(), file, path: path.to_owned() }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.state().find(path)?;
        Ok(Arc::new(OpenFile { disk: self.clone(), file, path: path.to_owned() }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        Ok(state.cache().files[state.find(path)?].to_vec())
    }

    fn head(&self, path: &Path, length: usize) -> io::Result<Vec<u8>> {
        let state = self.state();
        let content = &state.cache().files[state.find(path)?];
        Ok(content[..content.len().min(length)].to_vec())
    }

    fn about(&self, path: &Path) -> io::Result<About> {
        let state = self.state();
        let length = state.cache().files[state.find(path)?].len() as u64;
        Ok(About { length, modified: SystemTime::UNIX_EPOCH })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.state();
        Ok(state.cache().names.keys().filter(|path| path.parent() == Some(folder)).cloned().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check(Call::Rename, to)?;
        state.find(from)?;
        state.run(Operation::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.find(path)?;
        state.run(Operation::Remove { path: path.to_owned() });
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.state().run(Operation::SyncFolder { folder: folder.to_owned() });
        Ok(())
    }
}

#[derive(Debug)]
struct OpenFile {
    disk: SimulatedDisk,
    file: usize,
    path: PathBuf,
}

impl DiskFile for OpenFile {
    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        if let Some(space) = state.space {
            let left = space.checked_sub(bytes).ok_or(io::ErrorKind::StorageFull)?;
            state.space = Some(left);
        }
        let length = usize::try_from(bytes).map_err(io::Error::other)?;
        state.run(Operation::Resize { file: self.file, length });
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let failed = state.check(Call::Write, &self.path);
        // A write that fails may have come half way.
        let bytes = if failed.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        state.run(Operation::Write { file: self.file, offset, bytes: bytes.into() });
        failed
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.disk.state().run(Operation::Resize { file: self.file, length });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        while state.syncs_held {
            state.syncs_waiting += 1;
            self.disk.0.released.notify_all();
            self.disk.0.released.wait(&mut state);
            state.syncs_waiting -= 1;
        }
        if let Err(error) = state.check(Call::Sync, &self.path) {
            let seed = state.operations.len() as u64;
            state.run(Operation::FailedSync { file: self.file, seed });
            return Err(error);
        }
        state.run(Operation::Sync { file: self.file });
        Ok(())
    }
}

/// A lock that is given back.
#[derive(Debug)]
struct Held(SimulatedDisk, PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.state().locks.remove(&self.1);
    }
}
