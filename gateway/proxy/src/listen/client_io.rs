//! A client's socket that does not wait for ever on a client that reads nothing.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

use super::activity::Activity;

/// A client that lets a write wait longer than this, without taking as much as [`PROGRESS`], is gone.
const STALL: Duration = Duration::from_secs(60);
/// What counts as progress: less, and a client that takes a byte a minute holds a stream for ever.
const PROGRESS: usize = 16 << 10;

/// So much, in bytes, and for so long is heard of a client that is still sending when it has had its last
/// answer. Whoever closed at once would have the system answer those bytes with a reset, which takes the
/// answer away from clients that have not read it yet.
const LINGER_BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(1);

pub(super) struct ClientIo {
    socket: TcpStream,
    /// Runs, with the bytes heard so far, while a client that is still sending is parted from.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
    taken: usize,
    activity: Rc<Activity>,
}

impl ClientIo {
    pub(super) fn new(socket: TcpStream, activity: Rc<Activity>) -> Self {
        Self { socket, lingering: None, stall: None, taken: 0, activity }
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Hears out a client that has had its last answer.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (end, heard) = self.lingering.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER)), 0));
        let mut unheard = [0; 4 << 10];
        while *heard < LINGER_BYTES {
            let mut piece = ReadBuf::new(&mut unheard);
            match Pin::new(&mut self.socket).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => *heard += piece.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return end.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }

    fn took(&mut self, bytes: usize, all: bool) {
        self.activity.wrote();
        self.taken += bytes;
        if all {
            self.stall = None;
            self.taken = 0;
        } else if self.taken >= PROGRESS {
            self.taken = 0;
            if let Some(stall) = &mut self.stall {
                stall.as_mut().reset(Instant::now() + STALL);
            }
        }
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.socket).poll_write(cx, bytes) {
            Poll::Ready(Ok(written)) => {
                self.took(written, written == bytes.len());
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_stalled(cx),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
        }
        if self.activity.is_parting() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
