//! A data plane in this process.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tempfile::TempDir;
use tollgate_accounting::{
    ledger::{Event, Journal, JournalOptions, Observer},
    quota::{Calendar, Quotas},
};
use tollgate_domain::UnixMillis;
use tollgate_proxy::{DataPlane, Listen, Live, OperatorState, Override, Shared, TargetView};
use tollgate_stores::SqliteResponses;

use super::{
    Answer, Ask, Ledger, Setup,
    client::{Connection, Open},
    until,
    upstream::{ByHand, Call},
};

pub(crate) struct Gateway {
    plane: DataPlane,
    pub(crate) live: Arc<Live>,
    pub(crate) journal: Arc<Journal>,
    folder: TempDir,
}

impl Gateway {
    pub(crate) fn start(setup: Setup) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let options = JournalOptions {
            segment_bytes: 256 << 10,
            slow_sync: setup.slow_sync,
            ..JournalOptions::default()
        };
        let (disk, folders) = (Arc::new(setup.disk.clone()), [folder.path().join("journal")]);
        let journal = Journal::open_on(disk, &folders, options, Arc::new(Deaf)).expect("a journal");
        let journal = Arc::new(journal);
        let live = Arc::new(Live::new(Quotas::new(Calendar::utc(), "USD".into())));
        let shared = Arc::new(Shared {
            snapshot: Arc::new(arc_swap::ArcSwap::from_pointee(setup.snapshot(&live))),
            live: Arc::clone(&live),
            // In memory: it must not stand beside the journal in the queue of the test's own disk.
            responses: Arc::new(SqliteResponses::open(Path::new(":memory:")).expect("a memory")),
            journal: Arc::clone(&journal),
            durability: setup.durability,
            ready: Arc::new(|| true),
            spans: None,
            trap: setup.trap,
        });
        let listen = Listen { address: SocketAddr::from(([127, 0, 0, 1], 0)), shared: false, tls: setup.tls };
        let plane = DataPlane::start(&shared, &listen, 1, || None).expect("a data plane");
        Self { plane, live, journal, folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.plane.address()
    }

    pub(crate) fn journal_folder(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Sends on a connection of its own and reads the answer to its end.
    pub(crate) async fn send(&self, ask: &Ask) -> Answer {
        self.open(ask).await.finish().await
    }

    /// Sends on a connection of its own and reads the head of the answer.
    pub(crate) async fn open(&self, ask: &Ask) -> Open {
        Connection::http1(self.address()).await.open(ask).await
    }

    /// Sends on a connection of its own and reads nothing.
    pub(crate) async fn begin(&self, ask: &Ask) -> Connection {
        let mut connection = Connection::http1(self.address()).await;
        connection.begin(ask);
        connection
    }

    /// A plain call that is with its provider, and that provider's end of it.
    pub(crate) async fn held_up(&self, ask: &Ask, upstream: &ByHand) -> (Call, Connection) {
        let client = self.begin(ask).await;
        (upstream.accept().await, client)
    }

    /// A stream that has brought its client so much, with the provider's end of it.
    pub(crate) async fn stream_that_says(&self, content: &str, upstream: &ByHand) -> (Call, Open) {
        let client = self.begin(&Ask::stream()).await;
        let mut call = upstream.accept().await;
        call.send_stream_head().await;
        call.send_content(content).await;
        let mut open = client.head().await;
        open.read_until(content).await;
        (call, open)
    }

    /// What an operator sees of a target of the model `chat`.
    pub(crate) fn view(&self, upstream: &str) -> TargetView {
        self.live.fleet.target(&upstream.into(), &"gpt-5-mini".into()).view(Instant::now())
    }

    /// An operator's word on an upstream.
    pub(crate) fn operate(&self, upstream: &str, state: OperatorState) {
        self.live.fleet.upstream(&upstream.into()).operator.set(Some(word(state)));
    }

    /// Stops accepting, as a shutdown begins.
    pub(crate) fn drain(&self) {
        self.plane.drain();
    }

    /// Ends what is still in flight, as a shutdown's patience does.
    pub(crate) fn cut(&self) {
        self.plane.cut();
    }

    /// Lets everything finish, stops, and reads the ledger back. Nothing may be left reserved.
    pub(crate) async fn stop(self) -> Ledger {
        self.plane.drain();
        until("the end of everything in flight", || self.plane.is_drained()).await;
        self.plane.join();
        assert_eq!(self.live.quotas.open_reservations(), 0, "something is still reserved");
        assert_eq!((self.live.gate.in_flight(), self.live.gate.bytes_held()), (0, 0));
        drop(self.journal);
        Ledger::read(self.folder)
    }
}

/// No test here looks at what the journal tells.
#[derive(Debug)]
struct Deaf;

impl Observer for Deaf {
    fn synced(&self, _: std::time::Duration) {}

    fn happened(&self, _: &Event<'_>) {}
}

/// An operator's word, without an end.
pub(crate) fn word(state: OperatorState) -> Override {
    Override {
        state,
        reason: "a test".into(),
        actor: "operator".into(),
        since: UnixMillis::new(0),
        until: None,
        cut_at: None,
    }
}
