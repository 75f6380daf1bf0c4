//! Responses against chat completions and messages, in both directions.

mod replies;
mod requests;
mod streams;
