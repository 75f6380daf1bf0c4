//! Moving in: configurations of other gateways, turned into ours.
//!
//! Nothing is dropped silently: what has no counterpart here, or another meaning, stands in the report
//! with its place in the file. No secret is copied: references stay references, and what stood in the
//! file itself becomes a variable that the report names.

pub mod litellm;
mod report;
mod source;
mod write;

pub use self::report::{Note, Outcome};

/// A configuration of ours that was made of another one.
pub struct Imported {
    /// The main file.
    pub config: String,
    /// The price file, where the other configuration has prices.
    pub prices: Option<String>,
    /// What needs somebody's attention, in the order of the file.
    pub notes: Vec<Note>,
}
