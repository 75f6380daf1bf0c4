//! Ledger stores behind accounting's traits.
