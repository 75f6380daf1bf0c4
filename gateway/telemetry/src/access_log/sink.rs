//! Where access lines end up.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::SystemTime,
};

use super::rotation::{LogFile, Rotation};

/// Where to write access lines.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Destination {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// The end of a file, made when it does not exist, and put aside now and then if that is wanted.
    File(PathBuf, Option<Rotation>),
}

/// Why the access log cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// The file cannot be opened for appending.
    #[error("access log {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread cannot be started.
    #[error("the access log's thread does not start: {0}")]
    Thread(io::Error),
}

/// An open destination. A failing one is told of once, and again when it has recovered; it is
/// tried with every buffer, since a full disk may be emptied.
pub(super) struct Sink {
    to: To,
    failing: bool,
}

enum To {
    Stream(Box<dyn Write + Send>),
    File(LogFile),
}

impl Sink {
    pub(super) fn open(destination: Destination) -> Result<Self, AccessLogError> {
        Ok(match destination {
            Destination::Stdout => Self::to(Box::new(io::stdout())),
            Destination::Stderr => Self::to(Box::new(io::stderr())),
            Destination::File(path, rotation) => match LogFile::open(path.clone(), rotation) {
                Ok(file) => Self { to: To::File(file), failing: false },
                Err(source) => return Err(AccessLogError::Open { path, source }),
            },
        })
    }

    pub(super) fn to(writer: Box<dyn Write + Send>) -> Self {
        Self { to: To::Stream(writer), failing: false }
    }

    /// Opens a file anew by its name; keeps the old one when that fails.
    pub(super) fn reopen(&mut self) {
        let To::File(file) = &mut self.to else { return };
        if let Err(error) = file.reopen() {
            tracing::warn!(path = %file.path().display(), %error, "access log is not reopened");
        }
    }

    /// Writes all of `bytes` through to the system; false when it does not take them.
    pub(super) fn write(&mut self, bytes: &[u8]) -> bool {
        let result = match &mut self.to {
            To::Stream(writer) => writer.write_all(bytes).and_then(|()| writer.flush()),
            To::File(file) => file.write(bytes, SystemTime::now()),
        };
        match &result {
            Err(error) if !self.failing => tracing::warn!(%error, "access log loses lines"),
            Ok(()) if self.failing => tracing::info!("access log writes again"),
            _ => {}
        }
        self.failing = result.is_err();
        !self.failing
    }
}
