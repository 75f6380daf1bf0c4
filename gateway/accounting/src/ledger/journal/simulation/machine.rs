//! What a machine holds of some files: on the device, and in memory only.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use rand::{Rng, RngExt, rngs::SmallRng};

/// A device writes so many bytes as one.
const SECTOR: usize = 512;

/// One change of a file or a name, or one promise about earlier changes.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Create {
        path: PathBuf,
        file: usize,
    },
    Resize {
        file: usize,
        length: usize,
    },
    Write {
        file: usize,
        offset: usize,
        bytes: Arc<[u8]>,
    },
    Sync {
        file: usize,
    },
    /// A sync that has failed: sectors are lost or kept as this seed tells, and none is tried again.
    FailedSync {
        file: usize,
        seed: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    SyncFolder {
        folder: PathBuf,
    },
}

/// Names and contents.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) files: Vec<Arc<Vec<u8>>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// What the device has for sure.
    durable: Image,
    /// What processes see.
    pub(super) cache: Image,
    /// What may or may not be on the device yet.
    pending: Vec<Operation>,
}

/// How much of what is pending a loss of power leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cut {
    /// Nothing of it.
    Nothing,
    /// All of it, but the last change.
    AllButLast,
    /// Everything up to some moment.
    UpTo,
    /// Each sector as of a moment of its own, and any of the names.
    Torn,
    /// All names, and contents as in `Torn`: what a journalling file system tends to leave.
    TornContents,
}

impl Cut {
    pub(super) const ALL: [Self; 5] =
        [Self::Nothing, Self::AllButLast, Self::UpTo, Self::Torn, Self::TornContents];
}

impl Machine {
    /// A machine that was switched on with this on its device.
    pub(super) fn of(image: Image) -> Self {
        Self { durable: image.clone(), cache: image, pending: Vec::new() }
    }

    pub(super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { .. } => {
                self.cache.files.push(Arc::default());
                self.durable.files.push(Arc::default());
            }
            Operation::Sync { file } => return self.settle(|operation| operation.file() == Some(*file)),
            Operation::SyncFolder { folder } => {
                return self.settle(|operation| operation.is_name_in(folder));
            }
            Operation::FailedSync { file, seed } => return self.lose(*file, *seed),
            _ => {}
        }
        self.cache.change(operation);
        self.pending.push(operation.clone());
    }

    /// What the device holds after a loss of power.
    pub(super) fn cut(&self, cut: Cut, random: &mut SmallRng) -> Image {
        let mut image = self.durable.clone();
        let count = self.pending.len();
        match cut {
            Cut::Nothing => {}
            Cut::AllButLast => {
                self.pending[..count.saturating_sub(1)].iter().for_each(|operation| image.change(operation));
            }
            Cut::UpTo => {
                let moment = random.random_range(0..=count);
                self.pending[..moment].iter().for_each(|operation| image.change(operation));
            }
            Cut::Torn | Cut::TornContents => {
                for operation in self.pending.iter().filter(|operation| operation.file().is_none()) {
                    if cut == Cut::TornContents || random.random_bool(0.5) {
                        image.change(operation);
                    }
                }
                image.tear(&self.pending, random);
            }
        }
        image
    }

    /// The operations that match are on the device now.
    fn settle(&mut self, is_settled: impl Fn(&Operation) -> bool) {
        let Self { durable, pending, .. } = self;
        pending.retain(|operation| {
            let settled = is_settled(operation);
            if settled {
                durable.change(operation);
            }
            !settled
        });
    }

    fn lose(&mut self, file: usize, seed: u64) {
        let (lost, kept): (Vec<_>, Vec<_>) =
            self.pending.drain(..).partition(|operation| operation.file() == Some(file));
        self.pending = kept;
        self.durable.tear(&lost, &mut rand::SeedableRng::seed_from_u64(seed));
    }
}

impl Image {
    fn change(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { path, file } => drop(self.names.insert(path.clone(), *file)),
            Operation::Resize { file, length } => self.content(*file).resize(*length, 0),
            Operation::Write { file, offset, bytes } => write(self.content(*file), *offset, bytes),
            Operation::Rename { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Operation::Remove { path } => drop(self.names.remove(path)),
            Operation::Sync { .. } | Operation::FailedSync { .. } | Operation::SyncFolder { .. } => {}
        }
    }

    fn content(&mut self, file: usize) -> &mut Vec<u8> {
        Arc::make_mut(&mut self.files[file])
    }

    /// Brings each sector to the state of some moment, and each file to the length of one.
    fn tear(&mut self, operations: &[Operation], random: &mut SmallRng) {
        let seed = random.next_u64();
        // The same sector meets the same moment in every operation on it.
        let moment = |file: usize, sector: usize| {
            let mixed = (seed ^ (file as u64) << 32 ^ sector as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 33) as usize % (operations.len() + 1)
        };
        for (at, operation) in operations.iter().enumerate() {
            match operation {
                Operation::Resize { file, .. } if at < moment(*file, usize::MAX >> 1) => {
                    self.change(operation);
                }
                Operation::Write { file, offset, bytes } => {
                    let mut from = 0;
                    while from < bytes.len() {
                        let sector = (offset + from) / SECTOR;
                        let to = ((sector + 1) * SECTOR - offset).min(bytes.len());
                        if at < moment(*file, sector) {
                            write(self.content(*file), offset + from, &bytes[from..to]);
                        }
                        from = to;
                    }
                }
                _ => {}
            }
        }
    }
}

impl Operation {
    /// The file whose content it changes.
    fn file(&self) -> Option<usize> {
        match self {
            Self::Resize { file, .. } | Self::Write { file, .. } => Some(*file),
            _ => None,
        }
    }

    fn is_name_in(&self, folder: &Path) -> bool {
        match self {
            Self::Create { path, .. } | Self::Remove { path } => path.parent() == Some(folder),
            Self::Rename { to, .. } => to.parent() == Some(folder),
            _ => false,
        }
    }
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}
