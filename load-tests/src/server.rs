//! A process of a run: started, waited for, stopped whatever happens.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::Pid;

/// How long a process may take to accept connections, or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// A process that listens. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    pub(crate) pid: Pid,
    /// Absent when another handle owns the process.
    child: Option<Child>,
}

impl Server {
    pub(crate) fn new(name: &'static str, addr: SocketAddr, child: Child) -> Self {
        Self { name, addr, pid: Pid(child.id()), child: Some(child) }
    }

    /// The provider itself as a target: what there is without anything between.
    pub(crate) fn as_direct(&self) -> Self {
        Self { name: "direct", addr: self.addr, pid: self.pid, child: None }
    }

    /// Waits until it accepts.
    pub(crate) fn accepting(mut self) -> Result<Self> {
        let started = Instant::now();
        while TcpStream::connect(self.addr).is_err() {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                bail!("{} ended: {status}", self.name);
            }
            if started.elapsed() > PATIENCE {
                bail!("{} does not accept at {}", self.name, self.addr);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(self)
    }

    /// Kills it as only a process can be: nothing is flushed, nothing is said.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().with_context(|| format!("cannot kill {}", self.name))?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Server {
    /// Asks first: nginx's master takes its workers along only when it is asked.
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A command that says nothing and reads nothing.
pub(crate) fn quiet(program: &std::path::Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Starts it, or says what could not be started.
pub(crate) fn spawn(command: &mut Command) -> Result<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().with_context(|| format!("cannot start {program}"))
}

/// A port of 127.0.0.1 that is free now, for servers that cannot choose one themselves.
pub(crate) fn free_addr() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
