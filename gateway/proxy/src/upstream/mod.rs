//! Toward a provider: connections, their pools, and the head of a request.
//!
//! One HTTP layer, one attempt: nothing in here retries. Each HTTP/1.1 connection is driven by the
//! exchange that uses it, so that what one read brings leaves in one write; idle ones wait in a
//! per-core stack.

mod connect;
mod connection;
mod credential;
mod egress;
mod io;
mod issued;
mod pool;
mod post;
mod request;

pub use connect::{ConnectError, client_tls};
pub use credential::{Credential, Origin, Presentation, Scheme, UnsendableCredential};
pub use issued::{CredentialCell, CredentialState, CredentialView, Issued};
pub(crate) use post::reach;
pub use post::{Fetched, PostError, fetch, post};

pub(crate) use connection::{Connection, Exchange, SendFailure};
pub(crate) use credential::Proof;
pub(crate) use pool::Pools;
pub(crate) use request::{UpstreamRequest, build};
