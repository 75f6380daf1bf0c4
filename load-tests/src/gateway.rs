//! A gateway as a process of its own, with a configuration of the run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result, bail, ensure};

use crate::server::{PATIENCE, Server, quiet, spawn};

/// The key of the one client. No secret: it opens a gateway that lives for minutes on loopback.
pub(crate) const CLIENT_KEY: &str = "load-test-key-0123456789abcdef";
/// The token of its admin API; no secret for the same reason.
pub(crate) const ADMIN_TOKEN: &str = "load-test-admin-token-0123456789";

/// A gateway that is ready.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) server: Server,
    /// Where its admin API listens.
    pub(crate) admin: SocketAddr,
}

/// Where the gateway's binary is: as told, or beside this one. Asked before anything starts.
pub(crate) fn binary(told: Option<&Path>) -> Result<PathBuf> {
    let gateway = match told {
        Some(gateway) => gateway.to_owned(),
        None => std::env::current_exe()?.parent().context("a binary has a folder")?.join("tollgate"),
    };
    ensure!(
        gateway.is_file(),
        "no gateway at {}: build it with `cargo build --release -p tollgate-app`, or say where it is with --gateway",
        gateway.display()
    );
    Ok(gateway)
}

/// Starts it in a folder with `prices` and the configuration that `config` makes of their paths.
pub(crate) fn start(
    program: &Path,
    folder: &Path,
    prices: &str,
    config: impl FnOnce(&Path, &Path) -> String,
) -> Result<Gateway> {
    let folder = folder.join("gateway");
    // The log grows in a folder of its own: that of the configuration is watched for changes.
    fs::create_dir_all(folder.join("log"))?;
    let prices_file = folder.join("prices.yaml");
    fs::write(&prices_file, prices)?;
    let file = folder.join("tollgate.yaml");
    fs::write(&file, config(&folder, &prices_file))?;
    let mut command = quiet(program);
    command.arg("serve").arg("-c").arg(&file).stderr(Stdio::piped());
    let mut child = spawn(&mut command)?;
    let stderr = child.stderr.take().context("the gateway's stderr is a pipe")?;
    // From here on an error ends the process: the server owns it.
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut server = Server::new("tollgate", nowhere, child);
    let [data, admin] = ready(stderr)?;
    server.addr = data;
    Ok(Gateway { server: server.accepting()?, admin })
}

/// Waits for the line `ready data=http://ADDR admin=http://ADDR`; the pipe is kept empty after it.
fn ready(stderr: ChildStderr) -> Result<[SocketAddr; 2]> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stderr = BufReader::new(stderr);
        let _ = sender.send(read_to_ready(&mut stderr));
        std::io::copy(&mut stderr, &mut std::io::sink())
    });
    receiver.recv_timeout(PATIENCE).context("the gateway does not get ready")?
}

fn read_to_ready(stderr: &mut impl BufRead) -> Result<[SocketAddr; 2]> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if stderr.read_line(&mut line)? == 0 {
            bail!("the gateway ended before it was ready:\n{said}");
        }
        if line.contains("ready data=http://") {
            let addr = |mark: &str| {
                let (_, rest) = line.split_once(mark)?;
                rest.split_ascii_whitespace().next()?.parse().ok()
            };
            return match (addr("data=http://"), addr("admin=http://")) {
                (Some(data), Some(admin)) => Ok([data, admin]),
                _ => bail!("ready line {line:?}"),
            };
        }
        said.push_str(&line);
    }
}
