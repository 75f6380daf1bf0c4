//! Configuration, reload, operators' states, the admin API.

pub mod admin;
pub mod capacity;
pub mod codes;
pub mod config;
pub mod history;
pub mod operate;
pub mod reload;
