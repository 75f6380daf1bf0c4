//! Two simulated regions and a gateway before them: what every test here starts with.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Options, Simulator};
use tollgate_test_support::{ConfigText, Gateway, Launch};

/// The binary under test.
pub(crate) const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");

/// How long a test waits for what comes soon on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// The first figure for every day, the second when `TOLLGATE_LONG=1` asks for the long form.
pub(crate) fn short_or_long<T>(short: T, long: T) -> T {
    if std::env::var_os("TOLLGATE_LONG").is_some_and(|value| value == "1") { long } else { short }
}

/// A gateway before the providers `east` (preferred) and `west`.
pub(crate) struct Stage {
    pub(crate) east: Simulator,
    pub(crate) west: Simulator,
    pub(crate) gateway: Gateway,
    /// What the gateway was started with.
    pub(crate) config: ConfigText,
}

impl Stage {
    /// The usual configuration and providers that answer like this.
    pub(crate) fn set(behaviour: Behaviour) -> Result<Self> {
        Self::with(behaviour, |_| {})
    }

    /// The same, with a configuration that `change` has had in its hands.
    pub(crate) fn with(behaviour: Behaviour, change: impl FnOnce(&mut ConfigText)) -> Result<Self> {
        Self::launched(behaviour, change, |_| {})
    }

    /// The same, with `prepare` as the last word on how it is launched.
    pub(crate) fn launched(
        behaviour: Behaviour,
        change: impl FnOnce(&mut ConfigText),
        prepare: impl FnOnce(&mut Launch),
    ) -> Result<Self> {
        let [east, west] = [provider("east", &behaviour)?, provider("west", &behaviour)?];
        let mut config = ConfigText::two_regions(east.addr(), west.addr());
        config.head.push_str("\nshutdown: { delay: 100ms }");
        change(&mut config);
        let mut launch = config.launch(TOLLGATE);
        prepare(&mut launch);
        let gateway = Gateway::launch(launch)?;
        Ok(Self { east, west, gateway, config })
    }

    /// `tollgate verify` on the folder of the gateway, which must find no difference.
    pub(crate) fn verify(&self) -> Result<()> {
        let output = self.gateway.command(&["verify", "--dir", "data"])?;
        if !output.status.success() {
            bail!("verify: {}{}", text(&output.stdout), text(&output.stderr));
        }
        Ok(())
    }

    /// Ends the gateway in order and audits what it left behind.
    pub(crate) async fn close(&mut self) -> Result<()> {
        self.gateway.terminate()?;
        let status = self.gateway.ended(PATIENCE).await?;
        if !status.success() {
            bail!("the gateway ended with {status}; its log:\n{}", self.gateway.log());
        }
        self.verify()
    }
}

fn provider(name: &str, behaviour: &Behaviour) -> Result<Simulator> {
    let options = Options {
        name: name.to_owned(),
        behaviour: behaviour.clone(),
        credential: Some(ConfigText::UPSTREAM_KEY.to_owned()),
        ..Options::default()
    };
    Ok(Simulator::spawn_thread(options)?)
}

/// A chat request of a few words.
pub(crate) fn chat(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "Say hello." }] })
}

/// A request of the Messages API of a few words.
pub(crate) fn messages(model: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "max_tokens": 64,
        "stream": stream,
        "messages": [{ "role": "user", "content": "Say hello." }],
    })
}

/// Asks until the answer is yes, or patience ends; tells how long it took.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<Duration> {
    let start = Instant::now();
    while !is_so().await? {
        if start.elapsed() > PATIENCE {
            bail!("not within {PATIENCE:?}: {what}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(start.elapsed())
}

/// Bytes of a process's output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
