//! Does one piece of translation's work so many times, for a tool that counts instructions:
//!
//! ```text
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/instructions chunk chat_from_anthropic 2000
//! ```
//!
//! The difference between two counts is what the further rounds took. Without arguments it names what there is.

#![allow(clippy::print_stdout, reason = "it tells what there is, and what it did")]

#[path = "../benches/translation/cases.rs"]
mod cases;

use std::hint::black_box;

use cases::{Side, Streamed, WAYS, answer, answer_body, request, request_body, title};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, name, times] = &arguments[..] else {
        return WAYS.into_iter().for_each(|way| println!("chunk|answer|request {} TIMES", title(way)));
    };
    let way = WAYS.into_iter().find(|way| title(*way) == *name).expect("a way of that name");
    let times: usize = times.parse().expect("a number");
    println!("{} bytes left", work(kind, way, times));
}

fn work(kind: &str, way: (Side, Side), times: usize) -> usize {
    match kind {
        "chunk" => {
            let mut stream = Streamed::new(way);
            (0..times).map(|_| black_box(stream.chunk())).sum()
        }
        "answer" => {
            let body = answer_body(way.1);
            (0..times).map(|_| answer(way, black_box(&body))).sum()
        }
        "request" => {
            let body = request_body(way.0);
            (0..times).map(|_| request(way, black_box(&body))).sum()
        }
        kind => panic!("{kind} is not chunk, answer or request"),
    }
}
