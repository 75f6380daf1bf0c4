//! Alerts over a real store, with time as an argument and receivers that misbehave.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tollgate_accounting::{
    ledger::LedgerStore,
    quota::{BudgetMode, BudgetStatus, Period, Reserve, ScopeId, ScopeKind},
};
use tollgate_domain::{Money, Secret, UnixMillis};
use tollgate_proxy::{Finding, Origin, Scheme};
use tollgate_stores::SqliteStore;

use super::{courier::deliver, *};
use crate::config::file::AlertKind;

/// 2026-11-24T11:00:00Z.
const NOON: UnixMillis = UnixMillis::new(1_795_518_000_000);
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// A ledger store, and the processes that share it.
struct House {
    store: Arc<dyn LedgerStore>,
    _folder: TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(&folder.path().join("ledger.db")).expect("a new store");
        Self { store: Arc::new(store), _folder: folder }
    }

    /// A process of this name, started now.
    fn process(&self, instance: &str) -> Alerts {
        Alerts::open(Arc::clone(&self.store), "contoso".into(), instance.into()).expect("it can be read")
    }

    /// Actions of the audit, the oldest first.
    fn audit(&self) -> Vec<String> {
        let entries = self.store.audit(None, 1_000).expect("it can be read");
        entries.into_iter().rev().map(|entry| entry.action).collect()
    }
}

fn status(amount: &str, spent: &str) -> BudgetStatus {
    BudgetStatus {
        scope: ScopeId { kind: ScopeKind::Project, name: "retail/search".into() },
        mode: BudgetMode::Hard,
        reserve: Reserve::Full,
        currency: "USD".into(),
        amount: amount.parse().expect(amount),
        raise: None,
        ceiling: None,
        exhausted: false,
        spent: spent.parse().expect(spent),
        reserved: Money::ZERO,
        remaining: Money::ZERO,
        at_risk: Money::ZERO,
        spent_today: Money::ZERO,
        period: Period::Month,
        start: UnixMillis::new(NOON.get() - 23 * DAY),
        end: Some(NOON.plus(7 * DAY)),
    }
}

/// The thresholds of 50, 80 and 100 that such a budget is at.
fn reached(status: &BudgetStatus) -> Vec<Event> {
    let at = [50, 80, 100].into_iter().filter(|threshold| status.has_spent(*threshold));
    at.map(|threshold| spent(status, threshold)).collect()
}

fn spent(status: &BudgetStatus, threshold: u16) -> Event {
    Event::Budget { status: Box::new(status.clone()), about: About::Spent(threshold) }
}

fn unpriced(model: &str, day: &str) -> Event {
    Event::Unpriced { model: model.into(), day: day.to_owned() }
}

fn webhook(name: &str, port: u16) -> Webhook {
    Webhook {
        name: name.into(),
        origin: Origin { scheme: Scheme::Http, host: "127.0.0.1".to_owned(), port, allow_private: true },
        target: Secret::new("/hook?token=abc".to_owned()),
        secret: Secret::new("a secret of sixteen bytes".to_owned()),
        tls: None,
        timeout: Duration::from_millis(200),
        events: None,
        teams: None,
    }
}

/// Webhooks that nobody sends to in the test.
fn named(names: &[&str]) -> Vec<Arc<Webhook>> {
    names.iter().map(|name| Arc::new(webhook(name, 9))).collect()
}

fn taken(alerts: &Alerts, events: Vec<Event>, now: UnixMillis) -> usize {
    alerts.take(events, &named(&["desk"]), now).expect("the store takes it").len()
}

#[test]
fn each_threshold_is_told_once_per_period_and_amount_over_restarts() {
    let house = House::new();
    let steps = [
        ("nothing yet", status("100", "49.99"), 0),
        ("half", status("100", "50"), 1),
        ("still half", status("100", "79"), 0),
        ("both at once", status("100", "100"), 2),
        ("another amount arms anew", status("200", "100"), 1),
        ("the former amount was told", status("100", "100"), 0),
        ("a new period", BudgetStatus { start: NOON.plus(7 * DAY), ..status("100", "60") }, 1),
        ("a clock that is set back", status("100", "100"), 0),
    ];
    for (name, status, news) in steps {
        // Every step is a process of its own: nothing is known but what the store has.
        let alerts = house.process("gw-1");
        assert_eq!(taken(&alerts, reached(&status), NOON), news, "{name}");
        assert_eq!(taken(&alerts, reached(&status), NOON), 0, "{name}, again");
    }
    assert_eq!(house.audit(), ["alert.budget_threshold"; 5]);
}

#[test]
fn of_several_processes_one_alone_makes_an_alert() {
    let house = House::new();
    let processes: Vec<Alerts> = (0..4).map(|n| house.process(&format!("gw-{n}"))).collect();
    let made: usize = std::thread::scope(|scope| {
        let looks = processes.iter().map(|alerts| {
            scope.spawn(move || {
                let spent = (1..=100).map(|spent| status("100", &spent.to_string()));
                spent.map(|status| taken(alerts, reached(&status), NOON)).sum::<usize>()
            })
        });
        let looks: Vec<_> = looks.collect();
        looks.into_iter().map(|look| look.join().expect("it does not panic")).sum()
    });
    assert_eq!(made, 3);
    let alerts = processes[0].list().expect("it can be read");
    let thresholds: Vec<_> = alerts.iter().rev().map(|alert| alert.body["threshold"].clone()).collect();
    assert_eq!(thresholds, [50, 80, 100]);
}

#[test]
fn a_model_without_a_price_is_told_once_a_day_whoever_meets_it() {
    let house = House::new();
    let alerts = house.process("gw-1");
    for _ in 0..5 {
        alerts.raise(unpriced("gpt", "2026-11-24"));
    }
    assert_eq!(taken(&alerts, vec![unpriced("gpt", "2026-11-24"), unpriced("nano", "2026-11-24")], NOON), 2);
    assert_eq!(taken(&house.process("gw-2"), vec![unpriced("gpt", "2026-11-24")], NOON), 0);
    for day in 25..=30 {
        assert_eq!(taken(&alerts, vec![unpriced("gpt", &format!("2026-11-{day}"))], NOON), 1);
    }
    assert_eq!(taken(&alerts, vec![unpriced("gpt", "2026-11-24")], NOON), 0, "no day comes back");
    let shown = &alerts.list().expect("it can be read")[0];
    assert_eq!((shown.kind, shown.team.as_deref()), (AlertKind::ModelUnpriced, None));
}

#[test]
fn what_was_claimed_by_a_process_that_died_is_sent_under_the_same_id() {
    let house = House::new();
    let hooks = named(&["desk"]);
    let dies = house.process("gw-1");
    taken(&dies, reached(&status("100", "50")), NOON);
    let letter = dies.due(&hooks, NOON).expect("the store takes it").remove(0);
    assert!(dies.due(&hooks, NOON).expect("the store takes it").is_empty(), "one letter at a time");
    drop(dies);

    let other = house.process("gw-2");
    assert!(other.due(&hooks, NOON).expect("it reads").is_empty(), "it may be on its way");
    let restarted = house.process("gw-1");
    let again = restarted.due(&hooks, NOON).expect("the store takes it").remove(0);
    assert_eq!((again.alert.id.as_str(), again.attempt), (letter.alert.id.as_str(), 2));
    let other = house.process("gw-2").due(&hooks, NOON.plus(3 * MINUTE)).expect("the store takes it");
    assert_eq!((other[0].alert.id.as_str(), other[0].attempt), (letter.alert.id.as_str(), 3));
    assert_eq!(house.process("gw-1").list().expect("it reads").len(), 1, "no second alert");
}

#[test]
fn letters_go_in_order_and_no_receiver_holds_up_another() {
    let house = House::new();
    let alerts = house.process("gw-1");
    let hooks = named(&["slow", "quick"]);
    alerts.take(reached(&status("100", "100")), &hooks, NOON).expect("the store takes it");
    let thresholds = |letters: &[Letter]| -> Vec<(String, u64)> {
        let shown = |letter: &Letter| {
            (letter.webhook.name.to_string(), letter.alert.body["threshold"].as_u64().unwrap_or_default())
        };
        letters.iter().map(shown).collect()
    };
    let due = |now| alerts.due(&hooks, now).expect("the store takes it");
    let (ok, no) = (Tried::Taken { status: 200 }, Tried::Failed { status: None, error: "no".to_owned() });
    let first = due(NOON);
    assert_eq!(thresholds(&first), [("slow".to_owned(), 50), ("quick".to_owned(), 50)]);
    alerts.fared(&first[1], &ok, NOON).expect("the store takes it");
    let second = due(NOON);
    assert_eq!(thresholds(&second), [("quick".to_owned(), 80)], "the slow one is still at it");
    alerts.fared(&first[0], &no, NOON).expect("the store takes it");
    assert!(due(NOON.plus(999)).is_empty(), "it waits before it is tried again");
    let again = due(NOON.plus(1_000));
    assert_eq!(thresholds(&again), [("slow".to_owned(), 50)], "the first before the second");
    assert_eq!(house.audit()[3], "alert.delivered");
}

#[test]
fn pauses_grow_to_a_bound_and_a_day_ends_them() {
    let house = House::new();
    let alerts = house.process("gw-1");
    let hooks = named(&["desk"]);
    taken(&alerts, reached(&status("100", "50")), NOON);
    let (mut now, mut pauses) = (NOON, Vec::new());
    let no = Tried::Failed { status: Some(500), error: "the receiver answered 500".to_owned() };
    while now.since(NOON) <= DAY {
        let Some(letter) = alerts.due(&hooks, now).expect("the store takes it").pop() else {
            panic!("nothing is due {} ms after noon", now.since(NOON));
        };
        alerts.fared(&letter, &no, now).expect("the store takes it");
        let next = alerts.list().expect("it reads")[0].deliveries[0].next_at;
        pauses.push(next.since(now) / 1_000);
        now = next;
    }
    assert_eq!(pauses[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert!(pauses[10..].iter().all(|pause| *pause == 300));
    assert!(alerts.due(&hooks, now).expect("the store takes it").is_empty());
    let delivery = alerts.list().expect("it reads")[0].deliveries[0].clone();
    assert_eq!((delivery.state, delivery.status), (DeliveryState::GivenUp, Some(500)));
    assert_eq!(house.audit(), ["alert.budget_threshold", "alert.given_up"]);
    // What comes next is not held up by it.
    taken(&alerts, reached(&status("100", "80")), now);
    assert_eq!(alerts.due(&hooks, now).expect("the store takes it").len(), 1);
}

#[test]
fn a_webhook_gets_what_it_asked_for() {
    let house = House::new();
    let of = |change: fn(&mut Webhook)| {
        let mut webhook = webhook("desk", 9);
        change(&mut webhook);
        Arc::new(webhook)
    };
    let cases = [
        ("all", of(|_| {}), [true, true]),
        ("its team", of(|hook| hook.teams = Some(vec!["retail".into()])), [true, false]),
        ("another team", of(|hook| hook.teams = Some(vec!["hr".into()])), [false, false]),
        ("a kind", of(|hook| hook.events = Some([AlertKind::ModelUnpriced].into())), [false, true]),
    ];
    for (number, (name, hook, wants)) in (1..).zip(cases) {
        let alerts = house.process("gw-1");
        let budget = status(&number.to_string(), "500");
        let events = vec![spent(&budget, 50), unpriced(name, "2026-11-24")];
        let made = alerts.take(events, &[hook], NOON).expect("the store takes it");
        let sent: Vec<bool> = made.iter().map(|alert| !alert.deliveries.is_empty()).collect();
        assert_eq!(sent, wants, "{name}");
    }
}

/// A receiver that deals with one connection so; gives the port, and what it was sent.
async fn receiver(answer: fn(TcpStream) -> Answering) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("the gateway calls");
        answer(stream).await
    });
    (port, served)
}

type Answering = std::pin::Pin<Box<dyn Future<Output = String> + Send>>;

/// Reads a request whole.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut chunk = [0; 4_096];
        let read = stream.read(&mut chunk).await.expect("the gateway sends");
        text.push_str(std::str::from_utf8(&chunk[..read]).expect("it is text"));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
            return text;
        }
    }
}

async fn tried(port: u16, change: impl FnOnce(&mut Webhook)) -> Tried {
    let mut webhook = webhook("desk", port);
    change(&mut webhook);
    let alert = reached(&status("100", "50"))[0].alert(&"contoso".into(), &"gw-1".into(), NOON);
    deliver(&Letter { webhook: Arc::new(webhook), alert, attempt: 3 }, NOON).await
}

#[tokio::test]
async fn a_letter_is_signed_over_its_time_and_body() {
    let (port, served) = receiver(|mut stream| {
        Box::pin(async move {
            let text = request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("the gateway reads");
            text
        })
    })
    .await;
    assert_eq!(tried(port, |_| {}).await, Tried::Taken { status: 204 });
    let sent = served.await.expect("it was called");
    let (head, body) = sent.split_once("\r\n\r\n").expect("a whole request");
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    assert!(head.starts_with("POST /hook?token=abc HTTP/1.1\r\n"), "{head}");
    assert_eq!(
        (header("x-tollgate-event"), header("x-tollgate-attempt")),
        (Some("budget_threshold"), Some("3"))
    );
    // Computed beside this code: HMAC-SHA-256 of "1795518000." and the body.
    let text = format!("1795518000.{body}");
    let digest = {
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"a secret of sixteen bytes").expect("any length");
        mac.update(text.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    };
    assert_eq!(header("x-tollgate-signature"), Some(format!("t=1795518000,v1={digest}").as_str()));
    let told: serde_json::Value = serde_json::from_str(body).expect("it is JSON");
    assert_eq!(header("x-tollgate-event-id"), told["id"].as_str());
    assert_eq!((&told["amount"], &told["threshold"]), (&"100".into(), &50.into()));
    assert_eq!(told["text"], "project retail/search has spent 50 USD, 50 % of its month budget of 100 USD");
}

#[tokio::test]
async fn a_receiver_that_misbehaves_is_a_failure_within_the_timeout() {
    let failed = |tried: Tried| match tried {
        Tried::Failed { status, error } => (status, error),
        Tried::Taken { status } => panic!("taken with {status}"),
    };
    type Receiver = fn(TcpStream) -> Answering;
    let cases: [(&str, Receiver, Option<u16>, &str); 5] = [
        ("refuses", |stream| says(stream, "HTTP/1.1 500 Oh\r\n\r\n"), Some(500), "answered 500"),
        (
            "sends elsewhere",
            |stream| says(stream, "HTTP/1.1 302 Go\r\nlocation: /\r\n\r\n"),
            Some(302),
            "302",
        ),
        ("dies", |stream| says(stream, ""), None, "broke"),
        ("is no web server", |stream| says(stream, "220 smtp ready\r\n"), None, "broke"),
        (
            "stalls",
            |stream| {
                Box::pin(async move {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    drop(stream);
                    String::new()
                })
            },
            None,
            "no answer within",
        ),
    ];
    for (name, answer, status, part) in cases {
        let (port, served) = receiver(answer).await;
        let (seen, error) = failed(tried(port, |_| {}).await);
        assert_eq!(seen, status, "{name}");
        assert!(error.contains(part), "{name}: {error}");
        served.abort();
    }
    let (port, served) = receiver(|stream| says(stream, "HTTP/1.1 200 OK\r\n\r\n")).await;
    let (_, error) = failed(tried(port, |hook| hook.origin.allow_private = false).await);
    assert!(error.contains("private"), "{error}");
    assert!(!served.is_finished(), "nobody was called");
    served.abort();
}

/// Answers a request with these bytes and hangs up.
fn says(mut stream: TcpStream, answer: &'static str) -> Answering {
    Box::pin(async move {
        let text = request(&mut stream).await;
        // A gateway that has seen enough may have left.
        let _ = stream.write_all(answer.as_bytes()).await;
        text
    })
}

#[test]
fn what_answers_show_is_told_once_a_day_under_its_kind() {
    let house = House::new();
    let alerts = house.process("gw-1");
    let elsewhere = |zone: &str| Finding::Elsewhere {
        upstream: "bedrock-eu".into(),
        declared: "eu".into(),
        place: "us-east-1".into(),
        zone: zone.into(),
    };
    let changed = |to: &str| Finding::ModelChanged {
        target: "gpt@aoai".into(),
        from: "gpt-2026-01-01".into(),
        to: to.into(),
    };
    let found = |finding: Finding| {
        let day = "2026-11-24".to_owned();
        Event::Found { finding, day }
    };
    alerts.raise(found(elsewhere("us")));
    let made = alerts.take(vec![found(changed("gpt-2026-02-02"))], &named(&["desk"]), NOON).expect("taken");
    let kinds: Vec<_> = made.iter().map(|alert| (alert.kind, alert.subject.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (AlertKind::ModelChanged, "target gpt@aoai"),
            (AlertKind::ResidencyViolation, "upstream bedrock-eu")
        ]
    );
    assert_eq!(made[1].body["zone"], "us");
    assert_eq!(made[0].body["to"], "gpt-2026-02-02");
    assert_eq!(taken(&alerts, vec![found(elsewhere("us")), found(changed("gpt-2026-02-02"))], NOON), 0);
    assert_eq!(taken(&house.process("gw-2"), vec![found(elsewhere("us"))], NOON), 0, "another process knows");
    assert_eq!(taken(&alerts, vec![found(elsewhere("asia"))], NOON), 1);
}
