//! A journal's disk that stalls, fails or is full, seen by clients: nobody gets a whole answer that is
//! not recorded, and nothing goes upstream that could not be.

use std::{pin::pin, time::Duration};

use tollgate_accounting::ledger::End;
use tollgate_proxy::Durability;

use crate::harness::{Answer, Ask, ByHand, DiskInHand, Gateway, Setup, TargetSetup, provider, until};

/// An answer of a provider that a test speaks for.
const PLAIN: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"So be it."},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;

/// A gateway whose records must survive a loss of power, on this disk.
fn on_power(disk: &DiskInHand, targets: impl IntoIterator<Item = impl Into<TargetSetup>>) -> Gateway {
    Gateway::start(Setup { durability: Durability::Power, disk: disk.clone(), ..Setup::new(targets) })
}

#[tokio::test]
async fn the_last_byte_of_a_stream_waits_for_the_disk() {
    let (disk, upstream) = (DiskInHand::default(), ByHand::listen().await);
    let gateway = on_power(&disk, [upstream.address()]);
    let (mut call, open) = gateway.stream_that_says("one", &upstream).await;
    disk.hold_syncs();
    call.send_stream_end().await;
    disk.holds_a_sync().await;
    let mut rest = tokio::spawn(async move { open.finish().await });
    let early = tokio::time::timeout(Duration::from_millis(50), &mut rest).await;
    assert!(early.is_err(), "the answer has ended before its record is on the disk");
    disk.release_syncs();
    let answer = rest.await.expect("an answer");
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    gateway.stop().await.only(End::Completed);
}

#[tokio::test]
async fn a_plain_answer_waits_for_the_disk_whole() {
    let (disk, provider) = (DiskInHand::default(), provider().await);
    let gateway = on_power(&disk, [&provider]);
    disk.hold_syncs();
    let client = gateway.begin(&Ask::chat()).await;
    disk.holds_a_sync().await;
    let mut answer = tokio::spawn(async move { client.head().await.finish().await });
    let early = tokio::time::timeout(Duration::from_millis(50), &mut answer).await;
    assert!(early.is_err(), "an answer has left before its record is on the disk");
    disk.release_syncs();
    assert_eq!(answer.await.expect("an answer").status, 200);
    gateway.stop().await.only(End::Completed);
}

#[tokio::test]
async fn an_answer_whose_record_no_disk_takes_is_an_error_and_its_row_is_written_later() {
    let (disk, provider) = (DiskInHand::default(), provider().await);
    let gateway = on_power(&disk, [&provider]);
    disk.fail_syncs(true);
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (503, "meter_backpressure"));
    let calls = provider.book().calls().len();
    let refused = gateway.send(&Ask::chat()).await;
    assert_eq!((refused.status, refused.header("x-tollgate-error")), (503, "meter_backpressure"));
    assert_eq!(provider.book().calls().len(), calls, "nothing goes upstream that cannot be recorded");
    disk.fail_syncs(false);
    until("the journal's return", || gateway.journal.healthy()).await;
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    let ledger = gateway.stop().await;
    let billed = ledger.rows.iter().filter(|row| row.end == Some(End::Completed)).count();
    assert_eq!((billed, ledger.open), (2, 0), "the provider bills both calls, and so does the ledger");
}

#[tokio::test]
async fn while_the_disk_is_slow_requests_are_refused_before_they_go_upstream() {
    let (disk, upstream) = (DiskInHand::default(), ByHand::listen().await);
    let setup = Setup { disk: disk.clone(), slow_sync: Duration::ZERO, ..Setup::new([upstream.address()]) };
    let gateway = Gateway::start(setup);
    let (mut call, open) = gateway.stream_that_says("one", &upstream).await;
    disk.hold_syncs();
    call.send_stream_end().await;
    let answer = open.finish().await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "what survives the process does not wait");
    disk.holds_a_sync().await;
    let refused = gateway.send(&Ask::chat()).await;
    assert_eq!((refused.status, refused.header("x-tollgate-error")), (503, "meter_backpressure"));
    disk.release_syncs();
    gateway.journal.sync().expect("synced");
    let ledger = gateway.stop().await;
    assert_eq!(ledger.rows.iter().filter(|row| row.end == Some(End::Completed)).count(), 1);
}

#[tokio::test]
async fn on_a_full_disk_requests_in_flight_are_settled_and_new_ones_wait_for_space() {
    let (disk, upstream) = (DiskInHand::default(), ByHand::listen().await);
    disk.leave_space_for(1);
    let gateway = Gateway::start(Setup { disk: disk.clone(), ..Setup::new([upstream.address()]) });
    let (mut call, open) = gateway.stream_that_says("one", &upstream).await;
    let mut served = 1;
    while let answer = ask(&gateway, &upstream).await
        && answer.status != 503
    {
        assert_eq!(answer.status, 200, "{}", answer.text());
        served += 1;
        assert!(served < 2_000, "256 KiB cannot hold as many");
    }
    let refused = gateway.send(&Ask::chat()).await;
    assert_eq!((refused.status, refused.header("x-tollgate-error")), (503, "meter_backpressure"));
    assert_eq!(refused.header("retry-after"), "1");
    assert!(gateway.journal.healthy(), "what is reserved holds what is in flight");
    call.send_stream_end().await;
    // Else the gateway would send the next request over its connection.
    drop(call);
    let answer = open.finish().await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    disk.leave_space_for(1_000);
    until("space", || gateway.journal.has_room(1)).await;
    assert_eq!(ask(&gateway, &upstream).await.status, 200);
    let ledger = gateway.stop().await;
    assert_eq!(ledger.open, 0);
    let completed = ledger.rows.iter().filter(|row| row.end == Some(End::Completed)).count();
    assert_eq!(completed, served + 1, "each answer has its row, and nothing else has one");
}

/// A plain call, answered if it gets as far as the upstream.
async fn ask(gateway: &Gateway, upstream: &ByHand) -> Answer {
    let client = gateway.begin(&Ask::chat()).await;
    let mut head = pin!(client.head());
    tokio::select! {
        biased;
        open = &mut head => return open.finish().await,
        mut call = upstream.accept() => {
            let length = PLAIN.len();
            call.send(&format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\n\r\n{PLAIN}"
            ))
            .await;
        }
    }
    head.await.finish().await
}
