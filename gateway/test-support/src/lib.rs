//! What the tests of the whole gateway share: the real binary as a child process, a raw HTTP
//! client that hides nothing, a client of the admin API, a real PostgreSQL server, the comparison of ledger rows with what
//! the simulated providers say they served, and runners of SDKs and other clients.
//!
//! A development dependency only. Everything returns errors instead of panicking, so that a task
//! of the build can use it too.

mod admin;
mod client;
mod config_text;
mod events;
mod gateway;
mod postgres;
mod sdk;
mod tally;

pub use self::{
    admin::Admin,
    client::{Caller, Reply, Streaming},
    config_text::{ConfigText, Side},
    events::{Event, events_of},
    gateway::{Gateway, Launch},
    postgres::{PostgresPrograms, PostgresServer, PostgresSession},
    sdk::{Check, Sdk, agents, assess, python},
    tally::LedgerTally,
};
