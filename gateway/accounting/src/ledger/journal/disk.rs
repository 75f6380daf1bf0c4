//! The disk under the journal: what the journal asks of the operating system, and nothing more.
//!
//! Whatever decides if a record survives passes through here, so that tests can stand in for a
//! device that is full, slow, failing or without power. A record costs one call through the trait:
//! about a nanosecond beside the microsecond of its write.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

/// Folders and files, as far as the journal needs them.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a folder and those above it; no error when it is there.
    ///
    /// # Errors
    /// As the system says.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// Locks a file, made if it is not there, for this process; `None` when another one has it.
    ///
    /// # Errors
    /// As the system says.
    fn lock(&self, path: &Path) -> io::Result<Option<Lock>>;

    /// Makes an empty file, replacing one of this name.
    ///
    /// # Errors
    /// As the system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file to change it.
    ///
    /// # Errors
    /// As the system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// The whole content of a file.
    ///
    /// # Errors
    /// As the system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The first bytes of a file, as many as it has up to `length`.
    ///
    /// # Errors
    /// As the system says.
    fn head(&self, path: &Path, length: usize) -> io::Result<Vec<u8>>;

    /// Length of a file and when it was last written.
    ///
    /// # Errors
    /// As the system says.
    fn about(&self, path: &Path) -> io::Result<About>;

    /// The paths in a folder, in any order.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Gives a file another name, replacing what has it.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Brings the names in a folder to the device.
    ///
    /// # Errors
    /// The names may or may not be there after a loss of power.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Reserves space on the device, so that writing into it cannot fail for want of it.
    ///
    /// # Errors
    /// There is not as much space.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// Some of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or makes it longer by zeros.
    ///
    /// # Errors
    /// As the system says.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Brings the content, though not the name, to the device.
    ///
    /// # Errors
    /// What was written since the last success may be lost, and *asking again proves nothing*: the
    /// system may have forgotten which pages it could not write.
    fn sync(&self) -> io::Result<()>;
}

/// Keeps a file locked until dropped.
pub type Lock = Box<dyn fmt::Debug + Send + Sync>;

/// What a folder tells of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct About {
    /// Bytes in it.
    pub length: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

/// The operating system's own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let missing = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        let made: Vec<&Path> = missing.collect();
        fs::create_dir_all(folder)?;
        // A new folder's own name must last as long as what lies in it.
        made.iter().filter_map(|path| path.parent()).try_for_each(|parent| {
            self.sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn head(&self, path: &Path, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        File::open(path)?.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn about(&self, path: &Path) -> io::Result<About> {
        let about = fs::metadata(path)?;
        Ok(About { length: about.len(), modified: about.modified()? })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

impl DiskFile for File {
    fn allocate(&self, bytes: u64) -> io::Result<()> {
        fs4::FileExt::allocate(self, bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Writes a small file so that either the old or the new content is there, whatever happens.
pub(super) fn replace(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = folder.join(name);
    let file = disk.create(&draft)?;
    file.write_at(content, 0)?;
    file.sync()?;
    disk.rename(&draft, path)?;
    disk.sync_folder(folder)
}
