//! Benches of the parts of the gateway that a request pays for.
