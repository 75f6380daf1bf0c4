//! Configuration: from files to what the gateway runs on.
//!
//! The order of the work: [`Document::load`] reads the files into trees of values with places,
//! resolves references to the environment, types and checks them; `compile` turns the result into
//! the snapshot that requests see. Nothing here touches a running gateway.

mod check;
mod compile;
mod currency;
mod document;
mod expand;
pub mod file;
mod mask;
mod prices;
mod problem;
mod sources;
pub(crate) mod tree;
mod typed;

pub(crate) use self::compile::keys;
pub use self::{
    compile::{
        CertificateEnd, Compiled, LedgerPlace, ListenerSettings, Settings, check, compile, quotas,
        restart_only,
    },
    currency::is_currency,
    document::{Document, Part, fingerprint},
    file::{ConfigFile, schema},
    mask::Masks,
    prices::{PriceFile, PriceItem, TierItem},
    problem::{Errors, Path, Place, Problem, Severity},
    sources::Sources,
};
