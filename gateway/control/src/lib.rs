//! Configuration, reload, credentials that end, operators' states, run-time keys, drills, alerts, raised budgets,
//! observers outside, the admin API and the console.

pub mod admin;
pub mod alerts;
pub mod backup;
pub mod capacity;
pub mod chronicle;
pub mod codes;
pub mod config;
mod console;
pub mod credentials;
pub mod drills;
pub mod explain;
pub mod feed;
pub mod history;
pub mod import;
pub mod keys;
pub mod operate;
pub mod otlp;
pub mod probes;
pub mod raises;
pub mod reload;
pub mod sessions;
pub mod trial;
