//! Laws that hold for any bytes, one target for each parser of what strangers send.
//!
//! A target is one function over bytes that panics when a law is broken. It has two forms: the tests of
//! this crate run it over its corpus and over seeded [`mutations`](Mutations) of that, and `cargo xtask
//! fuzz` puts libFuzzer under the same function, which finds its way by the coverage. What it finds
//! becomes a file in the corpus.

mod cut;
mod known;
mod mutate;
mod numbers;
mod spaced;
mod target;

mod form;
mod hub;
mod invoice;
mod path;
mod price_list;
mod reply;
mod request;
mod row;
mod split;
mod stream;
mod trace;

pub use mutate::{Dictionary, Mutations};
pub use target::Target;
