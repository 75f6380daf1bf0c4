//! Configuration, reload, credentials that end, operators' states, drills, alerts, raised budgets, the admin API
//! and the console.

pub mod admin;
pub mod alerts;
pub mod capacity;
pub mod codes;
pub mod config;
mod console;
pub mod credentials;
pub mod drills;
pub mod history;
pub mod operate;
pub mod probes;
pub mod raises;
pub mod reload;
pub mod sessions;
