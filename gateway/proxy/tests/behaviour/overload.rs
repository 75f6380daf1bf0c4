//! More work than there is room for: who is refused, how, and that nothing of it stays behind.

use bytes::Bytes;
use tollgate_accounting::ledger::{End, Kind};
use tollgate_proxy::{Crowd, Mark, Priority};

use crate::harness::{
    Answer, Ask, ByHand, Gateway, Raw, Setup, client::Connection, provider, until, upstream::Call,
};

const EVERYBODY: Crowd = Crowd { interactive: true, several: true };
const PLAIN: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hi."},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;
/// The head of a call whose body is as large as one may be.
const LARGE: &str = "POST /v1/chat/completions HTTP/1.1\r\nhost: tollgate.test\r\n\
                     authorization: Bearer tg-client-secret\r\ncontent-length: 33554432\r\n\r\n";

/// A setup with a key for each of these projects, `key-of-PROJECT`.
fn setup(upstream: &ByHand, slots: u32, projects: &[(&str, Priority)]) -> Setup {
    let key = |(project, priority): &(&str, Priority)| {
        (format!("key-of-{project}"), (*project).to_owned(), *priority)
    };
    let mut setup = Setup {
        keys: projects.iter().map(key).collect(),
        crowd: EVERYBODY,
        ..Setup::new([upstream.address()])
    };
    setup.edge.max_in_flight = slots;
    setup
}

fn ask(project: &str) -> Ask {
    Ask::chat().with("authorization", format!("Bearer key-of-{project}"))
}

#[track_caller]
fn overloaded(answer: &Answer) {
    let seen = (answer.status, answer.header("x-tollgate-error"), answer.header("x-tollgate-error-source"));
    assert_eq!(seen, (503, "overloaded", "gateway"), "{}", answer.text());
    let wait: u64 = answer.header("retry-after").parse().expect("whole seconds");
    assert!((1..=5).contains(&wait), "{wait}");
}

async fn finish(calls: Vec<(Call, Connection)>) {
    for (call, client) in calls {
        call.send_last_plain(PLAIN).await;
        assert_eq!(client.head().await.finish().await.status, 200);
    }
}

#[tokio::test]
async fn a_body_that_there_is_no_room_for_is_refused_unread() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(setup(&upstream, 1, &[]));
    let busy = gateway.held_up(&Ask::chat(), &upstream).await;
    let mut client = Raw::connect(gateway.address()).await;
    // Not a byte of the body is sent: an answer comes only from who does not wait for it.
    client.write(LARGE.as_bytes()).await;
    let answer = Answer::read(&client.read_to_end().await);
    overloaded(&answer);
    assert_eq!(answer.header("connection"), "close");
    assert_eq!(gateway.live.gate.bytes_held(), busy_bytes());
    finish(vec![busy]).await;
    let ledger = gateway.stop().await;
    assert_eq!(ledger.rows.len(), 2);
    let refusal = ledger.rows.iter().find(|row| row.kind == Kind::Refusal).expect("a row of the refusal");
    assert_eq!((refusal.error_code.as_deref(), refusal.status), (Some("overloaded"), 503));
    assert!(refusal.reserved_cost.pico() == 0 && refusal.attempts.is_empty());
}

/// What the body of [`Ask::chat`] has.
fn busy_bytes() -> u64 {
    Ask::chat().body.len() as u64
}

#[tokio::test]
async fn a_client_that_goes_on_sending_still_reads_its_refusal() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(setup(&upstream, 1, &[]));
    let busy = gateway.held_up(&Ask::chat(), &upstream).await;
    let mut client = Raw::connect(gateway.address()).await;
    client.write(LARGE.as_bytes()).await;
    client.write(&vec![b'x'; 512 << 10]).await;
    overloaded(&Answer::read(&client.read_to_end().await));
    finish(vec![busy]).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_refused_small_body_leaves_its_connection_open() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(setup(&upstream, 1, &[]));
    let busy = gateway.held_up(&Ask::chat(), &upstream).await;
    for mut client in [Connection::http1(gateway.address()).await, Connection::http2(gateway.address()).await]
    {
        for _ in 0..2 {
            let answer = client.send(&Ask::chat()).await;
            overloaded(&answer);
            assert_eq!(answer.header("connection"), "");
        }
    }
    finish(vec![busy]).await;
    gateway.stop().await;
}

#[tokio::test]
async fn one_noisy_project_takes_nothing_from_nine_quiet_ones() {
    let upstream = ByHand::listen().await;
    let quiet: Vec<String> = (1..10).map(|number| format!("quiet-{number}")).collect();
    let mut projects: Vec<_> = quiet.iter().map(|name| (name.as_str(), Priority::Standard)).collect();
    projects.push(("noisy", Priority::Standard));
    let gateway = Gateway::start(Setup {
        crowd: Crowd { interactive: false, several: true },
        ..setup(&upstream, 50, &projects)
    });
    // Three times what the process takes, by one project: it gets all but what is spare.
    let mut noisy = Vec::new();
    for _ in 0..40 {
        noisy.push(gateway.held_up(&ask("noisy"), &upstream).await);
    }
    for _ in 0..110 {
        overloaded(&gateway.send(&ask("noisy")).await);
    }
    let mut served = Vec::new();
    for name in &quiet {
        served.push(gateway.held_up(&ask(name), &upstream).await);
    }
    // What the noisy one has borrowed is not renewed while the others need it.
    finish(noisy.drain(..9).collect()).await;
    overloaded(&gateway.send(&ask("noisy")).await);
    finish(served).await;
    noisy.push(gateway.held_up(&ask("noisy"), &upstream).await);
    finish(noisy).await;
    let ledger = gateway.stop().await;
    let refused = ledger.rows.iter().filter(|row| row.kind == Kind::Refusal);
    assert!(refused.into_iter().all(|row| row.identity.project.as_str() == "noisy"));
}

#[tokio::test]
async fn batch_is_shed_before_standard_and_standard_before_interactive() {
    use Priority::{Batch, Interactive, Standard};
    let upstream = ByHand::listen().await;
    let projects = [("nightly", Batch), ("site", Standard), ("chat", Interactive)];
    let gateway = Gateway::start(Setup {
        crowd: Crowd { interactive: true, several: false },
        ..setup(&upstream, 10, &projects)
    });
    let mut calls = Vec::new();
    // Of ten slots, batch fills seven, standard eight, and the last two are for interactive requests.
    for (project, fills) in [("nightly", 7), ("site", 8), ("chat", 10)] {
        while calls.len() < fills {
            calls.push(gateway.held_up(&ask(project), &upstream).await);
        }
        overloaded(&gateway.send(&ask(project)).await);
    }
    finish(calls).await;
    gateway.stop().await;
}

#[tokio::test]
async fn bodies_are_refused_above_the_bytes_that_are_held() {
    let upstream = ByHand::listen().await;
    let mut setup = setup(&upstream, 10, &[]);
    setup.edge.max_bytes_held = 1_000;
    let gateway = Gateway::start(setup);
    let padded = |bytes: usize| {
        let empty = Ask::chat().body.len();
        Ask::chat().body([&Ask::chat().body[..], &vec![b' '; bytes - empty]].concat())
    };
    let first = gateway.held_up(&padded(600), &upstream).await;
    assert_eq!(gateway.live.gate.bytes_held(), 600);
    overloaded(&gateway.send(&padded(401)).await);
    let chunked = "POST /v1/chat/completions HTTP/1.1\r\nhost: tollgate.test\r\n\
                   authorization: Bearer tg-client-secret\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut client = Raw::connect(gateway.address()).await;
    client.write(format!("{chunked}191\r\n{}\r\n", " ".repeat(401)).as_bytes()).await;
    let answer = Answer::read(&client.read_to_end().await);
    overloaded(&answer);
    assert_eq!(answer.header("connection"), "close");
    let second = gateway.held_up(&padded(400), &upstream).await;
    assert_eq!(gateway.live.gate.bytes_held(), 1_000);
    finish(vec![first, second]).await;
    until("the bytes' return", || gateway.live.gate.bytes_held() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn the_bytes_of_a_client_that_leaves_are_given_back() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(setup(&upstream, 10, &[]));
    let mut client = Raw::connect(gateway.address()).await;
    client.write(LARGE.as_bytes()).await;
    until("the body's room", || gateway.live.gate.bytes_held() == 32 << 20).await;
    client.hang_up().await;
    until("its return", || gateway.live.gate.bytes_held() == 0).await;
    until("the slot's return", || gateway.live.gate.in_flight() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn short_of_memory_large_bodies_are_refused_and_then_all() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(setup(&upstream, 10, &[]));
    let large = Ask::chat().body(Bytes::from([&Ask::chat().body[..], &[b' '; 64 << 10]].concat()));
    let memory = &gateway.live.gate.memory;
    assert_eq!(memory.observe(79, 100), Mark::Low);
    let mut calls = vec![gateway.held_up(&large, &upstream).await];
    assert_eq!(memory.observe(80, 100), Mark::Soft);
    overloaded(&gateway.send(&large).await);
    calls.push(gateway.held_up(&Ask::chat(), &upstream).await);
    assert_eq!(memory.observe(90, 100), Mark::Hard);
    overloaded(&gateway.send(&Ask::chat()).await);
    finish(calls).await;
    until("the slots' return", || gateway.live.gate.in_flight() == 0).await;
    // What is used then is not used by requests: one at a time shows whether that has changed.
    let alone = gateway.held_up(&Ask::chat(), &upstream).await;
    overloaded(&gateway.send(&Ask::chat()).await);
    finish(vec![alone]).await;
    memory.observe(50, 100);
    let call = gateway.held_up(&large, &upstream).await;
    finish(vec![call]).await;
    gateway.stop().await;
}

#[tokio::test]
async fn short_of_memory_idle_connections_are_given_up() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(setup(&upstream, 10, &[]));
    let (mut call, client) = gateway.held_up(&Ask::chat(), &upstream).await;
    call.send_plain(PLAIN).await;
    assert_eq!(client.head().await.finish().await.status, 200);
    gateway.live.gate.memory.observe(80, 100);
    call.wait_for_close().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_holds_its_slot_to_its_end() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(setup(&upstream, 1, &[]));
    let (mut call, open) = gateway.stream_that_says("one", &upstream).await;
    overloaded(&gateway.send(&Ask::chat()).await);
    call.send_stream_end().await;
    drop(call);
    assert!(open.finish().await.text().ends_with("data: [DONE]\n\n"));
    until("the slot's return", || gateway.live.gate.in_flight() == 0).await;
    let call = gateway.held_up(&Ask::chat(), &upstream).await;
    finish(vec![call]).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_refusal_is_worded_in_the_callers_dialect() {
    let provider = provider().await;
    let mut setup = Setup { mixed: true, ..Setup::new([&provider]) };
    setup.edge.max_bytes_held = 0;
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&Ask::messages()).await;
    overloaded(&answer);
    assert_eq!(answer.json()["type"], "error");
    let answer = gateway.send(&Ask::chat()).await;
    overloaded(&answer);
    assert_eq!(answer.json()["error"]["code"], "overloaded");
    assert_eq!(provider.book().totals().calls, 0);
    let ledger = gateway.stop().await;
    assert!(ledger.rows.iter().all(|row| row.kind == Kind::Refusal && row.end != Some(End::Completed)));
}
