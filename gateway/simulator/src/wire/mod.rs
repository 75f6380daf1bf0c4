//! How answers get onto sockets: by hand on HTTP/1.1, where every byte counts, by hyper on HTTP/2.

mod http1;
mod http2;
mod request_reader;

use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::server::{Phase, Shared};

/// How a connection is taken down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Goodbye {
    /// FIN.
    Close,
    /// RST.
    Reset,
}

/// Serves a connection to its end.
pub(crate) async fn serve(mut stream: TcpStream, shared: Arc<Shared>, mut phase: watch::Receiver<Phase>) {
    // Without it a small answer waits for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    if shared.take_refusal() {
        reset_on_close(&stream);
        return;
    }
    let mut aborted = phase.clone();
    let speaks_http2 = tokio::select! {
        answer = opens_with_preface(&stream) => answer,
        () = at_phase(&mut phase, Phase::Draining) => return,
    };
    if speaks_http2 {
        http2::serve(stream, shared, phase).await;
        return;
    }
    let goodbye = tokio::select! {
        goodbye = http1::serve(&mut stream, &shared, &mut phase) => goodbye,
        () = at_phase(&mut aborted, Phase::Aborted) => Goodbye::Reset,
    };
    if goodbye == Goodbye::Reset {
        reset_on_close(&stream);
    }
}

/// Waits until the simulator is in that phase or a later one.
pub(crate) async fn at_phase(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // The sender lives in the simulator's handle; when that is gone the end has come too.
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}

/// Makes the next close of the socket send RST instead of FIN.
fn reset_on_close(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Whether the first bytes are those of HTTP/2 with prior knowledge. `PRI` is no HTTP/1.1 method.
async fn opens_with_preface(stream: &TcpStream) -> bool {
    let mut first = [0; 3];
    loop {
        match stream.peek(&mut first).await {
            Ok(length) if length > 0 && b"PRI".starts_with(&first[..length]) => {
                if length == first.len() {
                    return true;
                }
                // The socket stays readable, so waiting for readiness would spin.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            _ => return false,
        }
    }
}
