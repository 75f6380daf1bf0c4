//! Configuration, reload, admin API.

pub mod config;
pub mod history;
pub mod reload;
