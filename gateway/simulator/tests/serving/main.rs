//! A simulator as its callers see it.

mod answers;
mod client;
mod faults;
mod process;
