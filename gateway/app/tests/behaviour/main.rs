//! The whole binary, seen from outside: clients, operators and finance look at a running gateway
//! while processes are killed, files are broken and budgets run out.
//!
//! Every test starts its own gateway and its own simulated providers. The short form is for every
//! day; `TOLLGATE_LONG=1` repeats more often and loads more.
#![allow(
    clippy::print_stdout,
    reason = "a test that measures tells its figures on stdout, for `--show-output`"
)]

mod backup;
mod big_bodies;
mod budget;
mod chart;
mod cli;
mod close;
mod collector;
mod command_line;
mod crash;
mod credentials;
mod drills;
mod figures;
mod foresight;
mod full_disk;
mod groupings;
mod kept_responses;
mod keys;
mod ledger_file;
mod load;
mod metrics;
mod mistakes;
mod mixed;
mod model_names;
mod monitoring;
mod observers;
mod operations;
mod operators;
mod outage;
mod postgres;
mod prices;
mod rebuild;
mod recompute;
mod refusals;
mod regions;
mod reload;
mod residency;
mod restart;
mod rolling_restart;
mod service_manager;
mod shutdown;
mod stage;
mod sums;
mod totals;
mod upstream_killed;
mod versions;
mod zones_in_an_outage;
