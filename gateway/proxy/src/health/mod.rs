//! What is known of a target from its own answers: whether it fails ([`Breaker`]), has asked to be left
//! alone ([`Hold`]), or is slow ([`LoadEstimate`]).
//!
//! Attempts report here and choices look here; time is always an argument.

mod breaker;
mod hold;
mod load;

pub use breaker::{Breaker, BreakerState, Change, Entered, Passing, Sample, Told, Way};
pub use hold::{Defect, Hold};
pub use load::LoadEstimate;
