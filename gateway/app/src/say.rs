//! What is said beside the data, on stderr.

/// Writes a line to stderr. A reader that has left (`tollgate check 2>&1 | head -1`) is nobody's
/// failure: `eprintln!` would end the process with a panic.
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($part)*);
    }};
}

pub(crate) use say;
