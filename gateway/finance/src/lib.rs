//! Usage questions and finance files answered from the ledger.
