//! Benches of the parts of the gateway that a request pays for; each one's title is its question.
//!
//! `cargo bench -p tollgate-benches` measures, `… -- --test` only runs each once.
