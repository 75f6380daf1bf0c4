//! Configuration, reload, admin API.
