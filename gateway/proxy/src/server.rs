//! The data plane as a whole: one thread and one single-threaded runtime per core.

use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{runtime::LocalOptions, sync::watch};
use tollgate_accounting::ledger::{Journal, JournalError, Writer};
use tollgate_telemetry::AccessWriter;

use crate::{
    listen::{self, ListenerTls},
    worker::{Shared, Worker},
};

/// After streams were told to end, so long may their last words take.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Before the first request, so long may the journal take to reserve its space.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);

/// How far the data plane's life has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stage {
    /// Accepts connections and requests.
    Serving,
    /// Still does, and asks clients to go elsewhere with their next request.
    Leaving,
    /// Accepts nothing new; what is in flight finishes.
    Draining,
    /// What is still in flight is told to end.
    Cut,
}

/// Where and how to listen.
pub struct Listen {
    /// The address; port 0 takes any free one.
    pub address: SocketAddr,
    /// Other processes of the same user may listen there too.
    pub shared: bool,
    /// TLS, if clients speak it.
    pub tls: Option<ListenerTls>,
}

/// The running data plane.
pub struct DataPlane {
    address: SocketAddr,
    stage: watch::Sender<Stage>,
    cores: Vec<JoinHandle<()>>,
}

/// Why the data plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// A core's journal file could not be begun.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No thread or runtime could be had.
    #[error("cannot start a core: {0}")]
    Core(io::Error),
}

impl DataPlane {
    /// Binds the address once per core and starts serving.
    ///
    /// # Errors
    /// The address is taken, or a journal file or thread cannot be had; nothing is left running then.
    pub fn start(
        shared: &Arc<Shared>,
        listen: &Listen,
        cores: usize,
        mut access: impl FnMut() -> Option<AccessWriter>,
    ) -> Result<Self, StartError> {
        let failed = |error| StartError::Bind { address: listen.address, error };
        let sockets = listen::bind(listen.address, listen.shared, cores.max(1)).map_err(failed)?;
        let address = sockets[0].local_addr().map_err(failed)?;
        let (stage, _) = watch::channel(Stage::Serving);
        let mut plane = Self { address, stage, cores: Vec::new() };
        let writers: Result<Vec<_>, _> = (0..cores).map(|core| shared.journal.writer(core)).collect();
        let writers = writers?;
        await_room(&shared.journal);
        for (core, (socket, writer)) in sockets.into_iter().zip(writers).enumerate() {
            let seed = Seed { shared: Arc::clone(shared), writer, access: access() };
            let (tls, stage) = (listen.tls.clone(), plane.stage.subscribe());
            let body = move || run_core(seed, socket, tls, stage);
            let thread = std::thread::Builder::new().name(format!("core-{core}")).spawn(body);
            plane.cores.push(thread.map_err(StartError::Core)?);
        }
        Ok(plane)
    }

    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Still serves, while every answer over HTTP/1.1 is the last of its connection.
    pub fn leave(&self) {
        self.stage.send_replace(Stage::Leaving);
    }

    /// Stops accepting; connections end after what they have in flight.
    pub fn drain(&self) {
        self.stage.send_replace(Stage::Draining);
    }

    /// True once every core has nothing left to do.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.cores.iter().all(JoinHandle::is_finished)
    }

    /// Tells whatever is still in flight to end: streams with an error event, each settled.
    pub fn cut(&self) {
        self.stage.send_replace(Stage::Cut);
    }

    /// Waits for every core to end; at most a few seconds after [`cut`](Self::cut).
    pub fn join(self) {
        for core in self.cores {
            // A core that panicked has logged it; the others are still waited for.
            let _ = core.join();
        }
    }
}

/// The journal reserves its segments in the background, and until then every request would be
/// refused. On a device without space that goes on, and they are.
fn await_room(journal: &Journal) {
    let patience = Instant::now() + ROOM_PATIENCE;
    while !journal.has_room(1) && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a core is made from; the worker itself cannot leave its thread.
struct Seed {
    shared: Arc<Shared>,
    writer: Writer,
    access: Option<AccessWriter>,
}

fn run_core(
    seed: Seed,
    socket: std::net::TcpListener,
    tls: Option<ListenerTls>,
    mut stage: watch::Receiver<Stage>,
) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "cannot start a core's runtime"),
    };
    let worker = Rc::new(Worker::new(seed.shared, seed.writer, seed.access));
    runtime.block_on(async {
        let housekeeping = tokio::task::spawn_local(Rc::clone(&worker).housekeeping());
        let turns = tokio::task::spawn_local(Rc::clone(&worker).end_turns());
        if let Err(error) = listen::accept(Rc::clone(&worker), socket, tls, stage.clone()).await {
            tracing::error!(%error, "a core cannot listen");
        }
        worker.tasks.close();
        tokio::select! {
            () = worker.tasks.wait() => {}
            _ = stage.wait_for(|stage| *stage == Stage::Cut) => {
                worker.cut_streams();
                let _ = tokio::time::timeout(LAST_WORDS, worker.tasks.wait()).await;
            }
        }
        housekeeping.abort();
        turns.abort();
    });
    // What is left is dropped here, on its own core, and settles as it goes.
    drop(runtime);
    worker.finish();
}
