//! A picture of sixty megabytes in a request: it is served within a stated bound of memory, passed through
//! and translated.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::stage::{Stage, text};

const CHAT: &str = "/v1/chat/completions";
/// The picture in base64: sixty megabytes.
const PICTURE: usize = 60_000_000;
/// Largest body that is taken: the request with the picture, to the byte.
const LIMIT: usize = 60_001_024;
/// How often the body may stand in memory at once where it is passed through: as it grows while it arrives,
/// and as it is sent with the model's name changed.
const COPIES_PASSED: u64 = 3;
/// The same where it is translated: as it came, as the form holds it, and as it is written.
const COPIES_TRANSLATED: u64 = 6;
/// What else a process may take while it serves one request, and what an allocator keeps.
const BESIDE: u64 = 64 << 20;

/// A request of exactly so many bytes, with the picture in it and blanks around.
fn request(model: &str, length: usize) -> Bytes {
    let head = format!(
        r#"{{"model":"{model}","max_completion_tokens":16,"messages":[{{"role":"user","content":[{{"type":"text","text":"What is it?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,iVBORw0KGgo"#
    );
    let tail = r#""}}]}]}"#;
    // The beginning of a PNG, and then what base64 can hold: a whole number of four letters.
    let picture = "A".repeat(PICTURE - "iVBORw0KGgo".len());
    let blanks = length - head.len() - picture.len() - tail.len();
    Bytes::from([&head, &*picture, tail, &" ".repeat(blanks)].concat())
}

/// The most memory that a process has had, in bytes.
fn peak(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes << 10)
}

fn set(config: &mut ConfigText) {
    config.teams = config.teams.replace(
        "        keys:",
        "        budget: { amount: \"5\", period: total, mode: hard }\n        keys:",
    );
    config.head.push_str(&format!("\nedge: {{ max_body: {LIMIT}B, body_idle: 60s }}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_of_sixty_megabytes_takes_a_bounded_multiple_of_itself() -> Result<()> {
    let ways =
        [("passed", "gpt-5-mini", COPIES_PASSED), ("translated", "claude-sonnet-4-6", COPIES_TRANSLATED)];
    for (way, model, copies) in ways {
        let mut stage = Stage::with(Behaviour::default(), set)?;
        let pid = stage.gateway.pid().context("a running gateway")?;
        let before = peak(pid)?;
        let body = request(model, LIMIT);
        let reply = stage.gateway.caller(ConfigText::KEY).post(CHAT, &[], body).await?;
        ensure!(reply.status == 200, "{way}: {} {}", reply.status, text(&reply.body));
        let taken = peak(pid)?.saturating_sub(before);
        let most = copies * LIMIT as u64 + BESIDE;
        println!("{way}: {:.2} times the body", taken as f64 / LIMIT as f64);
        ensure!(taken <= most, "{way}: {taken} bytes, where at most {most} were stated");
        let call = stage.east.book().calls().pop().context("a call")?;
        ensure!(call.body.len() > PICTURE, "{way}: the picture did not arrive");
        stage.close().await?;
    }
    Ok(())
}
