//! Converse and the other dialects, by feature, both ways.
