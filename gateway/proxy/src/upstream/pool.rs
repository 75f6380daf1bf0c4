//! Idle connections of one core, newest first.
//!
//! Nobody drives an idle connection; whether the upstream has closed it shows when it is taken. A
//! timer drops those that are older than upstreams usually keep them.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use hyper::client::conn::http2;

use super::{
    connect::ConnectError,
    connection::{Connection, H1, RequestBody},
};
use crate::{
    overload::Mark,
    snapshot::{ByName, Upstream},
};

/// Idle connections kept per upstream and core; more would only wait to be closed.
const MOST_IDLE: usize = 1_024;

/// The pools of one core.
#[derive(Clone, Default)]
pub(crate) struct Pools(Rc<RefCell<ByName<Arc<str>, Pool>>>);

#[derive(Default)]
struct Pool {
    #[expect(clippy::vec_box, reason = "connections move between pool and exchange without being copied")]
    idle: Vec<Box<H1>>,
    keep_alive: Duration,
    /// The shared HTTP/2 connection.
    shared: Option<http2::SendRequest<RequestBody>>,
}

impl Pools {
    /// A connection to the upstream: an idle one that is still open, else a new one.
    pub(crate) async fn take(&self, upstream: &Upstream) -> Result<Connection, ConnectError> {
        // Opening is rare and its state is large: boxed, so that reusing does not carry its room.
        if upstream.http2 {
            return Box::pin(self.take_shared(upstream)).await;
        }
        while let Some(mut idle) = self.pop(upstream) {
            if poll_fn(|cx| Poll::Ready(idle.poll_reusable(cx))).await {
                return Ok(Connection::H1(idle));
            }
        }
        Box::pin(Connection::open(upstream)).await
    }

    /// Gives a connection back for the next request.
    pub(crate) fn put(&self, upstream: &Upstream, connection: Connection) {
        let Connection::H1(mut h1) = connection else { return };
        h1.idle_since = Some(Instant::now());
        let mut pools = self.0.borrow_mut();
        let pool = pools.entry(Arc::clone(&upstream.pool_key)).or_default();
        pool.keep_alive = upstream.timeouts.keep_alive;
        if pool.idle.len() < MOST_IDLE {
            pool.idle.push(h1);
        }
    }

    /// Drops connections that have been idle for too long; all that are idle when memory is short.
    pub(crate) fn sweep(&self, now: Instant, memory: Mark) {
        self.0.borrow_mut().retain(|_, pool| {
            let keep_alive = if memory == Mark::Low { pool.keep_alive } else { Duration::ZERO };
            pool.idle.retain(|h1| h1.idle_since.is_none_or(|since| now.duration_since(since) < keep_alive));
            pool.shared.as_ref().is_some_and(|sender| !sender.is_closed()) || !pool.idle.is_empty()
        });
    }

    fn pop(&self, upstream: &Upstream) -> Option<Box<H1>> {
        self.0.borrow_mut().get_mut(&upstream.pool_key)?.idle.pop()
    }

    async fn take_shared(&self, upstream: &Upstream) -> Result<Connection, ConnectError> {
        let open = |sender: &http2::SendRequest<RequestBody>| !sender.is_closed();
        let shared =
            self.0.borrow().get(&upstream.pool_key).and_then(|pool| pool.shared.clone()).filter(open);
        if let Some(sender) = shared {
            return Ok(Connection::H2(sender));
        }
        let connection = Connection::open(upstream).await?;
        if let Connection::H2(sender) = &connection {
            let mut pools = self.0.borrow_mut();
            pools.entry(Arc::clone(&upstream.pool_key)).or_default().shared = Some(sender.clone());
        }
        Ok(connection)
    }
}
