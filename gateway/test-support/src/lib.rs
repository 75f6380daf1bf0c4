//! Ledger tally, starters of real servers and SDK runners for the tests.
