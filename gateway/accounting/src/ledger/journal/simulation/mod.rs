//! A disk that forgets: files in memory that know what the device has, what only the page cache has,
//! and what a loss of power can leave of it.
//!
//! A crash may leave any sector of a file as it was at any moment since the file's last sync, and any
//! of the changes of names since the folder's last sync. That is less than any file system promises.

mod crashes;
mod disk;
mod faults;
mod gathering;
mod machine;
mod workload;

pub(super) use disk::SimulatedDisk;
