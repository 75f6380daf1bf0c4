//! What a whole request costs: client, gateway and simulated provider over loopback.
//!
//! The time is that of a round trip on one connection, so it holds the client's and the provider's
//! share too; `plain_chat_without_the_gateway` is what to take off.

mod gateway;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tollgate_simulator::{Keep, Options, Simulator};

const BODY: &str =
    r#"{"model":"chat","messages":[{"role":"user","content":"Say something."}],"max_completion_tokens":64}"#;

/// A client on one connection that does as little as it can.
struct Client {
    socket: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("a listener");
        socket.set_nodelay(true).expect("an open socket");
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: tollgate\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\nuser-agent: bench\r\ncontent-length: {}\r\n\r\n{BODY}",
            gateway::KEY,
            BODY.len()
        );
        Self { socket, request: request.into_bytes(), answer: vec![0; 64 << 10] }
    }

    /// One round trip; the answer must be a success.
    fn call(&mut self) {
        self.socket.write_all(&self.request).expect("the other side reads");
        let mut filled = 0;
        loop {
            let read = self.socket.read(&mut self.answer[filled..]).expect("an answer");
            assert!(read > 0, "the connection ended early");
            filled += read;
            if is_whole(&self.answer[..filled]) {
                break;
            }
        }
        assert!(self.answer.starts_with(b"HTTP/1.1 200 "), "the answer is no success");
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let text = std::str::from_utf8(&answer[..head]).expect("a head of text");
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.expect("a content length").parse().expect("a number");
    answer.len() >= head + 4 + length
}

fn pipeline(c: &mut Criterion) {
    let provider = Simulator::spawn_thread(Options { keep: Keep::Totals, ..Options::default() });
    let provider = provider.expect("a free port");
    let gateway = gateway::Gateway::start(provider.addr());
    let mut group = c.benchmark_group("how long does a whole plain chat call take on one connection");
    group.throughput(Throughput::Elements(1));
    for (title, address) in
        [("pipeline_in_process", gateway.address()), ("plain_chat_without_the_gateway", provider.addr())]
    {
        let mut client = Client::connect(address);
        group.bench_function(title, |b| b.iter(|| client.call()));
    }
    group.finish();
    gateway.stop();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    targets = pipeline
}
criterion_main!(benches);
