//! The keeper: asks for each credential before the old one ends, until it is told to end.
//!
//! Runs on a thread of its own, beside requests. A source is asked by one question at a time, and none
//! holds up another.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tollgate_domain::{Name, UnixMillis};
use tollgate_proxy::{CredentialState, Issued};
use tollgate_telemetry::CredentialSeries;

use super::{Fresh, FreshKind, Source, Trouble, plan};

/// How often it is looked for what is due, for sources that are new, and for the word to end.
const TICK: Duration = Duration::from_millis(200);
/// A credential that its upstream refuses is asked for anew, and not more often than this: mostly it is
/// the right one, and lacks a permission.
const DOUBT_EVERY: Duration = Duration::from_secs(30);

/// What a keeper works with.
pub struct Keeper<S> {
    /// The sources of the running configuration.
    pub sources: S,
    /// What the wall clock says.
    pub clock: fn() -> UnixMillis,
    /// Where the jitter begins.
    pub seed: u64,
}

/// What is known of a source between two questions.
struct Standing {
    due: Instant,
    /// When it was asked last.
    asked: Option<Instant>,
    asking: bool,
    failures: u32,
    /// What people were told last of trouble that lasts.
    told: Option<(CredentialState, String)>,
}

/// Keeps credentials fresh until `goes_on` says no.
///
/// # Cancel safety
/// What is in force stays in force; a question on its way is asked again by the next keeper.
pub async fn keep<S: Fn() -> Vec<Arc<Source>>>(keeper: Keeper<S>, goes_on: impl Fn() -> bool) {
    let mut random = SmallRng::seed_from_u64(keeper.seed);
    let mut known: HashMap<Name, Standing> = HashMap::new();
    let mut asked = FuturesUnordered::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if !goes_on() {
                    return;
                }
                let sources = (keeper.sources)();
                known.retain(|identity, _| sources.iter().any(|source| source.identity == *identity));
                for source in sources {
                    if begin(&mut known, &source, Instant::now()) {
                        let now = (keeper.clock)();
                        asked.push(async move {
                            let answer = source.way.fetch(now).await;
                            (source, answer)
                        });
                    }
                }
            }
            Some((source, answer)) = asked.next() => {
                let jitter = random.next_u32() % 1_000;
                let (now, wall) = (Instant::now(), (keeper.clock)());
                if let Some(standing) = known.get_mut(&source.identity) {
                    standing.take(&source, answer, (now, wall), jitter);
                }
            }
        }
    }
}

/// True when the source is to be asked now.
fn begin(known: &mut HashMap<Name, Standing>, source: &Source, now: Instant) -> bool {
    let new = || Standing { due: now, asked: None, asking: false, failures: 0, told: None };
    let standing = known.entry(source.identity.clone()).or_insert_with(new);
    if source.cell.take_doubt() {
        let earliest = standing.asked.map_or(now, |asked| asked + DOUBT_EVERY);
        standing.due = standing.due.min(earliest);
    }
    let due = !standing.asking && standing.due <= now;
    if due {
        (standing.asking, standing.asked) = (true, Some(now));
    }
    due
}

impl Standing {
    fn take(
        &mut self,
        source: &Source,
        answer: Result<Fresh, Trouble>,
        (now, wall): (Instant, UnixMillis),
        jitter: u32,
    ) {
        self.asking = false;
        let series = CredentialSeries::new(source.upstream.as_str());
        let had = answer.map_err(|trouble| trouble.to_string()).and_then(|fresh| {
            let expires = fresh.expires;
            issued(fresh, now, wall).map(|issued| (issued, expires)).map_err(str::to_owned)
        });
        match had {
            Ok((issued, expires)) => {
                if self.told.take().is_some() {
                    tracing::info!(upstream = %source.upstream, "the credential is renewed again");
                }
                self.failures = 0;
                self.due = now + plan::after_success(expires, wall, jitter);
                source.cell.issue(issued);
                series.asked("issued");
            }
            Err(trouble) => {
                self.failures = self.failures.saturating_add(1);
                self.due = now + plan::after_failure(self.failures, jitter);
                source.cell.failed(trouble.as_str(), self.due);
                self.tell(source, &trouble, now);
                series.asked("failed");
            }
        }
        series.set(source.cell.view(now).state != CredentialState::Missing);
    }

    /// Tells people when trouble begins or changes, and when it has left an upstream without.
    fn tell(&mut self, source: &Source, trouble: &str, now: Instant) {
        let news = (source.cell.view(now).state, trouble.to_owned());
        if self.told.as_ref() == Some(&news) {
            return;
        }
        if news.0 == CredentialState::Missing {
            tracing::error!(upstream = %source.upstream, trouble, "there is no credential: requests go elsewhere");
        } else {
            tracing::warn!(upstream = %source.upstream, trouble, "the credential cannot be renewed and serves until its end");
        }
        self.told = Some(news);
    }
}

/// A credential as requests take it: its end is counted from now, so that later changes of the wall
/// clock do not move it.
fn issued(fresh: Fresh, now: Instant, wall: UnixMillis) -> Result<Issued, &'static str> {
    let until = match fresh.expires {
        None => None,
        Some(expires) => match u64::try_from(expires.since(wall)) {
            Ok(left) if left > 0 => now.checked_add(Duration::from_millis(left)),
            _ => return Err("it has ended already"),
        },
    };
    match fresh.what {
        FreshKind::Token(token) => {
            Issued::token(&token, until).map_err(|_| "it has characters that cannot stand in a header")
        }
        FreshKind::Keys(keys) => Ok(Issued::keys(keys, until)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::credentials::Way;

    #[test]
    fn a_source_is_asked_when_it_is_due_and_by_one_question_at_a_time() {
        let (mut known, now) = (HashMap::new(), Instant::now());
        let source = Source {
            upstream: "up".into(),
            identity: "id".into(),
            cell: Arc::default(),
            way: Way::TokenFile(PathBuf::from("nowhere")),
        };
        assert!(begin(&mut known, &source, now), "a new one is asked at once");
        assert!(!begin(&mut known, &source, now), "it is being asked");
        let wall = UnixMillis::new(0);
        let standing = known.get_mut("id").expect("known");
        let token = Fresh::token(tollgate_domain::Secret::new("t".into()), Some(wall.plus(3_600_000)));
        standing.take(&source, Ok(token), (now, wall), 0);
        let due = now + Duration::from_secs(3_300);
        assert!(!begin(&mut known, &source, due - Duration::from_millis(1)));
        assert!(begin(&mut known, &source, due));
    }
}
