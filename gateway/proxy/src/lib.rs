//! The data plane, in the order a request travels.
