//! A simulator as its callers see it.

mod answers;
mod books;
mod client;
mod faults;
mod gemini;
mod invoke;
mod process;
mod standing;
