//! A real PostgreSQL server with a folder, a port and a password of its own.

mod programs;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak, mpsc},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use programs::Account;
pub use programs::PostgresPrograms;

/// How long a server may take to start or to stop on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The role of the tests, which may do everything.
const USER: &str = "tollgate";

/// A running server. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PostgresPrograms,
    account: Option<Account>,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    process: Mutex<Option<Child>>,
    databases: Mutex<u32>,
}

impl PostgresServer {
    /// The password of every URL that a server gives; it must show nowhere.
    pub const PASSWORD: &str = "pass-of-the-tests/%?";

    /// A new server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// PostgreSQL is missing, or does not start; the error holds what it said.
    pub fn start() -> Result<Self> {
        Self::with(&[], &[])
    }

    /// The same with settings such as `ssl=on`, and files of the data folder that they name: name and
    /// text.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn with(settings: &[&str], files: &[(&str, &str)]) -> Result<Self> {
        let programs = PostgresPrograms::find()?;
        let account = Account::for_server()?;
        let folder = tempfile::tempdir().context("no folder for the server")?;
        let mut server = Self {
            programs,
            account,
            folder,
            port: 0,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            process: Mutex::default(),
            databases: Mutex::default(),
        };
        server.initialise()?;
        for (name, text) in files {
            server.write(&server.data().join(name), text)?;
        }
        server.port = free_port()?;
        server.resume()?;
        Ok(server)
    }

    /// The server that the running tests of this process have in common; the last one who lets go of
    /// it stops it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// A new, empty database, by its name.
    ///
    /// # Errors
    /// The server does not make it.
    pub fn database(&self) -> Result<String> {
        let mut made = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        *made += 1;
        let name = format!("ledger_{made}");
        self.psql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(name)
    }

    /// The URL of a database, with the password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let password = Self::PASSWORD.replace('%', "%25").replace('/', "%2F").replace('?', "%3F");
        format!("postgres://{USER}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The folder that goes with the server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs SQL as people do, and gives what it printed: a line a row, columns apart by `|`.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let output = self
            .programs
            .command("psql", None)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.url(database))
            .output()
            .context("cannot run psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// A session that runs SQL and keeps its transaction open until it is dropped.
    ///
    /// # Errors
    /// psql cannot be started, or the server refuses the SQL.
    pub fn hold(&self, database: &str, sql: &str) -> Result<PostgresSession> {
        let mut psql = self
            .programs
            .command("psql", None)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .arg(self.url(database))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run psql")?;
        let mut input = psql.stdin.take().context("psql has no input")?;
        std::io::Write::write_all(&mut input, format!("BEGIN;\n{sql};\nSELECT 'held';\n").as_bytes())?;
        let output = psql.stdout.take().context("psql has no output")?;
        let session = PostgresSession { psql, input: Some(input) };
        let held = BufReader::new(output).lines().map_while(Result::ok).any(|line| line == "held");
        ensure!(held, "psql ended without running {sql:?}");
        Ok(session)
    }

    /// Ends the server in order: open transactions are rolled back, everything is on disk.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(&self) -> Result<()> {
        self.end(Signal::INT)
    }

    /// `kill -9` of the server: it writes nothing any more.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill(&self) -> Result<()> {
        self.end(Signal::KILL)
    }

    /// Lets the process and its children sleep: connections stay open and nobody answers.
    ///
    /// # Errors
    /// The process is gone.
    pub fn pause(&self) -> Result<()> {
        self.signal_all(Signal::STOP)
    }

    /// Wakes what [`pause`](Self::pause) put to sleep.
    ///
    /// # Errors
    /// The process is gone.
    pub fn wake(&self) -> Result<()> {
        self.signal_all(Signal::CONT)
    }

    /// Starts the stopped server again, on its port and with its data.
    ///
    /// # Errors
    /// It does not start; the error holds what it said.
    pub fn resume(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Children of a killed server may still have its memory and sockets for a moment.
            match self.try_start() {
                Ok(()) => return Ok(()),
                Err(problem) if Instant::now() > deadline => return Err(problem),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn initialise(&self) -> Result<()> {
        self.give_to_server(self.folder.path())?;
        let password = self.folder.path().join("password");
        self.write(&password, Self::PASSWORD)?;
        let output = self
            .programs
            .command("initdb", self.account)
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--username", USER])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(self.data())
            .output()
            .context("cannot run initdb")?;
        ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// Writes a file that only the server's user can read.
    fn write(&self, path: &Path, text: &str) -> Result<()> {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        self.give_to_server(path)
    }

    fn give_to_server(&self, path: &Path) -> Result<()> {
        if let Some(account) = self.account {
            std::os::unix::fs::chown(path, Some(account.user), Some(account.group))
                .with_context(|| format!("cannot give {} to the server's user", path.display()))?;
        }
        Ok(())
    }

    fn try_start(&self) -> Result<()> {
        let mut command = self.programs.command("postgres", self.account);
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        let fixed =
            ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_wal_size=512MB"];
        for setting in fixed.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot run postgres")?;
        let log = child.stderr.take().context("postgres has no log")?;
        let (send, lines) = mpsc::channel();
        // The log is read to its end, so that the server never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let mut told = Vec::new();
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains("database system is ready to accept connections") => break,
                Ok(line) => told.push(line),
                Err(_) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    bail!("the server does not start:\n{}", told.join("\n"));
                }
            }
        }
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok(())
    }

    fn end(&self, signal: Signal) -> Result<()> {
        let Some(mut child) = self.process.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        kill_process(pid(&child), signal).context("the server is gone")?;
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().context("cannot wait for the server")?.is_none() {
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                bail!("the server did not stop within {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn signal_all(&self, signal: Signal) -> Result<()> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let server = pid(process.as_ref().context("the server is stopped")?);
        for child in children(server)? {
            // One that has ended meanwhile needs no signal.
            let _ = kill_process(child, signal);
        }
        kill_process(server, signal).context("the server is gone")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let _ = self.wake();
        // At once, and its children with it; there is nothing to keep.
        let _ = self.end(Signal::QUIT);
    }
}

/// A transaction that is open as long as this lives.
#[derive(Debug)]
pub struct PostgresSession {
    psql: Child,
    input: Option<std::process::ChildStdin>,
}

impl Drop for PostgresSession {
    fn drop(&mut self) {
        // The end of its input ends psql, and with it the transaction.
        drop(self.input.take());
        let _ = self.psql.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// The processes that a process has started.
fn children(parent: Pid) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list /proc")?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process may end while it is looked at.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let its_parent = after_name.split_whitespace().nth(1).and_then(|field| field.parse::<i32>().ok());
        if its_parent == Some(parent.as_raw_nonzero().get()) {
            found.extend(Pid::from_raw(number));
        }
    }
    Ok(found)
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("no free port")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_stops_and_comes_back_with_its_data() {
        let server = PostgresServer::start().unwrap();
        let database = server.database().unwrap();
        server.psql(&database, "CREATE TABLE kept AS SELECT 7 AS number").unwrap();
        server.stop().unwrap();
        assert!(server.psql(&database, "SELECT 1").is_err());
        server.resume().unwrap();
        server.kill().unwrap();
        server.resume().unwrap();
        assert_eq!(server.psql(&database, "SELECT number, 'x' FROM kept").unwrap(), "7|x");
    }
}
