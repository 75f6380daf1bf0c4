//! One replay of one recording: its slot at the provider, its part of the configuration, and the
//! request that a client sends.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::SocketAddr,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tollgate_test_support::{Admin, Caller, Reply};

use super::{
    api::{Api, asked_model, form_field},
    expectation::Expectation,
    provider::{Body, Provider, Received, Script, Slot},
    recording::{Recording, header_pairs},
    stream::Cut,
    verdict,
};

/// What the replaying client authenticates with.
pub(super) const CLIENT_KEY: &str = "client-key-of-the-replay";
/// What the gateway shows to the scripted provider.
pub(super) const UPSTREAM_KEY: &str = "upstream-key-of-the-replay";
/// Headers that must never reach a provider; sent with every request.
pub(super) const PRIVATE_HEADERS: [(&str, &str); 4] = [
    ("cookie", "session=of-the-client"),
    ("openai-organization", "org-of-the-client"),
    ("openai-project", "project-of-the-client"),
    ("x-tollgate-session", "session-of-the-client"),
];

/// Headers that belong to one connection or to its framing, and credentials.
const NOT_REPLAYED: [&str; 14] = [
    "accept-encoding",
    "api-key",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
    "x-goog-api-key",
];

/// A replay that is planned.
#[derive(Clone, Debug)]
pub(super) struct Play {
    pub(super) recording: Arc<Recording>,
    pub(super) api: Api,
    pub(super) cut: Cut,
    /// The name of its alias, its upstream and its region, and its prefix at the provider: each
    /// replay has all of its own, so that a hold or breaker of one never decides another.
    pub(super) slot: String,
    /// What the provider calls the model.
    pub(super) model: String,
    /// The recorded body of the answer.
    pub(super) answer: Bytes,
    pub(super) expectation: Expectation,
}

/// The model that has made what a provider keeps.
const MODEL_OF_KEPT: &str = "model-of-kept";

/// Places at which the shortest recordings are cut in two, each by a request through the gateway.
const PLACES_OF_SHORTEST: usize = 16;

/// Every recording with each of its cuts; the shortest stream and the shortest plain answer of each API with
/// some more.
pub(super) fn plan(recordings: impl IntoIterator<Item = Arc<Recording>>) -> Result<Vec<Play>> {
    let recordings: Vec<Arc<Recording>> = recordings.into_iter().collect();
    let shortest = shortest(&recordings);
    let mut plays = Vec::new();
    for recording in recordings {
        let name = recording.name.clone();
        let api = Api::of(&recording.dialect).with_context(|| format!("{name}: not a served API"))?;
        let kept = api.kept_id(recording.request.url.path());
        let method = &*recording.request.method;
        ensure!(kept.is_some() || method == "POST", "{name}: {method} is not replayed");
        // What is kept was made by some model, which nobody names again.
        let model = asked_model(&recording).or_else(|| kept.map(|_| MODEL_OF_KEPT.to_owned()));
        let model = model.with_context(|| format!("{name}: no model is asked for"))?;
        let answer = recording.response.bytes().with_context(|| name.clone())?;
        let cuts: &[Cut] = if is_stream(&recording) { &Cut::OF_STREAMS } else { &Cut::OF_PLAIN };
        let more = if shortest.contains(&name) { PLACES_OF_SHORTEST } else { 0 };
        for cut in cuts.iter().copied().chain(Cut::over(answer.len(), more)) {
            plays.push(Play {
                api,
                cut,
                slot: format!("replay-{}", plays.len()),
                model: model.clone(),
                answer: answer.clone(),
                expectation: Expectation::of(&recording),
                recording: Arc::clone(&recording),
            });
        }
    }
    Ok(plays)
}

fn is_stream(recording: &Recording) -> bool {
    const STREAMS: [&str; 3] = [":streamGenerateContent", "/converse-stream", "/invoke-with-response-stream"];
    let path = recording.request.url.path();
    verdict::is_event_stream(recording) || STREAMS.iter().any(|verb| path.ends_with(verb))
}

/// The names of the shortest successful recordings, one of each API and form.
fn shortest(recordings: &[Arc<Recording>]) -> BTreeSet<String> {
    let mut shortest: BTreeMap<(&str, bool), (usize, &str)> = BTreeMap::new();
    for recording in recordings.iter().filter(|recording| recording.response.status == 200) {
        if Expectation::of(recording) == Expectation::PassedThrough {
            let this = (recording.response.length(), recording.name.as_str());
            let kept = shortest.entry((&recording.dialect, is_stream(recording))).or_insert(this);
            *kept = this.min(*kept);
        }
    }
    shortest.into_values().map(|(_, name)| name.to_owned()).collect()
}

/// The gateway's configuration: for each replay a region, an upstream and a model.
pub(super) fn configuration(plays: &[Play], provider: SocketAddr) -> String {
    let (mut regions, mut upstreams, mut models) = (String::new(), String::new(), String::new());
    for play in plays {
        let slot = &play.slot;
        let base = play.api.base_path(play.recording.request.url.path());
        // Writing to a string cannot fail.
        let _ = writeln!(regions, "  - {{ name: {slot}, zone: replay }}");
        let _ = writeln!(
            upstreams,
            "  - {{ name: {slot}, dialect: {}, region: {slot}, base_url: \"http://{provider}/{slot}{base}\", \
             allow_private: true, credential: {UPSTREAM_KEY} }}",
            play.api.dialect()
        );
        let model = Value::from(play.model.as_str());
        let _ = writeln!(models, "  - {{ name: {slot}, targets: [{{ upstream: {slot}, model: {model} }}] }}");
    }
    whole_configuration(&regions, &upstreams, &models, plays.iter().map(|play| play.slot.as_str()))
}

/// A configuration with these lines of regions, upstreams and models, and a key that may use the
/// aliases.
pub(super) fn whole_configuration<'a>(
    regions: &str,
    upstreams: &str,
    models: &str,
    aliases: impl Iterator<Item = &'a str>,
) -> String {
    let aliases = aliases.collect::<Vec<_>>().join(", ");
    format!(
        "version: 1
organization: replay
instance: replay
currency: USD
listen:
  data: {{ address: \"127.0.0.1:0\" }}
  admin: {{ address: \"127.0.0.1:0\" }}
data_dir: data
admin:
  tokens:
    - {{ name: replay, role: admin, token: admin-token-for-tests }}
regions:
{regions}upstreams:
{upstreams}models:
{models}teams:
  - name: replay
    projects:
      - name: replay
        models: [{aliases}]
        keys:
          - {{ name: replay, secret: {CLIENT_KEY} }}
"
    )
}

impl Play {
    /// Everything that the provider answers in this replay.
    pub(super) fn at_provider(&self) -> Slot {
        Slot { answer: self.script(), aside: self.of_kept().map(Kept::scripts).unwrap_or_default() }
    }

    /// What has to be kept before the recorded request can be answered.
    fn of_kept(&self) -> Option<Kept<'_>> {
        let path = self.recording.request.url.path();
        Some(Kept { id: self.api.kept_id(path)?, base: self.api.base_path(path), ends: self.method() })
    }

    fn method(&self) -> Method {
        Method::from_bytes(self.recording.request.method.as_bytes()).unwrap_or(Method::POST)
    }

    /// What the provider answers to it.
    pub(super) fn script(&self) -> Script {
        let headers = header_pairs(&self.recording.response.headers)
            .into_iter()
            .filter(|(name, _)| !NOT_REPLAYED.contains(&name.as_str()))
            .collect();
        let body = match self.cut {
            Cut::Whole => Body::Sized(self.answer.clone()),
            Cut::Pieces { .. } | Cut::At(_) => Body::Chunked(self.cut.pieces(&self.answer)),
        };
        Script { status: self.recording.response.status, headers, body }
    }

    /// The recorded request, aimed at the gateway.
    pub(super) async fn send(&self, gateway: &str) -> Result<Reply> {
        let url = &self.recording.request.url;
        let mut path = self.api.client_path(url.path(), &self.slot);
        if let Some(query) = url.query() {
            path = format!("{path}?{query}");
        }
        let headers = self.client_headers();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = self.body_with_model(&self.slot)?;
        let caller = Caller::new(gateway, CLIENT_KEY);
        let kept = self.of_kept();
        if let Some(kept) = &kept {
            kept.make(&caller, &self.slot).await?;
        }
        let reply = Caller::new(gateway, "").call(self.method(), &path, &headers, body).await?;
        if let Some(kept) = kept {
            kept.end(&caller).await?;
        }
        Ok(reply)
    }

    fn client_headers(&self) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = header_pairs(&self.recording.request.headers)
            .into_iter()
            .filter(|(name, _)| !NOT_REPLAYED.contains(&name.as_str()))
            .collect();
        if self.api.dialect() == "anthropic" && !headers.iter().any(|(name, _)| name == "anthropic-version") {
            headers.push(("anthropic-version".to_owned(), "2023-06-01".to_owned()));
        }
        let (name, value) = self.api.credential(CLIENT_KEY);
        headers.push((name.to_owned(), value));
        headers.extend(PRIVATE_HEADERS.map(|(name, value)| (name.to_owned(), value.to_owned())));
        headers
    }

    /// The recorded request body with another model, where it names one at all; nothing else is
    /// touched, so the provider must get the same bytes with its own model in that place.
    pub(super) fn body_with_model(&self, model: &str) -> Result<Bytes> {
        if let Some(mut form) = self.recording.request.form() {
            if let Some(span) = form_field(&form, "model") {
                form.splice(span, model.bytes());
            }
            return Ok(Bytes::from(form));
        }
        let recorded = &self.recording.request.body;
        let mut body = match recorded.as_str() {
            // Who only looks whether a model is there sends nothing.
            Some("") => return Ok(Bytes::new()),
            Some(text) => serde_json::from_str(text).context("the recorded request is no JSON")?,
            None => recorded.clone(),
        };
        if let Some(member) = body.get_mut("model") {
            *member = Value::from(model);
        }
        // Gemini's batches name the model once more in each request, as a resource.
        for request in body.get_mut("requests").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(member) = request.get_mut("model") {
                *member = Value::from(format!("models/{model}"));
            }
        }
        Ok(Bytes::from(body.to_string()))
    }
}

/// A response that the provider keeps while a request about it is replayed. Every cut of a recording is about
/// the same id, and each has an upstream of its own: so each makes it anew, and ends it.
struct Kept<'a> {
    id: &'a str,
    /// The path of the provider's base URL.
    base: String,
    /// The recorded method, which may end it already.
    ends: Method,
}

impl Kept<'_> {
    /// The provider makes it when it is asked for a response, and lets it be deleted.
    fn scripts(self) -> Vec<(Method, String, Script)> {
        let script = |body: Value| Script {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Body::Sized(body.to_string().into()),
        };
        let made = json!({"id": self.id, "object": "response", "status": "completed", "model": MODEL_OF_KEPT,
            "output": [], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}});
        let ended = json!({"id": self.id, "object": "response", "deleted": true});
        let (all, one) = (format!("{}/responses", self.base), format!("{}/responses/{}", self.base, self.id));
        let mut scripts = vec![(Method::POST, all, script(made))];
        if self.ends != Method::DELETE {
            scripts.push((Method::DELETE, one, script(ended)));
        }
        scripts
    }

    async fn make(&self, caller: &Caller, model: &str) -> Result<()> {
        let body = json!({"model": model, "input": "Say something."}).to_string();
        let reply = caller.post("/v1/responses", &[], body).await?;
        ensure!(reply.status.is_success(), "it could not be made: {}", String::from_utf8_lossy(&reply.body));
        Ok(())
    }

    async fn end(&self, caller: &Caller) -> Result<()> {
        if self.ends == Method::DELETE {
            return Ok(());
        }
        let path = format!("/v1/responses/{}", self.id);
        let reply = caller.call(Method::DELETE, &path, &[], Bytes::new()).await?;
        ensure!(reply.status.is_success(), "it could not be ended: {}", String::from_utf8_lossy(&reply.body));
        Ok(())
    }
}

/// A replay that has been done and looked at.
pub(super) struct Played {
    pub(super) play: Play,
    /// What is not as it should be; empty when all is well.
    pub(super) complaints: Vec<String>,
}

impl Played {
    /// Compares what the client got, what the provider got and what the ledger says.
    pub(super) async fn look_at(
        play: Play,
        reply: Result<Reply>,
        provider: &Provider,
        admin: &Admin,
    ) -> Self {
        let received = provider.received(&play.slot);
        let complaints = match reply {
            Err(problem) => vec![format!("{problem:#}")],
            Ok(reply) => Self::complaints(&play, &reply, &received, admin).await,
        };
        Self { play, complaints }
    }

    async fn complaints(play: &Play, reply: &Reply, received: &[Received], admin: &Admin) -> Vec<String> {
        let mut complaints = verdict::Complaints::default();
        verdict::of_the_answer(play, reply, &mut complaints);
        verdict::of_the_forwarded_request(play, received, &mut complaints);
        match admin.row(reply.request_id()).await {
            Ok(row) => verdict::of_the_row(play, reply, &row, &mut complaints),
            Err(problem) => complaints.add(format!("{problem:#}")),
        }
        complaints.into_inner()
    }
}
