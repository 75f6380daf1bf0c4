//! A wire that can fail: a TCP relay of ours between the gateway and a provider, all in user space.

use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Connections that may wait to be accepted while the wire is whole.
const BACKLOG: i32 = 1024;
/// A connection of ours that is not up by then has found the queue full.
const FILLED: Duration = Duration::from_millis(100);
/// How soon the relay's thread does what it is told.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that fill the queue of a deaf relay at most.
const FILLERS: usize = 8;

/// What the wire does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// Carries.
    Open,
    /// Resets all connections and answers no SYN: its queue is full, so the kernel drops them.
    Deaf,
    /// Takes connections and bytes, and carries nothing either way.
    Silent,
    /// Resets all connections, those that come too.
    Reset,
    /// No more: the relay's thread ends.
    Gone,
}

/// A relay on a thread of its own. Dropping it resets what it carries.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) addr: SocketAddr,
    listener: Socket,
    way: watch::Sender<Way>,
    /// What the thread does by now.
    heard: watch::Receiver<Way>,
    swallowed: Arc<AtomicU64>,
    /// They fill the queue while the relay is deaf.
    fillers: Vec<StdStream>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Relay {
    /// Listens on a free port of 127.0.0.1 and carries to that provider.
    pub(super) fn start(provider: SocketAddr) -> Result<Self> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        listener.set_nonblocking(true)?;
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        listener.listen(BACKLOG)?;
        let accepting: std::net::TcpListener = listener.try_clone()?.into();
        let addr = accepting.local_addr()?;
        let way = watch::Sender::new(Way::Open);
        let told = way.subscribe();
        let (hears, heard) = watch::channel(Way::Open);
        let swallowed = Arc::new(AtomicU64::new(0));
        let count = swallowed.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
            // An error here shows as a provider that does not answer.
            let _ = runtime.block_on(serve(accepting, provider, (told, hears), count));
        })?;
        Ok(Self { addr, listener, way, heard, swallowed, fillers: Vec::new(), thread: Some(thread) })
    }

    /// Requests that a silent wire has taken and not carried. A connection brings one at most: it has
    /// no answer to go on after.
    pub(super) fn swallowed(&self) -> u64 {
        self.swallowed.load(Ordering::Relaxed)
    }

    /// From now on the wire does this.
    pub(super) fn set(&mut self, way: Way) -> Result<()> {
        self.fillers.clear();
        // A second `listen` changes the length of the queue; 0 leaves room for one.
        self.listener.listen(if way == Way::Deaf { 0 } else { BACKLOG })?;
        self.way.send_replace(way);
        let told = Instant::now();
        while *self.heard.borrow() != way {
            ensure!(told.elapsed() < PATIENCE, "the relay does not hear");
            std::thread::sleep(Duration::from_millis(1));
        }
        if way == Way::Deaf {
            self.fill();
        }
        Ok(())
    }

    /// Connects until no more connection comes up.
    fn fill(&mut self) {
        while self.fillers.len() < FILLERS {
            match StdStream::connect_timeout(&self.addr, FILLED) {
                Ok(filler) => self.fillers.push(filler),
                Err(_) => return,
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.way.send_replace(Way::Gone);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    provider: SocketAddr,
    (mut way, hears): (watch::Receiver<Way>, watch::Sender<Way>),
    swallowed: Arc<AtomicU64>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let now = *way.borrow_and_update();
        hears.send_replace(now);
        if now == Way::Gone {
            return Ok(());
        }
        tokio::select! {
            accepted = listener.accept(), if now != Way::Deaf => {
                if let Ok((caller, _)) = accepted {
                    connections.spawn(carry(caller, provider, way.clone(), swallowed.clone()));
                }
            }
            _ = way.changed() => {}
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until an end closes it or the wire is cut.
async fn carry(
    mut caller: TcpStream,
    provider: SocketAddr,
    way: watch::Receiver<Way>,
    swallowed: Arc<AtomicU64>,
) {
    let (mut both, mut until_cut) = (way.clone(), way.clone());
    let carried = async {
        if *both.borrow() == Way::Silent {
            // Its request stays in the kernel's buffer.
            caller.readable().await?;
            swallowed.fetch_add(1, Ordering::Relaxed);
            is_open(&mut both).await;
        }
        let mut provider = TcpStream::connect(provider).await?;
        let _ = (caller.set_nodelay(true), provider.set_nodelay(true));
        let (from_caller, to_caller) = caller.split();
        let (from_provider, to_provider) = provider.split();
        // Whichever side ends, its last bytes have been carried.
        tokio::select! {
            done = one_way(from_caller, to_provider, way.clone(), Some(&swallowed)) => done,
            done = one_way(from_provider, to_caller, way.clone(), None) => done,
        }
    };
    let cut = async { until_cut.wait_for(|way| !matches!(way, Way::Open | Way::Silent)).await.is_ok() };
    let ends_well = tokio::select! {
        done = carried => done.is_ok(),
        _ = cut => false,
    };
    if !ends_well {
        let _ = SockRef::from(&caller).set_linger(Some(Duration::ZERO));
    }
}

async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut way: watch::Receiver<Way>,
    swallowed: Option<&AtomicU64>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        if let (Some(swallowed), true, Way::Silent) = (swallowed, count > 0, *way.borrow()) {
            swallowed.fetch_add(1, Ordering::Relaxed);
        }
        is_open(&mut way).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..count]).await?;
    }
}

async fn is_open(way: &mut watch::Receiver<Way>) {
    // The sender outlives the connections; without it there is nothing to wait for.
    let _ = way.wait_for(|way| *way == Way::Open).await;
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};

    use tollgate_simulator::{Options, Simulator};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(300);

    /// Asks for the models over a connection; the kind of error when there is no answer.
    fn ask(connection: &mut StdStream, patience: Duration) -> Result<String, ErrorKind> {
        let kind = |error: io::Error| error.kind();
        connection.set_read_timeout(Some(patience)).map_err(kind)?;
        connection.write_all(b"GET /v1/models HTTP/1.1\r\nhost: relay\r\n\r\n").map_err(kind)?;
        let mut bytes = [0; 12];
        connection.read_exact(&mut bytes).map_err(kind)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn each_way_to_fail_looks_as_it_should_from_outside() {
        let provider = Simulator::spawn_thread(Options::default()).expect("a free port");
        let mut relay = Relay::start(provider.addr()).expect("a free port");
        let connect = |relay: &Relay| StdStream::connect_timeout(&relay.addr, LONG).expect("it listens");
        let answered = |relay: &Relay| ask(&mut connect(relay), LONG) == Ok("HTTP/1.1 200".to_owned());
        assert!(answered(&relay));

        let mut kept = connect(&relay);
        relay.set(Way::Silent).expect("a socket");
        let silent = ask(&mut kept, SHORT).expect_err("nothing is carried");
        assert!(matches!(silent, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silent:?}");
        assert_eq!(relay.swallowed(), 1);

        relay.set(Way::Reset).expect("a socket");
        assert!(ask(&mut kept, LONG).is_err());
        // The cut may come as soon as the connection stands.
        let cut = StdStream::connect_timeout(&relay.addr, LONG).map_err(|error| error.kind());
        let reset = cut.and_then(|mut cut| ask(&mut cut, LONG)).expect_err("it is cut");
        assert!(!matches!(reset, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{reset:?}");

        relay.set(Way::Deaf).expect("a socket");
        let deaf = StdStream::connect_timeout(&relay.addr, SHORT).expect_err("the queue is full");
        assert_eq!(deaf.kind(), ErrorKind::TimedOut);

        relay.set(Way::Open).expect("a socket");
        assert!(answered(&relay));
    }
}
