//! What systemd hears of a gateway's life.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use tollgate_simulator::Behaviour;

use crate::stage::{PATIENCE, Stage, TOLLGATE, text};

/// Hears messages in a folder of its own, which goes with it.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = UnixDatagram::bind(folder.path().join("notify"))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, folder })
    }

    /// The next message that begins so; what is heard before is left aside.
    fn hears(&self, begin: &str) -> Result<String> {
        let mut bytes = [0; 1_024];
        loop {
            let length = self.socket.recv(&mut bytes).with_context(|| format!("nobody says {begin}"))?;
            let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if message.starts_with(begin) {
                return Ok(message);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_follows_the_life_of_a_gateway() -> Result<()> {
    let manager = Manager::new()?;
    let socket = manager.folder.path().join("notify").display().to_string();
    let mut stage = Stage::launched(
        Behaviour::default(),
        |_| {},
        |launch| {
            launch.environment.push(("NOTIFY_SOCKET".into(), socket));
            launch.environment.push(("WATCHDOG_USEC".into(), "4000000".into()));
        },
    )?;
    manager.hears("READY=1")?;
    manager.hears("WATCHDOG=1")?;
    manager.hears("WATCHDOG=1").context("it barks once")?;

    // A reload that changes nothing, and one that is refused: both end.
    stage.gateway.hang_up()?;
    let said = manager.hears("RELOADING=1")?;
    let at = said.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).context("when?")?;
    ensure!(at.parse::<u64>()? > 0, "{said}");
    manager.hears("READY=1")?;
    stage.gateway.write_config("version: 1\nteems: []\n")?;
    stage.gateway.hang_up()?;
    manager.hears("RELOADING=1")?;
    manager.hears("READY=1")?;

    stage.gateway.terminate()?;
    manager.hears("STOPPING=1")?;
    let status = stage.gateway.ended(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// The unit as it is shipped, with the binary under test in it.
fn unit(folder: &Path) -> Result<PathBuf> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/systemd/tollgate.service");
    let text = fs::read_to_string(shipped)?;
    ensure!(text.contains("\nType=notify\n") && text.contains("/usr/bin/tollgate serve "), "{text}");
    let path = folder.join("tollgate.service");
    fs::write(&path, text.replace("/usr/bin/tollgate", TOLLGATE))?;
    Ok(path)
}

fn analyze(arguments: &[&str], unit: &Path) -> Result<String> {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .output()
        .context("cannot run systemd-analyze; `cargo xtask setup` installs it (Debian: systemd)")?;
    let told = text(&output.stdout) + &text(&output.stderr);
    ensure!(output.status.success(), "systemd-analyze {}: {}\n{told}", arguments.join(" "), output.status);
    Ok(told)
}

#[test]
fn the_unit_is_sound_and_hardly_exposed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let unit = unit(folder.path())?;
    let told = analyze(&["verify", "--man=no"], &unit)?;
    ensure!(!told.contains("tollgate.service"), "{told}");
    // In tenths: 1.5 of 10.
    analyze(&["security", "--offline=true", "--threshold=15"], &unit)?;
    Ok(())
}
