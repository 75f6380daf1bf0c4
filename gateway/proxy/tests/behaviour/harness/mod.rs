//! What the tests stand on: a data plane in this process, a client that sees every byte, upstreams
//! in the test's hand, and a ledger that is read when all is over.
//!
//! Every wait is for an event and ends with a panic after [`PATIENCE`]; no test proves anything by
//! the passing of time.

pub(crate) mod client;
pub(crate) mod disk;
pub(crate) mod gateway;
pub(crate) mod ledger;
pub(crate) mod setup;
pub(crate) mod upstream;

use std::{future::Future, net::SocketAddr, time::Duration};

use socket2::{Domain, Socket, Type};

pub(crate) use client::{Answer, Ask, Raw};
pub(crate) use disk::DiskInHand;
pub(crate) use gateway::Gateway;
pub(crate) use ledger::Ledger;
pub(crate) use setup::{Setup, TargetSetup};
pub(crate) use upstream::ByHand;

use tollgate_simulator::{Options, Script, Simulator};

/// Far longer than anything here takes, also on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for an event that is certain to come.
pub(crate) async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// Waits until something is so that cannot be waited for otherwise.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let watch = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(what, watch).await;
}

/// A provider that answers as it should.
pub(crate) async fn provider() -> Simulator {
    Simulator::start(Options::default()).await.expect("a free port")
}

/// An address where nobody listens, and nobody else will while the socket is kept.
pub(crate) fn nobody() -> (SocketAddr, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    let address = socket.local_addr().expect("a bound socket").as_socket().expect("an IP address");
    (address, socket)
}

/// A provider whose next answer is scripted.
pub(crate) async fn scripted(script: Script) -> Simulator {
    let provider = provider().await;
    provider.script(script);
    provider
}
