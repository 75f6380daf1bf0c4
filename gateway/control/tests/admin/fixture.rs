//! An admin API over a small gateway: two upstreams in two regions, two teams, one row each.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
    response::Response,
};
use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tollgate_accounting::ledger::{
    End, Entry, Identity, Journal, JournalOptions, Kind, Loader, Place, Postings,
};
use tollgate_control::{
    admin::{self, AdminState, Check},
    alerts::{Alerts, Foresight},
    chronicle::Chronicle,
    config::{self, Document, Sources},
    drills::Drills,
    feed::Feed,
    history::{History, Source},
    keys::Keys,
    operate::Operators,
    raises::Raises,
    reload::Reloader,
    sessions::Sessions,
};
use tollgate_domain::{Money, RequestId, UnixMillis, Usage, UsageSource};
use tollgate_proxy::{Live, OperatorState};
use tower::ServiceExt;

use crate::memory::MemoryStore;

pub(crate) struct Gateway {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) live: Arc<Live>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) operators: Arc<Operators>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) raises: Arc<Raises>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) chronicle: Arc<Chronicle>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) drills: Arc<Drills>,
    pub(crate) checks: Arc<Mutex<Vec<Check>>>,
    /// Where the data plane would listen: nobody answers there before a test takes it.
    pub(crate) data_port: Mutex<Option<TcpListener>>,
    state: Arc<AdminState>,
    folder: TempDir,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) tag: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// Status and code of a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.content_type, "application/problem+json", "{}", self.text);
        (self.status.as_u16(), self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

impl Gateway {
    pub(crate) fn new() -> Self {
        Self::of(&format!("{CONFIG}{TOKENS}"), Arc::default())
    }

    pub(crate) fn without_tokens() -> Self {
        Self::of(CONFIG, Arc::default())
    }

    /// A gateway on the same store, as after a restart.
    pub(crate) fn restarted(&self) -> Self {
        Self::of(&format!("{CONFIG}{TOKENS}"), Arc::clone(&self.store))
    }

    /// A gateway with the same reports of drills, as after a restart.
    pub(crate) fn restarted_with_drills(&self) -> Self {
        let drills = self.folder.path().join("drills");
        Self::with(&format!("{CONFIG}{TOKENS}"), Arc::clone(&self.store), Some(drills), PEPPER)
    }

    /// A gateway on the same store whose data folder has another pepper.
    pub(crate) fn restarted_with_pepper(&self, pepper: [u8; 32]) -> Self {
        Self::with(&format!("{CONFIG}{TOKENS}"), Arc::clone(&self.store), None, pepper)
    }

    fn of(config: &str, store: Arc<MemoryStore>) -> Self {
        Self::with(config, store, None, PEPPER)
    }

    fn with(config: &str, store: Arc<MemoryStore>, drills: Option<PathBuf>, pepper: [u8; 32]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let config = format!("{config}data_dir: {}\n", folder.path().join("data").display());
        fs::write(folder.path().join("tollgate.yaml"), config).expect("it is ours");
        fs::write(folder.path().join("prices.yaml"), PRICES).expect("it is ours");
        let sources = Sources::fixed(folder.path(), variables());
        let document =
            Document::load(Path::new("tollgate.yaml"), &sources).unwrap_or_else(|errors| panic!("{errors}"));
        let live = Arc::new(Live::new(config::quotas(&document)));
        let history = History::open(folder.path().join("history")).expect("it is ours");
        let reloader = Reloader::start(document, Arc::clone(&live), pepper, history, |_| {})
            .unwrap_or_else(|error| panic!("{error}"));
        let operators = Arc::new(Operators::new(Arc::clone(&store) as _, Arc::clone(&live)));
        let alerts = Alerts::open(Arc::clone(&store) as _, "contoso".into(), "gw-1".into());
        let alerts = Arc::new(alerts.expect("the store can be read"));
        let raises = Arc::new(Raises::new(Arc::clone(&store) as _, Arc::clone(&live)));
        raises.follow(now()).expect("the store can be read");
        let keys = Arc::new(Keys::new(Arc::clone(&store) as _, Arc::clone(&reloader), pepper));
        keys.follow().expect("the store can be read");
        let drills = Drills::open(
            drills.unwrap_or_else(|| folder.path().join("drills")),
            Arc::clone(&store) as _,
            Arc::clone(&live),
            Arc::clone(&reloader),
            now(),
        );
        let drills = Arc::new(drills.expect("it is ours"));
        let checks = Arc::new(Mutex::new(vec![Check { name: "journal", problem: None }]));
        let seen = Arc::clone(&checks);
        let journal = Journal::open(&folder.path().join("journal"), JournalOptions::default());
        let postings = Postings::new(Arc::new(journal.expect("opened")), Arc::clone(&store) as _, |_| {});
        let (chronicle, feed) = (Arc::<Chronicle>::default(), Arc::new(Feed::new(now())));
        let data_port = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let state = Arc::new(AdminState {
            store: Arc::clone(&store) as _,
            postings: Arc::new(postings),
            live: Arc::clone(&live),
            reloader: Arc::clone(&reloader),
            operators: Arc::clone(&operators),
            alerts: Arc::clone(&alerts),
            foresight: Arc::new(Foresight::default()),
            raises: Arc::clone(&raises),
            keys: Arc::clone(&keys),
            chronicle: Arc::clone(&chronicle),
            feed: Arc::clone(&feed),
            streams: admin::Streams::default(),
            data: data_port.local_addr().expect("it is bound"),
            trials: admin::Trials::default(),
            sessions: Sessions::default(),
            drills: Arc::clone(&drills),
            metrics: Box::new(|| "tollgate_up 1\n".to_owned()),
            readiness: Box::new(move || seen.lock().clone()),
        });
        Self {
            store,
            live,
            reloader,
            operators,
            alerts,
            raises,
            keys,
            chronicle,
            feed,
            drills,
            checks,
            data_port: Mutex::new(Some(data_port)),
            state,
            folder,
        }
    }

    /// Changes the configuration file.
    pub(crate) fn edit_config(&self, from: &str, to: &str) {
        self.edit("tollgate.yaml", from, to);
    }

    /// Changes the price file.
    pub(crate) fn edit_prices(&self, from: &str, to: &str) {
        self.edit("prices.yaml", from, to);
    }

    pub(crate) fn reload(&self) {
        self.reloader.reload(Source::File, "test").unwrap_or_else(|errors| panic!("{errors}"));
    }

    pub(crate) fn postings(&self) -> Arc<Postings> {
        Arc::clone(&self.state.postings)
    }

    /// What carries posted rows into the store.
    pub(crate) fn loader(&self) -> Loader {
        Loader::new(&self.folder.path().join("journal"), Arc::clone(&self.store) as _)
    }

    /// Loses what the store keeps beside the rows.
    pub(crate) fn forget_papers(&self) {
        self.store.documents.lock().clear();
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.path().join(file);
        let text = fs::read_to_string(&path).expect("it is ours");
        assert!(text.contains(from), "{from:?} stands in the file");
        fs::write(&path, text.replace(from, to)).expect("it is ours");
    }

    /// What stands in the configuration file.
    pub(crate) fn config_file(&self) -> String {
        fs::read_to_string(self.folder.path().join("tollgate.yaml")).expect("it is ours")
    }

    /// What arrives of a body.
    pub(crate) async fn body_of(&self, path: &str, who: &str) -> Result<Vec<u8>, axum::Error> {
        let token = format!("Bearer {}", secret_of(who));
        let request = Request::builder().uri(path).header(header::AUTHORIZATION, token);
        let request = request.body(Body::empty()).expect("a request");
        let response = admin::router(&self.state).oneshot(request).await.expect("a router always answers");
        assert_eq!(response.status(), 200, "the head was sent before");
        Ok(to_bytes(response.into_body(), 64 << 20).await?.to_vec())
    }

    /// A call with the token of the holder `who`; without one when it is empty.
    pub(crate) async fn call(&self, method: &str, path: &str, who: &str, body: &str) -> Answer {
        self.send(&[], method, path, who, body).await
    }

    async fn send(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        who: &str,
        body: &str,
    ) -> Answer {
        let response = self.begin(headers, method, path, who, body).await;
        let status = response.status();
        let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let tag = response.headers().get(header::ETAG).and_then(|value| value.to_str().ok());
        let tag = tag.unwrap_or_default().to_owned();
        let bytes = to_bytes(response.into_body(), 4 << 20).await.expect("the body arrives");
        Answer { status, content_type, tag, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    async fn begin(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        who: &str,
        body: &str,
    ) -> axum::response::Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !who.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", secret_of(who)));
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        admin::router(&self.state).oneshot(request).await.expect("a router always answers")
    }

    /// A call that says with `if-match` what it was made from.
    pub(crate) async fn call_if(&self, tag: &str, method: &str, path: &str, who: &str, body: &str) -> Answer {
        self.send(&[("if-match", tag)], method, path, who, body).await
    }

    /// The status of a call, whatever comes after it.
    pub(crate) async fn status(&self, method: &str, path: &str, who: &str) -> u16 {
        self.begin(&[], method, path, who, "").await.status().as_u16()
    }

    /// The body of an answer that goes on.
    pub(crate) async fn open(&self, path: &str, who: &str) -> Body {
        let (status, body) = self.try_open(path, who).await;
        assert_eq!(status, 200, "{path} by {who}");
        body
    }

    pub(crate) async fn try_open(&self, path: &str, who: &str) -> (u16, Body) {
        let response = self.begin(&[], "GET", path, who, "").await;
        (response.status().as_u16(), response.into_body())
    }

    /// A call with headers of its own, as a browser makes it; the answer whole.
    pub(crate) async fn browse(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "gw:9090");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        admin::router(&self.state).oneshot(request).await.expect("a router always answers")
    }

    /// The link of a first start.
    pub(crate) fn sign_in_link(&self) -> Option<String> {
        self.state.sign_in_link()
    }

    pub(crate) async fn get(&self, path: &str, who: &str) -> Answer {
        self.call("GET", path, who, "").await
    }

    /// A call to the status listener.
    pub(crate) async fn status_listener(&self, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        admin::status_router(&self.state).oneshot(request).await.expect("a router always answers").status()
    }

    pub(crate) fn add_row(&self, team: &str, at: &str, cost: &str) -> RequestId {
        let row = row(team, millis(at), cost.parse().expect(cost), self.store.rows.lock().len() as u64 + 1);
        let id = row.id;
        self.store.rows.lock().push(row);
        id
    }

    /// What stands in the file below the data folder, if there is one.
    pub(crate) fn data_file(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.path().join("data").join(name)).ok()
    }

    pub(crate) fn fill_disk(&self) {
        self.store.full.store(true, Ordering::Relaxed);
    }

    pub(crate) fn empty_disk(&self) {
        self.store.full.store(false, Ordering::Relaxed);
    }

    pub(crate) fn state_of_region(&self, name: &str) -> OperatorState {
        self.live.fleet.region(&name.into()).operator.state(OperatorState::Enabled)
    }
}

pub(crate) fn now() -> UnixMillis {
    UnixMillis::new(jiff::Timestamp::now().as_millisecond())
}

pub(crate) fn millis(at: &str) -> UnixMillis {
    UnixMillis::new(at.parse::<jiff::Timestamp>().expect(at).as_millisecond())
}

pub(crate) fn secret_of(who: &str) -> String {
    format!("secret-token-of-{who}")
}

const PEPPER: [u8; 32] = [7; 32];

/// The tokens of all holders.
const TOKENS: &str = r#"
admin:
  tokens:
    - { name: root, role: admin, token: "${env:ROOT}" }
    - { name: ops, role: operator, token: "${env:OPS}" }
    - { name: money, role: finance, token: "${env:MONEY}" }
    - { name: eyes, role: viewer, token: "${env:EYES}" }
    - { name: retail-lead, role: finance, token: "${env:RETAIL_LEAD}", scope: { teams: [retail] } }
    - { name: retail-ops, role: operator, token: "${env:RETAIL_OPS}", scope: { teams: [retail] } }
    - { name: retail-eyes, role: viewer, token: "${env:RETAIL_EYES}", scope: { teams: [retail] } }
    - { name: nobodys, role: admin, token: "${env:NOBODYS}", scope: { teams: [] } }
    - { name: retail-admin, role: admin, token: "${env:RETAIL_ADMIN}", scope: { teams: [retail] } }
"#;

const CONFIG: &str = r#"version: 1
organization: contoso
instance: gw-1
currency: USD
listen:
  data: { address: "127.0.0.1:0" }
  admin: { address: "127.0.0.1:0" }
regions:
  - { name: eu, zone: eu }
  - { name: us, zone: us }
upstreams:
  - { name: aoai-eu, dialect: openai, region: eu, base_url: "http://127.0.0.1:9/v1", allow_private: true, credential: "${env:ROOT}" }
  - { name: openai, dialect: openai, region: us, base_url: "http://127.0.0.1:9/v1", allow_private: true, credential: "${env:ROOT}" }
models:
  - name: gpt
    targets:
      - { upstream: aoai-eu, model: meta/gpt-5 }
      - { upstream: openai, model: meta/gpt-5 }
prices: [prices.yaml]
teams:
  - name: retail
    projects:
      - name: search
        models: [gpt]
        budget: { amount: "500.00", period: month, mode: hard, alerts: [50] }
        keys: [{ name: prod, secret: "${env:RETAIL_KEY}" }]
  - name: hr
    projects:
      - name: search
        models: [gpt]
        budget: { amount: "500.00", period: month, mode: hard, alerts: [50] }
        keys: [{ name: prod, secret: "${env:HR_KEY}" }]
"#;

const PRICES: &str = r#"prices:
  - { model: meta/gpt-5, from: 2026-01-01, currency: USD, per: 1000000, input: "1", output: "2" }
"#;

fn variables() -> impl Iterator<Item = (&'static str, String)> {
    let holders = [
        "root",
        "ops",
        "money",
        "eyes",
        "retail-lead",
        "retail-admin",
        "retail-ops",
        "retail-eyes",
        "nobodys",
    ];
    let names = [
        "ROOT",
        "OPS",
        "MONEY",
        "EYES",
        "RETAIL_LEAD",
        "RETAIL_ADMIN",
        "RETAIL_OPS",
        "RETAIL_EYES",
        "NOBODYS",
    ];
    let keys = [("RETAIL_KEY", "key-of-retail-0123".to_owned()), ("HR_KEY", "key-of-hr-01234567".to_owned())];
    names.into_iter().zip(holders.map(secret_of)).chain(keys)
}

fn place(upstream: &tollgate_domain::UpstreamName, region: &str) -> Place {
    Place {
        provider: "openai".into(),
        account: None,
        upstream: upstream.clone(),
        upstream_model: "meta/gpt-5".into(),
        region: region.into(),
        zone: region.into(),
    }
}

fn identity(team: &str) -> Identity {
    Identity {
        organization: "contoso".into(),
        instance: "gw-1".into(),
        team: team.into(),
        project: "search".into(),
        key: "prod".into(),
        cost_center: None,
        tags: Vec::new(),
    }
}

fn row(team: &str, at: UnixMillis, cost: Money, seq: u64) -> Entry {
    Entry {
        seq,
        ended_at: at.plus(100),
        place: Some(Arc::new(place(&"openai".into(), "us"))),
        dialect: "openai".into(),
        operation: "chat_completions".into(),
        status: 200,
        end: Some(End::Completed),
        usage: Usage { input_uncached: 10, output_text: 5, ..Usage::default() },
        usage_source: UsageSource::Reported,
        cost: Some(cost),
        duration_ms: 100,
        config_version: 1,
        ..Entry::new(
            Kind::Usage,
            RequestId::new(at, u128::from(seq)),
            Arc::new(identity(team)),
            "gpt".into(),
            "USD".into(),
        )
    }
}
