//! Credentials that end, kept fresh beside requests.
//!
//! An upstream's credential may come from a file that somebody else renews, from a metadata endpoint of
//! the machine, or from a token endpoint. A [`Source`] knows where it comes from and the cell where
//! requests find it; [`keep`] asks before the old one ends. Nothing here is on a request's path, and
//! nothing here shows a secret: what goes wrong is told by place and status.

mod aws;
mod desk;
mod entra;
mod gcp;
mod keeper;
mod plan;
mod token;

use std::{fmt, path::PathBuf, sync::Arc};

use tollgate_domain::{Name, Secret, UnixMillis, UpstreamName};
use tollgate_proxy::{CredentialCell, PostError};
use tollgate_sigv4::KeyPair;

pub use aws::{AwsWay, Shown};
pub use desk::Desk;
pub use entra::EntraWay;
pub use gcp::{GcpWay, ServiceAccount, UnusableKey};
pub use keeper::{Keeper, keep};

/// Where one upstream's credential comes from, and where it is put.
pub struct Source {
    /// Whose it is.
    pub upstream: UpstreamName,
    /// Changes with everything that it is made from.
    pub identity: Name,
    /// Where requests find it.
    pub cell: Arc<CredentialCell>,
    /// How it is had.
    pub way: Way,
}

/// How a credential is had.
pub enum Way {
    /// A bearer token in a file that somebody else renews.
    TokenFile(PathBuf),
    /// AWS.
    Aws(AwsWay),
    /// Microsoft Entra ID.
    Entra(EntraWay),
    /// Google Cloud.
    Gcp(GcpWay),
}

impl Way {
    /// Asks for a credential.
    ///
    /// # Errors
    /// There is none to be had now.
    ///
    /// # Cancel safety
    /// Dropping the future asks nothing more.
    pub async fn fetch(&self, now: UnixMillis) -> Result<Fresh, Trouble> {
        match self {
            Self::TokenFile(path) => token_file(path).map(|token| Fresh::token(token, None)),
            Self::Aws(way) => way.fetch().await,
            Self::Entra(way) => way.fetch(now).await,
            Self::Gcp(way) => way.fetch(now).await,
        }
    }
}

/// A credential that has just been had.
pub struct Fresh {
    /// What it is.
    pub what: FreshKind,
    /// When it ends; `None` where nobody says, so that the place it came from is looked at again soon.
    pub expires: Option<UnixMillis>,
}

/// What was had.
pub enum FreshKind {
    /// To be shown as a bearer token.
    Token(Secret),
    /// To sign with.
    Keys(KeyPair),
}

impl Fresh {
    fn token(token: Secret, expires: Option<UnixMillis>) -> Self {
        Self { what: FreshKind::Token(token), expires }
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Why no credential was had. Shown to operators, and names no secret.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// What was read is not what it should be.
    #[error("{place} holds {what}")]
    Unreadable {
        /// A file, or whoever was asked.
        place: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Nobody answered.
    #[error("{place} was not reached: {error}")]
    Unreachable {
        /// Who was asked.
        place: String,
        /// Why not.
        error: PostError,
    },
    /// Nobody answered in time.
    #[error("{0} did not answer in time")]
    Slow(String),
    /// Somebody answered no.
    #[error("{place} answered {status}{code}")]
    Refused {
        /// Who was asked.
        place: String,
        /// The status.
        status: u16,
        /// The error's name, where the answer has one, with a space before it.
        code: String,
    },
}

/// A token that stands in a file, without the space around it.
fn token_file(path: &std::path::Path) -> Result<Secret, Trouble> {
    let text = read(path)?;
    let token = text.expose().trim();
    if token.is_empty() {
        return Err(Trouble::Unreadable { place: path.display().to_string(), what: "no token" });
    }
    Ok(Secret::new(token.to_owned()))
}

fn read(path: &std::path::Path) -> Result<Secret, Trouble> {
    let text = std::fs::read_to_string(path);
    text.map(Secret::new).map_err(|error| Trouble::File { path: path.to_owned(), error })
}
