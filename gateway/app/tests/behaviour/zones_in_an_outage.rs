//! Everything in one zone dies in every way. By the providers' own books, nobody's request is ever
//! sent outside the zones that its project permits.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;
use tollgate_simulator::{At, Fault, Keep, Options, Refusal, Script, Simulator, Stop};
use tollgate_test_support::{Caller, ConfigText, Gateway};

use crate::stage::{TOLLGATE, chat, short_or_long};

const ZONES: [&str; 3] = ["eu", "us", "ap"];
/// Zones as a set: a bit each, in the order of [`ZONES`].
type Zones = u8;

/// Upstreams: name, and all zones where they process; the first one is their region's.
const PLACES: [(&str, Zones); 5] =
    [("eu-one", 0b001), ("eu-two", 0b001), ("eu-global", 0b011), ("us-one", 0b010), ("ap-one", 0b100)];

/// Calls under way at a time.
const SIDE_BY_SIDE: usize = 16;

/// What a project permits, and the zone that a request narrows it to.
#[derive(Clone, Copy)]
struct Policy {
    zones: Zones,
    narrowed: Option<usize>,
}

impl Policy {
    /// Every set of zones, not narrowed and narrowed to each that it has.
    fn all() -> Vec<Self> {
        let sets = 1..1 << ZONES.len();
        sets.flat_map(|zones: Zones| {
            let inside = (0..ZONES.len()).filter(move |zone| zones & (1 << zone) != 0);
            [None].into_iter().chain(inside.map(Some)).map(move |narrowed| Self { zones, narrowed })
        })
        .collect()
    }

    fn permits(self, processing: Zones) -> bool {
        let permitted = self.narrowed.map_or(self.zones, |zone| self.zones & (1 << zone));
        processing & !permitted == 0
    }

    /// Some place that it permits does not die.
    fn has_a_living_home(self) -> bool {
        PLACES.iter().any(|(name, processing)| !name.starts_with("eu") && self.permits(*processing))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_leaves_its_zones_however_a_zone_dies() -> Result<()> {
    let policies = Policy::all();
    let mut providers = PLACES
        .map(|(name, _)| {
            let options = Options { name: name.to_owned(), keep: Keep::Totals, ..Options::default() };
            Simulator::spawn_thread(options)
        })
        .into_iter()
        .collect::<std::io::Result<Vec<_>>>()?;
    let gateway = Gateway::launch(config(&providers, &policies)?.launch(TOLLGATE))?;
    let callers: Vec<_> = (0..policies.len()).map(|number| gateway.caller(key(number))).collect();
    let callers = Arc::new(callers);

    let faults = faults();
    let each = short_or_long(2_000, 100_000) / (faults.len() + 2);
    let mut phases = (0..).map(|phase| phase * each..(phase + 1) * each);
    let mut phase = async || calls(&callers, &policies, phases.next().unwrap_or_default()).await;
    let (mut unserved, faulty) = (0, faults.len());
    ensure!(phase().await?.is_empty(), "not served though all is well");
    for script in faults {
        dying(&providers).for_each(|provider| provider.always(Some(script.clone())));
        unserved += phase().await?.len();
    }
    // A request has three attempts, and breakers need five faults: some meet nothing but what dies.
    ensure!(unserved * 4 < each * faulty, "{unserved} calls were not served where a zone lived");
    let alive = providers.split_off(3);
    let books: Vec<_> = providers.iter().chain(&alive).map(|provider| provider.book().clone()).collect();
    for provider in providers {
        provider.stop(Stop::Abrupt).await;
    }
    // What cannot be connected to costs no attempt.
    let unserved = phase().await?;
    ensure!(unserved.is_empty(), "killed: {unserved:?}");

    let mut all = 0;
    for ((name, processing), book) in PLACES.iter().zip(books) {
        for (model, calls) in book.totals().by_model {
            let policy = model.strip_prefix("policy-").and_then(|number| number.parse::<usize>().ok());
            let policy = policy.and_then(|number| policies.get(number));
            let permitted = policy.is_some_and(|policy| policy.permits(*processing));
            ensure!(permitted, "{calls} calls of {model} went to {name}");
            all += calls;
        }
    }
    ensure!(all > 0, "the books are empty");
    Ok(())
}

/// Providers of the zone that dies.
fn dying(providers: &[Simulator]) -> impl Iterator<Item = &Simulator> {
    PLACES.iter().zip(providers).filter(|((name, _), _)| name.starts_with("eu")).map(|(_, provider)| provider)
}

fn faults() -> Vec<Script> {
    let refusal = Script::refusal;
    let broken = |fault| Script::usual().then(fault);
    vec![
        broken(Fault::Reset(At::Byte(0))),
        broken(Fault::Close(At::Byte(20))),
        refusal(Refusal::ServerError),
        refusal(Refusal::Unavailable { retry_after: Some(1) }),
        refusal(Refusal::Overloaded),
        Script::rate_limited(Duration::from_millis(100)),
        refusal(Refusal::InsufficientQuota),
        refusal(Refusal::Unauthorized),
        refusal(Refusal::ModelNotFound),
        broken(Fault::MalformedBody),
        broken(Fault::WrongContentType),
        broken(Fault::ShortBody),
    ]
}

/// Makes these calls; gives those that were not served though a place was permitted that does not die.
async fn calls(
    callers: &Arc<Vec<Caller>>,
    policies: &[Policy],
    numbers: std::ops::Range<usize>,
) -> Result<Vec<String>> {
    let (mut running, mut homeless) = (JoinSet::new(), Vec::new());
    for number in numbers {
        if running.len() == SIDE_BY_SIDE {
            homeless.extend(running.join_next().await.transpose()?.flatten());
        }
        let (number, callers) = (number % policies.len(), Arc::clone(callers));
        let policy = policies[number];
        running.spawn(async move {
            let told = call(&callers[number], number, policy).await;
            told.err()
                .filter(|_| policy.has_a_living_home())
                .map(|told| format!("{}: {told:#}", model(number)))
        });
    }
    homeless.extend(running.join_all().await.into_iter().flatten());
    Ok(homeless)
}

async fn call(caller: &Caller, number: usize, policy: Policy) -> Result<()> {
    let header = policy.narrowed.map(|zone| ("x-tollgate-zone", ZONES[zone]));
    let body = Bytes::from(chat(&model(number), false).to_string());
    let reply = caller.post("/v1/chat/completions", header.as_slice(), body).await?;
    ensure!(reply.status.is_success(), "{} {}", reply.status, reply.error_code());
    Ok(())
}

/// A model and a project for each policy. The model is served everywhere, in an order of its own, so
/// that the books tell policies apart and zones alone decide.
fn config(providers: &[Simulator], policies: &[Policy]) -> Result<ConfigText> {
    let mut config = ConfigText::two_regions(providers[0].addr(), providers[0].addr());
    "regions:\n".clone_into(&mut config.regions);
    "upstreams:\n".clone_into(&mut config.upstreams);
    "models:\n".clone_into(&mut config.models);
    "teams:\n  - name: retail\n    projects:\n".clone_into(&mut config.teams);
    for ((name, processing), provider) in PLACES.iter().zip(providers) {
        let zones = names(*processing);
        writeln!(config.regions, "  - {{ name: {name}, zone: {} }}", zones[0])?;
        writeln!(
            config.upstreams,
            "  - {{ name: {name}, dialect: openai, region: {name}, base_url: \"{}/v1\", allow_private: true, \
             processing: [{}], credential: {} }}",
            provider.base_url(),
            zones.join(", "),
            ConfigText::UPSTREAM_KEY
        )?;
    }
    for (number, policy) in policies.iter().enumerate() {
        let name = model(number);
        let targets: Vec<_> = (0..PLACES.len())
            .map(|place| {
                let (upstream, _) = PLACES[(place + number) % PLACES.len()];
                format!("{{ upstream: {upstream}, model: {name}, priority: {} }}", place / 2 + 1)
            })
            .collect();
        writeln!(config.models, "  - {{ name: {name}, targets: [{}] }}", targets.join(", "))?;
        writeln!(
            config.teams,
            "      - {{ name: p{number}, models: [{name}], zones: [{}], keys: [{{ name: prod, secret: {} }}] }}",
            names(policy.zones).join(", "),
            key(number)
        )?;
    }
    Ok(config)
}

fn names(zones: Zones) -> Vec<&'static str> {
    (0..).zip(ZONES).filter(|(bit, _)| zones & (1 << bit) != 0).map(|(_, name)| name).collect()
}

fn model(number: usize) -> String {
    format!("policy-{number}")
}

fn key(number: usize) -> String {
    format!("key-of-the-policy-{number}")
}
