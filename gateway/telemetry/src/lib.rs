//! Every metric as one function with typed labels; the access log.
