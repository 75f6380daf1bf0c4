//! The data plane from the outside: real sockets, simulated providers, a real journal, and the
//! ledger read back once the plane has stopped.

mod harness;

mod exits;
