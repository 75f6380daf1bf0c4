//! A network of one provider, so that packets can be lost without anybody being told: a namespace of
//! ours with one wire to the host. Needs root and `ip`; it is gone when this value is.
//!
//! Packets are dropped by sending them to a hardware address that nobody has: the wire stays up, and
//! the kernel hears nothing, as with a firewall that drops or a cable that is cut far away.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Nobody's, by the bit that marks addresses given out locally.
const NOBODY: &str = "02:00:00:00:00:99";

/// A namespace with one wire.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
    /// The host's end of the wire, named after the process.
    wire: String,
    host: Ipv4Addr,
    /// Where a provider in the namespace listens.
    pub(super) inside: Ipv4Addr,
}

impl Namespace {
    /// Makes one, named after this process.
    ///
    /// # Errors
    /// Without root or `ip`.
    pub(super) fn make() -> Result<Self> {
        let pid = std::process::id();
        // Of the network for measurements (RFC 2544), a net of four addresses for each process.
        let [_, _, high, low] = (pid << 2).to_be_bytes();
        let host = Ipv4Addr::new(198, 18, high, low | 1);
        let inside = Ipv4Addr::new(198, 18, high, low | 2);
        let made = Self { name: format!("tollgate-{pid}"), wire: format!("tg{pid}"), host, inside };
        let Self { name, wire, .. } = &made;
        ip(&["netns", "add", name])?;
        ip(&["link", "add", wire, "type", "veth", "peer", "name", "wire", "netns", name])?;
        ip(&["address", "add", &format!("{host}/30"), "dev", wire])?;
        ip(&["link", "set", wire, "up"])?;
        ip(&["-n", name, "address", "add", &format!("{inside}/30"), "dev", "wire"])?;
        ip(&["-n", name, "link", "set", "wire", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(made)
    }

    /// A command that runs inside; `ip` becomes it, so its process id is that of the program.
    pub(super) fn inside(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// From now on every packet is lost, both ways.
    pub(super) fn drop_packets(&self) -> Result<()> {
        let Self { name, wire, host, inside } = self;
        let lost = |at: &Ipv4Addr| at.to_string();
        ip(&["neighbour", "replace", &lost(inside), "lladdr", NOBODY, "dev", wire, "nud", "permanent"])?;
        ip(&[
            "-n",
            name,
            "neighbour",
            "replace",
            &lost(host),
            "lladdr",
            NOBODY,
            "dev",
            "wire",
            "nud",
            "permanent",
        ])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The wire goes with the namespace; it is named for the case that no namespace came about.
        let _ = ip(&["link", "del", &self.wire]);
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("`ip` of iproute2 is needed")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), said.trim());
    Ok(())
}
