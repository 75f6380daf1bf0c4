//! Clients of model APIs, unchanged, through the real binary: only their base URL and key are set.

mod agents;
mod all_down;
mod clients;
mod gemini;
mod official;
mod stage;
mod table;
