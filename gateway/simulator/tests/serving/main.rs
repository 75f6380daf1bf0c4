//! A simulator as its callers see it.

mod answers;
mod books;
mod client;
mod faults;
mod gemini;
mod process;
mod standing;
