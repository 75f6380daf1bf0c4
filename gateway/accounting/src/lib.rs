//! Price book, quotas and the ledger's journal.
