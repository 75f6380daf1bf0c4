//! Responses against chat completions and messages, in both directions.

mod from_responses;
mod proofs;
mod replies;
mod streams;
mod to_responses;
