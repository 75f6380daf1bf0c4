//! The built gateway as a child process in a folder of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{admin::Admin, client::Caller};

/// The admin token that [`ConfigText`](crate::ConfigText) writes into its configurations.
pub(crate) const ADMIN_TOKEN: &str = "admin-token-for-tests";

/// How long a gateway may take to accept connections: a debug build on a busy machine is slow.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// The configuration's text. `data_dir: data` in it stands in the process's own folder.
    pub config: String,
    /// More files of the process's folder, price files for example: name and text.
    pub files: Vec<(String, String)>,
    /// More environment variables.
    pub environment: Vec<(String, String)>,
}

/// A running gateway. Dropping it kills the process and removes its folder.
#[derive(Debug)]
pub struct Gateway {
    launch: Launch,
    folder: TempDir,
    log: Log,
    process: Option<Child>,
    data: String,
    admin: String,
}

type Log = Arc<Mutex<String>>;

impl Gateway {
    /// Starts `binary` with a configuration and waits until it accepts.
    ///
    /// # Errors
    /// It ended, or did not say that it is ready in time; the error holds its log.
    pub fn start(binary: impl AsRef<Path>, config: impl Into<String>) -> Result<Self> {
        Self::launch(Launch {
            binary: binary.as_ref().to_owned(),
            config: config.into(),
            files: Vec::new(),
            environment: Vec::new(),
        })
    }

    /// As [`Gateway::start`], with an environment.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub fn launch(launch: Launch) -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the gateway")?;
        let mut gateway = Self {
            launch,
            folder,
            log: Log::default(),
            process: None,
            data: String::new(),
            admin: String::new(),
        };
        for (name, text) in &gateway.launch.files {
            fs::write(gateway.folder.path().join(name), text)
                .with_context(|| format!("cannot write {name}"))?;
        }
        gateway.write_config(&gateway.launch.config)?;
        gateway.spawn()?;
        Ok(gateway)
    }

    /// Where clients go: scheme and authority.
    pub fn data_url(&self) -> &str {
        &self.data
    }

    /// Where the admin API is: scheme and authority.
    pub fn admin_url(&self) -> &str {
        &self.admin
    }

    /// A client of the data plane with this key.
    pub fn caller(&self, key: impl Into<String>) -> Caller {
        Caller::new(&self.data, key)
    }

    /// A client of the admin API with the token of [`ConfigText`](crate::ConfigText).
    pub fn admin(&self) -> Admin {
        Admin::new(&self.admin, ADMIN_TOKEN)
    }

    /// The process's folder; `data` in it is the data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("tollgate.yaml")
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Everything that the process has written to stdout and stderr, restarts included.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the configuration file as editors do: written beside, then renamed. The running
    /// process notices by itself.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_config(&self, text: &str) -> Result<()> {
        let beside = self.folder.path().join("tollgate.yaml.new");
        fs::write(&beside, text).context("cannot write the configuration")?;
        fs::rename(&beside, self.config_file()).context("cannot replace the configuration")
    }

    /// `kill -9`, and waits until the process is gone.
    ///
    /// # Errors
    /// There is no process, or it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the gateway does not run")?;
        process.kill().context("cannot kill the gateway")?;
        process.wait().context("cannot wait for the gateway")?;
        Ok(())
    }

    /// Asks for an orderly end (SIGTERM); returns at once.
    ///
    /// # Errors
    /// There is no process, or it cannot be signalled.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Asks for a reload (SIGHUP); returns at once.
    ///
    /// # Errors
    /// There is no process, or it cannot be signalled.
    pub fn hang_up(&self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    /// SIGUSR1: the access log is opened anew.
    ///
    /// # Errors
    /// There is no process, or it cannot be signalled.
    pub fn reopen_logs(&self) -> Result<()> {
        self.signal(Signal::USR1)
    }

    /// Starts again and kills with `kill -9` after so long, ready or not: a process that dies at
    /// whatever it does first.
    ///
    /// # Errors
    /// It runs already, cannot be started, or ended by itself before.
    pub fn restart_and_kill(&mut self, after: Duration) -> Result<()> {
        if self.process.is_some() {
            bail!("the gateway runs already");
        }
        let process = self.spawn_process()?;
        std::thread::sleep(after);
        if let Some(status) = process.try_wait().context("cannot wait for the gateway")? {
            self.process = None;
            bail!("the gateway ended with {status} at start; its log:\n{}", self.log());
        }
        self.kill()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("the gateway does not run")?;
        kill_process(Pid::from_child(process), signal).context("cannot signal the gateway")
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// It still runs after `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let process = self.process.as_mut().context("the gateway does not run")?;
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = process.try_wait().context("cannot wait for the gateway")? {
                self.process = None;
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("the gateway still runs after {limit:?}; its log:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts again on the same folder, so with the same journal and ledger, after [`Gateway::kill`]
    /// or [`Gateway::ended`]. With port 0 in the configuration the addresses change.
    ///
    /// # Errors
    /// As [`Gateway::start`]; it runs already.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("the gateway runs already");
        }
        self.spawn()
    }

    /// Runs another command of the binary in the same folder, `verify` for example, to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn command(&self, arguments: &[&str]) -> Result<std::process::Output> {
        Command::new(&self.launch.binary)
            .args(arguments)
            .current_dir(self.folder.path())
            .envs(self.launch.environment.iter().map(|(name, value)| (name, value)))
            .env("TOLLGATE_SERVER", &self.admin)
            .env("TOLLGATE_TOKEN", ADMIN_TOKEN)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", self.launch.binary.display()))
    }

    fn spawn_process(&mut self) -> Result<&mut Child> {
        let mut process = Command::new(&self.launch.binary)
            .args(["serve", "-c", "tollgate.yaml"])
            .current_dir(self.folder.path())
            .envs(self.launch.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.launch.binary.display()))?;
        collect(process.stdout.take(), &self.log);
        collect(process.stderr.take(), &self.log);
        Ok(self.process.insert(process))
    }

    fn spawn(&mut self) -> Result<()> {
        let start = self.log().len();
        self.spawn_process()?;
        let process = self.process.as_mut().expect("just started");
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let log = self.log.lock().unwrap_or_else(PoisonError::into_inner)[start..].to_owned();
            if let Some((data, admin)) = log.lines().find_map(ready_addresses) {
                (self.data, self.admin) = (data, admin);
                return Ok(());
            }
            if let Some(status) = process.try_wait().context("cannot wait for the gateway")? {
                bail!("the gateway ended with {status} at start; its log:\n{log}");
            }
            if Instant::now() >= deadline {
                bail!("the gateway is not ready after {START_LIMIT:?}; its log:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may be gone already; either way nothing is left running.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Copies what the process says, line by line, so that it never blocks on a full pipe.
fn collect(source: Option<impl Read + Send + 'static>, log: &Log) {
    let Some(source) = source else { return };
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&String::from_utf8_lossy(&line));
            log.push('\n');
        }
    });
}

/// Reads the line `ready data=http://ADDR admin=http://ADDR`.
fn ready_addresses(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace().skip_while(|word| *word != "ready").skip(1);
    let data = words.next()?.strip_prefix("data=")?.to_owned();
    let admin = words.next()?.strip_prefix("admin=")?.to_owned();
    Some((data, admin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_both_addresses() {
        let line = "ready data=http://127.0.0.1:8080 admin=http://127.0.0.1:9090";
        let wanted = ("http://127.0.0.1:8080".to_owned(), "http://127.0.0.1:9090".to_owned());
        assert_eq!(ready_addresses(line), Some(wanted));
        assert_eq!(ready_addresses("not ready at all"), None);
    }

    #[test]
    fn a_binary_that_ends_at_once_is_reported_with_its_status() {
        let problem = Gateway::start("false", "version: 1").unwrap_err().to_string();
        assert!(problem.contains("ended with exit status: 1"), "{problem}");
    }
}
