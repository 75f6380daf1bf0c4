//! The simulator itself: sockets, runtimes, and which script a call gets.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::answer::{self, Plan, Stamp};
use crate::book::{Book, Entry};
use crate::bucket::Bucket;
use crate::{Behaviour, Fault, Incoming, Keep, Operation, Options, Refusal, Script, control, wire};

/// How a simulator is stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// Open calls are answered to their end, then their connections close.
    Graceful,
    /// Every connection is reset at once.
    Abrupt,
}

/// A running provider. Dropping it is an abrupt stop.
#[derive(Debug)]
pub struct Simulator {
    addr: SocketAddr,
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    /// Ends when the last connection and listener are gone: they hold the senders.
    closed: mpsc::Receiver<Infallible>,
    threads: Vec<JoinHandle<()>>,
}

/// Where a simulator's life stands. Only ever goes up.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    Running,
    Draining,
    Aborted,
}

impl Simulator {
    /// Starts on the current tokio runtime; `options.threads` does not matter.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = listener(options.listen)?;
        let addr = listener.local_addr()?;
        let (parts, alive) = Self::new(addr, &options);
        let listener = TcpListener::from_std(listener)?;
        tokio::spawn(accept(listener, parts.shared.clone(), parts.phase.subscribe(), alive));
        Ok(parts)
    }

    /// Starts on `options.threads` threads of its own, each with a runtime and a socket: for tests
    /// whose runtime is single-threaded, and for load.
    ///
    /// # Errors
    /// When the address cannot be bound or a thread cannot be made.
    pub fn spawn_thread(options: Options) -> io::Result<Self> {
        let first = listener(options.listen)?;
        let addr = first.local_addr()?;
        let mut listeners = vec![first];
        for _ in 1..options.threads {
            listeners.push(listener(addr)?);
        }
        let (mut simulator, alive) = Self::new(addr, &options);
        for listener in listeners {
            let (shared, phase, alive) =
                (simulator.shared.clone(), simulator.phase.subscribe(), alive.clone());
            let name = format!("sim-{}", options.name);
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn(move || run_thread(listener, shared, phase, alive))?;
            simulator.threads.push(thread);
        }
        Ok(simulator)
    }

    fn new(addr: SocketAddr, options: &Options) -> (Self, mpsc::Sender<Infallible>) {
        let (alive, closed) = mpsc::channel(1);
        let phase = watch::Sender::new(Phase::Running);
        let shared = Arc::new(Shared::new(options));
        (Self { addr, shared, phase, closed, threads: Vec::new() }, alive)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://ADDR`, without a path.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Its book.
    pub fn book(&self) -> &Book {
        &self.shared.book
    }

    /// Puts a script at the end of the queue; the next call that it takes uses it up.
    pub fn script(&self, script: Script) {
        self.shared.push_script(script);
    }

    /// Scripts that no call has taken yet.
    pub fn scripts_left(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }

    /// Changes how calls without a script are answered from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.write() = Arc::new(behaviour);
    }

    /// What every call gets that no queued script, model suffix or closure decides; `None` ends it.
    pub fn always(&self, script: Option<Script>) {
        self.shared.stand(script);
    }

    /// Stops it and waits until every connection is gone. The address is free then.
    ///
    /// # Cancel safety
    /// Dropping the future stops abruptly.
    pub async fn stop(mut self, how: Stop) {
        match how {
            Stop::Graceful => self.advance(Phase::Draining),
            Stop::Abrupt => self.abort(),
        }
        let _ = self.closed.recv().await;
        for thread in std::mem::take(&mut self.threads) {
            // All that the thread waited for has ended; joining takes no longer than its return.
            let _ = thread.join();
        }
    }

    fn abort(&self) {
        self.shared.book.stop();
        self.advance(Phase::Aborted);
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let changes = *phase < to;
            *phase = to.max(*phase);
            changes
        });
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.abort();
    }
}

fn run_thread(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    alive: mpsc::Sender<Infallible>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("a simulator's thread needs a runtime: {error}"),
    };
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).expect("a listening socket that does not block");
        let (done, mut closed) = mpsc::channel(1);
        accept(listener, shared, phase, done).await;
        // Connections outlive the listener in a graceful stop, and the runtime must outlive them.
        let _ = closed.recv().await;
    });
    drop(alive);
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    alive: mpsc::Sender<Infallible>,
) {
    let mut draining = phase.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => serve(stream, &shared, &phase, &alive),
                // Out of file descriptors: they come back as connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            },
            () = wire::at_phase(&mut draining, Phase::Draining) => return,
        }
    }
}

fn serve(
    stream: TcpStream,
    shared: &Arc<Shared>,
    phase: &watch::Receiver<Phase>,
    alive: &mpsc::Sender<Infallible>,
) {
    let (shared, phase, alive) = (shared.clone(), phase.clone(), alive.clone());
    tokio::spawn(async move {
        wire::serve(stream, shared, phase).await;
        drop(alive);
    });
}

/// A socket that shares its port with the simulator's other threads, and with its predecessor's
/// dying connections.
fn listener(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// What all threads and connections of a simulator share.
pub(crate) struct Shared {
    options: Options,
    pub(crate) behaviour: RwLock<Arc<Behaviour>>,
    scripts: Mutex<VecDeque<Script>>,
    /// Length of `scripts`, so that calls under load need not lock it.
    waiting: AtomicUsize,
    standing: RwLock<Option<Script>>,
    bucket: Mutex<Bucket>,
    pub(crate) book: Book,
    started: Instant,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Shared {
    fn new(options: &Options) -> Self {
        Self {
            behaviour: RwLock::new(Arc::new(options.behaviour.clone())),
            scripts: Mutex::default(),
            waiting: AtomicUsize::new(0),
            standing: RwLock::default(),
            bucket: Mutex::default(),
            book: Book::new(options),
            started: Instant::now(),
            options: options.clone(),
        }
    }

    pub(crate) fn push_script(&self, script: Script) {
        let mut scripts = self.scripts.lock();
        scripts.push_back(script);
        self.waiting.store(scripts.len(), Ordering::Release);
    }

    pub(crate) fn stand(&self, script: Option<Script>) {
        *self.standing.write() = script;
    }

    /// Whether anybody will look at the headers of a call.
    pub(crate) fn needs_headers(&self) -> bool {
        self.options.keep != Keep::Totals
            || self.options.credential.is_some()
            || self.options.decide.is_some()
    }

    /// Whether the next script refuses the connection that asks; then it is used up.
    pub(crate) fn take_refusal(&self) -> bool {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut scripts = self.scripts.lock();
        if scripts.front().is_none_or(|script| script.fault != Some(Fault::Refuse)) {
            return false;
        }
        scripts.pop_front();
        self.waiting.store(scripts.len(), Ordering::Release);
        drop(scripts);
        self.book.refused_connection();
        true
    }

    /// The answer to a call, and its open page in the book; control calls have no page.
    pub(crate) fn answer(&self, incoming: &Incoming) -> (Plan, Option<Entry>) {
        if self.options.control
            && let Some(plan) = control::answer(self, incoming)
        {
            return (plan, None);
        }
        if incoming.operation == Operation::Models {
            return (self.list(incoming), None);
        }
        let mut entry = self.book.open(incoming, self.started.elapsed());
        let behaviour = self.behaviour.read().clone();
        let script = self.decide(incoming, entry.number, &behaviour);
        let stamp = Stamp::new(&self.options.name, entry.number);
        let credential = self.options.credential.as_deref();
        let compose = |script: Script| {
            answer::compose(&self.options.name, credential, &stamp, incoming, script, &behaviour)
        };
        let mut plan = compose(script);
        if let Some(capacity) = behaviour.provisioned
            && plan.status < 400
        {
            let tokens = plan.usage.input_tokens + plan.usage.output_tokens;
            match self.bucket.lock().pour(capacity, tokens, self.started.elapsed()) {
                Ok(()) => self.book.provisioned(tokens),
                Err(wait) => plan = compose(Script::rate_limited(wait)),
            }
        }
        entry.answered(&plan, stamp.request_id);
        (plan, Some(entry))
    }

    /// A list of models is free: it stands in no book, and takes no script from a call.
    fn list(&self, incoming: &Incoming) -> Plan {
        let (name, credential) = (&self.options.name, self.options.credential.as_deref());
        let behaviour = self.behaviour.read().clone();
        answer::compose(name, credential, &Stamp::new(name, 0), incoming, Script::usual(), &behaviour)
    }

    fn decide(&self, incoming: &Incoming, number: u64, behaviour: &Behaviour) -> Script {
        let model = incoming.model.as_deref();
        self.take_script(model)
            .or_else(|| Script::from_model(model?))
            .or_else(|| self.options.decide.as_ref()?(incoming))
            .or_else(|| self.standing.read().clone())
            .or_else(|| {
                behaviour.fails(number).then(|| Script::refusal(Refusal::Unavailable { retry_after: None }))
            })
            .unwrap_or_default()
    }

    fn take_script(&self, model: Option<&str>) -> Option<Script> {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut scripts = self.scripts.lock();
        let place = scripts.iter().position(|script| script.takes(model))?;
        let script = scripts.remove(place);
        self.waiting.store(scripts.len(), Ordering::Release);
        script
    }
}
