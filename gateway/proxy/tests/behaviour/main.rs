//! The data plane from the outside: real sockets, simulated providers, a real journal, and the
//! ledger read back once the plane has stopped.

mod harness;

mod arrows;
mod bedrock;
mod bills;
mod clients;
mod conversations;
mod credentials;
mod crossings;
mod disk;
mod drills;
mod exits;
mod failover;
mod gemini;
mod health;
mod heartbeats;
mod hedges;
mod hostile;
mod hostile_bodies;
mod larger;
mod me;
mod objectives;
mod operations;
mod operators;
mod overload;
mod pass_through;
mod quirks;
mod quotas;
mod refusals;
mod residency;
mod responses;
mod routing;
mod signatures;
mod stored;
mod translation;
mod transport;
mod vectors;
mod versions;
mod waiting;
mod waste;
