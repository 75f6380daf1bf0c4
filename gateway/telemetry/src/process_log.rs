//! What the gateway says about itself, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

/// The shape of a line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// Sends the events of `tracing` to standard error, in this format, where `filter` (such as
/// `info,tollgate_proxy=debug`) lets them pass.
///
/// # Errors
/// When the filter is malformed, or the process has a subscriber already.
pub fn init_process_log(format: LogFormat, filter: &str) -> Result<(), ProcessLogError> {
    let filter = EnvFilter::builder().parse(filter).map_err(|source| ProcessLogError::Filter {
        filter: filter.to_owned(),
        reason: source.to_string(),
    })?;
    // A line that cannot be written is lost: to say so on the same closed stream would be a panic.
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
    let json = match format {
        LogFormat::Auto => !io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let installed =
        if json { lines.json().flatten_event(true).try_init() } else { lines.with_target(false).try_init() };
    installed.map_err(|_| ProcessLogError::AlreadyInstalled)
}

/// Why the process log cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ProcessLogError {
    /// The filter is no list of directives.
    #[error("log filter `{filter}`: {reason}")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another subscriber came first.
    #[error("the process log is already installed")]
    AlreadyInstalled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_filter_is_named() {
        let error = init_process_log(LogFormat::Json, "tollgate=loud").expect_err("no such level");
        assert!(error.to_string().starts_with("log filter `tollgate=loud`: "), "{error}");
    }
}
