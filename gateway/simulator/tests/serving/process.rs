//! The simulator as a process and as threads.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tollgate_simulator::{Keep, Options, Protocol, Simulator, Stop};

use crate::client::Client;

/// Killed when the test ends, however it ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_binary_says_where_it_listens_and_answers_as_its_options_say() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate-simulator"))
        .args(["--name", "eastus", "--chunks", "3", "--threads", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let _process = Process(child);
    let addr =
        line.trim().strip_prefix("ready http://").expect("the ready line").parse().expect("an address");
    let mut client = Client::connect(addr, Protocol::Http1).await;
    let answer = client.post("/v1/chat/completions", &json!({ "model": "m", "messages": [] })).await;
    assert_eq!(answer.json()["usage"]["completion_tokens"], 3);
    assert!(answer.header("x-request-id").expect("an id").starts_with("req_eastus"));
    let book = client.get("/_sim/book").await.json();
    assert_eq!(book["totals"]["whole"], 1);
}

#[tokio::test]
async fn threads_share_one_port_and_one_book() {
    let options = Options { threads: 2, keep: Keep::Totals, ..Options::default() };
    let simulator = Simulator::spawn_thread(options).expect("a free port");
    for _ in 0..20 {
        let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
        let answer = client.post("/v1/chat/completions", &json!({ "model": "m", "messages": [] })).await;
        assert_eq!(answer.status, 200);
    }
    let book = simulator.book().clone();
    simulator.stop(Stop::Graceful).await;
    assert_eq!(book.totals().whole, 20);
    assert!(book.calls().is_empty(), "totals only");
}
