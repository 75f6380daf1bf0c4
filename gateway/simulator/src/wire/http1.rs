//! HTTP/1.1 by hand: what a script says is what stands on the wire, to the byte.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::request_reader::{Request, RequestReader};
use super::{Goodbye, at_phase};
use crate::answer::{How, Plan};
use crate::book::{Entry, Outcome};
use crate::server::{Phase, Shared};
use crate::{Framing, Incoming};

/// Serves requests until the caller, a fault or the simulator's end closes the connection.
pub(super) async fn serve(
    stream: &mut TcpStream,
    shared: &Shared,
    phase: &mut watch::Receiver<Phase>,
) -> Goodbye {
    let mut reader = RequestReader::default();
    loop {
        let has_more = tokio::select! {
            more = reader.wait(stream) => more,
            () = at_phase(phase, Phase::Draining) => return Goodbye::Close,
        };
        if !has_more.unwrap_or(false) {
            return Goodbye::Close;
        }
        if shared.take_refusal() {
            return Goodbye::Reset;
        }
        let Ok(Request { incoming, keep_alive }) = reader.read(stream, shared.needs_headers()).await else {
            return Goodbye::Close;
        };
        match answer(stream, shared, &incoming).await {
            Ok(()) if keep_alive => {}
            Ok(()) | Err(Stop::Io) => return Goodbye::Close,
            Err(Stop::Fault(goodbye)) => return goodbye,
        }
    }
}

/// Why a connection cannot go on.
enum Stop {
    /// The caller left or its connection broke.
    Io,
    /// A scripted fault.
    Fault(Goodbye),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

async fn answer(stream: &mut TcpStream, shared: &Shared, incoming: &Incoming) -> Result<(), Stop> {
    let (plan, mut entry) = shared.answer(incoming);
    let mut sender = Sender::new(stream, plan.breaks.and_then(|fault| fault.at));
    let sent = match sender.send(&plan, entry.as_mut(), incoming.method == "HEAD").await {
        Ok(()) => {
            plan.breaks.filter(|fault| fault.at.is_none()).map_or(Ok(()), |fault| Err(Halt::Cut(fault.how)))
        }
        Err(Halt::Cut(_)) => Err(Halt::Cut(plan.breaks.map_or(How::Close, |fault| fault.how))),
        Err(Halt::Io) => Err(Halt::Io),
    };
    match sent {
        Ok(()) => {
            close(entry, Outcome::Whole);
            Ok(())
        }
        Err(Halt::Io) => Err(Stop::Io),
        Err(Halt::Cut(How::Stall)) => {
            gone(stream).await;
            Err(Stop::Io)
        }
        Err(Halt::Cut(How::Reset)) => {
            close(entry, Outcome::Faulted);
            Err(Stop::Fault(Goodbye::Reset))
        }
        Err(Halt::Cut(How::Close)) => {
            close(entry, Outcome::Faulted);
            Err(Stop::Fault(Goodbye::Close))
        }
    }
}

fn close(entry: Option<Entry>, outcome: Outcome) {
    if let Some(mut entry) = entry {
        entry.close(outcome);
    }
}

/// Why sending stopped early.
enum Halt {
    Io,
    /// The planned break is reached.
    Cut(How),
}

impl From<io::Error> for Halt {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// Writes one answer, at most up to its planned break.
struct Sender<'a> {
    stream: &'a mut TcpStream,
    out: Vec<u8>,
    /// Bytes of the head in `out`.
    head: usize,
    /// Body bytes in `out`.
    body_bytes: usize,
    /// Words in `out`.
    words: u64,
    /// Wire bytes to the break.
    left: Option<u64>,
    /// When the last wait was over, as planned: pauses add up without the timer's lateness.
    due: Instant,
}

impl<'a> Sender<'a> {
    fn new(stream: &'a mut TcpStream, left: Option<u64>) -> Self {
        Self {
            stream,
            out: Vec::with_capacity(2048),
            head: 0,
            body_bytes: 0,
            words: 0,
            left,
            due: Instant::now(),
        }
    }

    async fn send(
        &mut self,
        plan: &Plan,
        mut entry: Option<&mut Entry>,
        head_only: bool,
    ) -> Result<(), Halt> {
        self.wait(plan.delay).await?;
        if self.left == Some(0) {
            return Err(Halt::Cut(How::Close));
        }
        write_head(&mut self.out, plan);
        self.head = self.out.len();
        if head_only {
            return self.flush(&mut entry).await;
        }
        let mut pieces_left = plan.pieces.len();
        for (index, (pause, piece)) in plan.pieces().enumerate() {
            if !pause.is_zero() {
                self.flush(&mut entry).await?;
                self.wait(pause).await?;
            }
            self.push(plan.framing, piece);
            self.words += u64::from(plan.content.contains(&index));
            // A write for each piece, as providers do; the last one takes the end of the framing along.
            pieces_left -= 1;
            if pieces_left > 0 {
                self.flush(&mut entry).await?;
            }
        }
        let ends = plan.breaks.is_none_or(|fault| fault.at.is_some());
        if ends && plan.framing == Framing::Chunked {
            self.out.extend_from_slice(b"0\r\n\r\n");
        }
        self.flush(&mut entry).await
    }

    fn push(&mut self, framing: Framing, piece: &[u8]) {
        self.body_bytes += piece.len();
        match framing {
            Framing::Length => self.out.extend_from_slice(piece),
            // An empty chunk would end the body.
            Framing::Chunked if piece.is_empty() => {}
            Framing::Chunked => {
                write!(self.out, "{:x}\r\n", piece.len()).expect("a vector takes every write");
                self.out.extend_from_slice(piece);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    async fn flush(&mut self, entry: &mut Option<&mut Entry>) -> Result<(), Halt> {
        let room = self.left.map_or(self.out.len(), |left| usize::try_from(left).unwrap_or(usize::MAX));
        let length = self.out.len().min(room);
        self.stream.write_all(&self.out[..length]).await?;
        let words = std::mem::take(&mut self.words);
        let after_head = length.saturating_sub(std::mem::take(&mut self.head));
        let body_bytes = std::mem::take(&mut self.body_bytes).min(after_head);
        if let Some(entry) = entry {
            // A word that is cut in two was not said.
            entry.sent(body_bytes, if length == self.out.len() { words } else { 0 });
        }
        self.out.clear();
        if let Some(left) = &mut self.left {
            *left -= length as u64;
            if *left == 0 {
                return Err(Halt::Cut(How::Close));
            }
        }
        Ok(())
    }

    /// Waits, unless the caller leaves meanwhile.
    async fn wait(&mut self, pause: Duration) -> Result<(), Halt> {
        if pause.is_zero() {
            return Ok(());
        }
        self.due = (self.due + pause).max(Instant::now());
        tokio::select! {
            () = tokio::time::sleep_until(self.due) => Ok(()),
            () = gone(self.stream) => Err(Halt::Io),
        }
    }
}

/// Waits until the caller has closed or reset its side. A caller that has already sent its next
/// request is not watched further.
async fn gone(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}

fn write_head(out: &mut Vec<u8>, plan: &Plan) {
    let reason = http::StatusCode::from_u16(plan.status).ok().and_then(|status| status.canonical_reason());
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut put = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("a vector takes every write");
    put(format_args!("HTTP/1.1 {} {}\r\ndate: {date}\r\n", plan.status, reason.unwrap_or_default()));
    for (name, value) in &plan.headers {
        put(format_args!("{name}: {value}\r\n"));
    }
    match plan.framing {
        Framing::Length => {
            put(format_args!("content-length: {}\r\n\r\n", plan.body.len() as u64 + plan.promised))
        }
        Framing::Chunked => put(format_args!("transfer-encoding: chunked\r\n\r\n")),
    }
}
