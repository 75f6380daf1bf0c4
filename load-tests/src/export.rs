//! A ledger of millions of rows, exported by the release binary: how long it takes, and how much memory.
//!
//! Rows are made as the gateway makes them and taken by the store's own loading; the ledger is kept only
//! as long as the run. Nothing is judged here: the figures depend on the machine.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use smallvec::smallvec;
use tollgate_accounting::{
    ledger::{Attempt, Batch, Cursor, End, Entry, Identity, Kind, LedgerStore, Place, encode_entry},
    price::{Meter, MeterKind},
};
use tollgate_domain::{LogId, Money, RequestId, UnitPrice, UnixMillis, Usage, UsageSource};
use tollgate_stores::SqliteStore;

use crate::process::{Pid, peak};

/// Opens a gateway that lives for minutes on loopback.
const TOKEN: &str = "load-test-admin-token-0123456789";
/// 2026-10-01T00:00:00Z, and the milliseconds of that month.
const BEGIN: UnixMillis = UnixMillis::new(1_790_812_800_000);
const MONTH: u64 = 31 * 86_400_000;
/// Rows that are loaded in one transaction.
const BATCH: u64 = 20_000;

#[derive(Args)]
pub(crate) struct Export {
    /// Rows of the ledger.
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// The forms to export.
    #[arg(long, value_delimiter = ',', default_value = "parquet")]
    forms: Vec<Form>,
    /// The gateway's binary; `tollgate` beside this one without it.
    #[arg(long, value_name = "PATH")]
    gateway: Option<PathBuf>,
    /// Where the ledger and the files stand during the run; ten million rows are some gigabytes.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Csv,
    Focus,
    Parquet,
    Xlsx,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Focus => "focus",
            Self::Parquet => "parquet",
            Self::Xlsx => "xlsx",
        }
    }
}

impl Export {
    pub(crate) fn run(self) -> Result<()> {
        let program = match &self.gateway {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("tollgate"),
        };
        let folder = match &self.dir {
            Some(dir) => tempfile::tempdir_in(dir),
            None => tempfile::tempdir(),
        };
        let folder = folder.context("cannot make a folder for the ledger")?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        let started = Instant::now();
        make_ledger(&data.join("ledger.db"), self.rows)?;
        let took = started.elapsed().as_secs_f64();
        let mut out = std::io::stdout().lock();
        writeln!(out, "{} rows loaded in {took:.1} s", self.rows)?;
        for form in self.forms {
            // A process for each form: the peak of its memory is then that of the form.
            let gateway = Gateway::start(&program, folder.path())?;
            let file = folder.path().join(form.name());
            let took = gateway.export(&program, form, &file)?;
            writeln!(
                out,
                "{}: {took:.1} s, {:.0} rows a second, peak memory of the gateway {} MiB, file {} MiB",
                form.name(),
                self.rows as f64 / took,
                peak(Pid(gateway.0.id()))? >> 20,
                fs::metadata(&file)?.len() >> 20,
            )?;
            fs::remove_file(file)?;
        }
        Ok(())
    }
}

/// A running gateway with its admin address. Dropping it ends it.
struct Gateway(Child, String);

impl Gateway {
    fn start(program: &Path, folder: &Path) -> Result<Self> {
        let file = folder.join("tollgate.yaml");
        fs::write(&file, config(folder))?;
        let mut child = Command::new(program)
            .arg("serve")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut stderr = BufReader::new(child.stderr.take().context("stderr is a pipe")?);
        let mut gateway = Self(child, String::new());
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if stderr.read_line(&mut line)? == 0 {
                bail!("the gateway ended before it was ready:\n{said}");
            }
            if let Some((_, admin)) = line.trim().split_once("admin=") {
                gateway.1 = admin.split_ascii_whitespace().next().unwrap_or_default().to_owned();
                break;
            }
            said.push_str(&line);
        }
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Ok(gateway)
    }

    /// Seconds that the command took.
    fn export(&self, program: &Path, form: Form, file: &Path) -> Result<f64> {
        let started = Instant::now();
        let status = Command::new(program)
            .args([
                "export",
                form.name(),
                "--from",
                "2026-10",
                "--to",
                "2026-11",
                "--server",
                &self.1,
                "--out",
            ])
            .arg(file)
            .env("TOLLGATE_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .status()?;
        ensure!(status.success(), "the export of {} ended with {status}", form.name());
        Ok(started.elapsed().as_secs_f64())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn config(folder: &Path) -> String {
    format!(
        "version: 1
organization: load
instance: load
currency: USD
listen:
  data:  {{ address: \"127.0.0.1:0\" }}
  admin: {{ address: \"127.0.0.1:0\" }}
data_dir: {}/data
admin:
  tokens:
    - {{ name: ops, role: admin, token: \"{TOKEN}\" }}
ledger: {{ durability: process, store: sqlite }}
regions:
  - {{ name: local, zone: us }}
upstreams:
  - {{ name: provider, dialect: openai, region: local, base_url: \"https://api.openai.com/v1\", credential: \"load-test-upstream-0123456789\" }}
models:
  - {{ name: gpt-5-mini, targets: [ {{ upstream: provider, model: gpt-5-mini }} ] }}
teams:
  - {{ name: load, projects: [ {{ name: export, models: [gpt-5-mini] }} ] }}
",
        folder.display()
    )
}

fn make_ledger(file: &Path, rows: u64) -> Result<()> {
    let store = SqliteStore::open(file)?;
    let cast = Cast::new();
    let mut bytes = Vec::new();
    for first in (0..rows).step_by(BATCH as usize) {
        let last = rows.min(first + BATCH);
        let mut batch = Batch::default();
        for number in first..last {
            let entry = cast.entry(number, rows);
            bytes.clear();
            encode_entry(&entry, &mut bytes);
            batch.push(LogId::new(1), number + 1, entry, &bytes);
        }
        batch.cursors.push(Cursor { log: LogId::new(1), lsn: last, segment: 1, offset: last });
        store.load(&batch)?;
    }
    Ok(())
}

/// Who asks and who serves.
struct Cast {
    identities: Vec<Arc<Identity>>,
    places: Vec<Arc<Place>>,
}

impl Cast {
    /// Twenty teams of five projects, six places.
    fn new() -> Self {
        let identities = (0..100).map(|number| {
            Arc::new(Identity {
                organization: "load".into(),
                instance: "load".into(),
                team: format!("team-{}", number / 5).as_str().into(),
                project: format!("project-{number}").as_str().into(),
                key: "prod".into(),
                cost_center: Some("4711".into()),
                tags: vec![("env".into(), "prod".into())],
            })
        });
        let places = (0..6).map(|number| {
            Arc::new(Place {
                provider: "azure".into(),
                account: None,
                upstream: format!("aoai-{number}").as_str().into(),
                upstream_model: "gpt-5-mini".into(),
                region: format!("region-{number}").as_str().into(),
                zone: "us".into(),
            })
        });
        Self { identities: identities.collect(), places: places.collect() }
    }

    /// The row `number` of so many that they fill the month.
    fn entry(&self, number: u64, rows: u64) -> Entry {
        // Spread, but the same in every run.
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let at = BEGIN.plus((u128::from(number) * u128::from(MONTH) / u128::from(rows)) as i64);
        let place = &self.places[(noise % 6) as usize];
        let usage =
            Usage { input_uncached: 200 + noise % 4_000, output_text: 20 + noise % 900, ..Usage::default() };
        let meters = [
            meter(MeterKind::Input, usage.input_uncached, 250_000),
            meter(MeterKind::Output, usage.output_text, 2_000_000),
        ];
        let id = RequestId::new(at, u128::from(noise) << 64 | u128::from(number));
        let duration_ms = 300 + (noise % 9_000) as u32;
        Entry {
            ended_at: at.plus(duration_ms.into()),
            request_tags: vec![("feature".into(), "chat".into())],
            end_user: Some(format!("user-{}", noise % 50_000).into()),
            client: Some("OpenAI/Python 2.8.0".into()),
            place: Some(Arc::clone(place)),
            served_model: Some("gpt-5-mini-2025-08-07".into()),
            dialect: "openai".into(),
            operation: "chat_completions".into(),
            stream: noise.is_multiple_of(2),
            status: 200,
            end: Some(End::Completed),
            usage,
            usage_source: UsageSource::Reported,
            cost: Some(meters.iter().map(|meter| meter.cost).sum()),
            meters: meters.into_iter().collect(),
            service_tier: Some("default".into()),
            reserved_cost: Money::from_pico(8_192_000_000),
            attempts: smallvec![Attempt {
                n: 1,
                upstream: place.upstream.clone(),
                region: place.region.clone(),
                outcome: "ok".into(),
                status: Some(200),
                upstream_request_id: Some(format!("chatcmpl-{noise:016x}").into()),
                ttft_ms: Some(duration_ms / 3),
                duration_ms,
                meters: smallvec![],
                waste: Money::ZERO,
            }],
            upstream_request_id: Some(format!("chatcmpl-{noise:016x}").into()),
            ttft_ms: Some(duration_ms / 3),
            duration_ms,
            config_version: 1,
            ..Entry::new(
                Kind::Usage,
                id,
                Arc::clone(&self.identities[(noise % 100) as usize]),
                "gpt-5-mini".into(),
                "USD".into(),
            )
        }
    }
}

fn meter(meter: MeterKind, quantity: u64, pico: i64) -> Meter {
    let unit_price = UnitPrice::from_pico(pico);
    let cost = unit_price.times(quantity);
    Meter { meter, quantity, unit_price, cost, price_id: "gpt-5-mini-2025-08".into(), list_price: None }
}
