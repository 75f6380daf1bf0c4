//! Floor 2: AWS Signature Version 4 as pure functions over bytes and a given time.
//!
//! Both sides of the gateway stand on the same [canonical form](Line): towards an upstream a request
//! is [signed](sign), of a client a signature is [read and checked](Claim). Nothing here does I/O,
//! reads a clock or knows a configuration.
//!
//! Source of the algorithm: AWS IAM User Guide, "Create a signed AWS API request". The rules are those
//! of every service but S3: the path is encoded once more than it stands on the wire.

mod canonical;
mod claim;
mod instant;
mod key;
mod sign;

pub use canonical::{Field, Line};
pub use claim::{Claim, Fault, Unproven};
pub use key::{KeyPair, Scope};
pub use sign::{Signed, sign};
