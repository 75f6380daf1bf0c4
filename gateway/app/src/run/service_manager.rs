//! What the service manager of the system is told of this process's life: the datagrams of `sd_notify(3)`
//! that systemd expects of `Type=notify`.
//!
//! Without a service manager (`NOTIFY_SOCKET` is not set) nothing is told. Nobody waits for it, and what it
//! does not take is not said again.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// Requests are taken; after a reload, again.
pub(super) fn ready(status: &str) {
    tell(&format!("READY=1\nSTATUS={status}"));
}

/// The configuration is read again; [`ready`] follows.
pub(super) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the configuration"));
}

/// The process was told to stop and ends what is in flight.
pub(super) fn stopping() {
    tell("STOPPING=1\nSTATUS=no new requests; those in flight finish");
}

fn tell(message: &str) {
    let Some(address) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&address, message) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}

fn send(address: &OsStr, message: &str) -> io::Result<()> {
    let address = match address.as_bytes() {
        // Of Linux: a name that is no file.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message.as_bytes(), &address).map(drop)
}

/// Tells the service manager, where it wants to know, that the process still works.
pub(super) struct Watchdog {
    every: Duration,
    last: Instant,
}

impl Watchdog {
    /// The one that the service manager has set for this process, if it has.
    pub(super) fn of_process() -> Option<Self> {
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        // Half of it, as systemd advises, so that one word may come late.
        let every = Duration::from_micros(number("WATCHDOG_USEC")?) / 2;
        is_ours.then(|| Self { every, last: Instant::now() })
    }

    /// Says so when it is time. Whoever calls this must be hung up when the process is.
    pub(super) fn beat(&mut self) {
        if self.last.elapsed() + SLACK >= self.every {
            self.last = Instant::now();
            tell("WATCHDOG=1");
        }
    }
}

/// Beats come with the housekeeping, once a second.
const SLACK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets_are_reached() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).expect("a socket in our folder");
        let name = format!("tollgate-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let abstract_one = UnixDatagram::bind_addr(&address).expect("a name of our own");
        for (address, socket) in [(path.into_os_string(), by_path), (format!("@{name}").into(), abstract_one)]
        {
            send(&address, "READY=1").expect("somebody listens");
            let mut heard = [0; 64];
            let length = socket.recv(&mut heard).expect("it was sent before");
            assert_eq!(&heard[..length], b"READY=1");
        }
        assert!(send(OsStr::new("/nobody/listens"), "READY=1").is_err());
    }
}
