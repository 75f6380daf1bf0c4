//! Configuration, reload, admin API.

pub mod config;
