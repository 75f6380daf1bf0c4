//! Laws of AWS event streams: however they are cut, torn or damaged, no byte is lost, nothing panics, and
//! damage is told and never taken for an answer.

mod aws;

use bytes::Bytes;
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use tollgate_dialect::{Dialect, Framing, Operation, Seen, SeenKind, StreamReader};

const STREAMED: [Operation; 2] = [Operation::ConverseStream, Operation::InvokeModelStream];

fn config() -> ProptestConfig {
    let cases = std::env::var("TOLLGATE_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(256);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn reader(operation: Operation) -> StreamReader {
    Dialect::Bedrock.codec().reader(operation, false).framed(Framing::EventStream)
}

/// A line of a stream, of Converse or of some vendor.
fn line() -> impl Strategy<Value = Value> {
    let event = |name: &'static str, payload: Value| json!({"event": name, "payload": payload});
    prop_oneof![
        Just(event("messageStart", json!({"role": "assistant", "p": "abc"}))),
        any::<String>().prop_map(move |text| event("contentBlockDelta", json!({"delta": {"text": text}}))),
        Just(event("messageStop", json!({"stopReason": "end_turn"}))),
        any::<u32>()
            .prop_map(move |n| event("metadata", json!({"usage": {"inputTokens": n, "outputTokens": 1}}))),
        any::<String>().prop_map(|text| json!({"chunk": {"generation": text, "stop_reason": null}})),
        any::<String>().prop_map(
            |text| json!({"chunk": {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}})
        ),
        any::<u32>().prop_map(
            |n| json!({"chunk": {"amazon-bedrock-invocationMetrics": {"inputTokenCount": n, "outputTokenCount": 2}}})
        ),
        any::<String>().prop_map(|text| json!({"exception": text, "payload": {"message": text}})),
        any::<String>().prop_map(move |text| event("somethingNew", json!({"a": text}))),
    ]
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(line(), 1..8).prop_map(|lines| lines.iter().map(aws::written).collect())
}

/// What a splitter hands out, its rest included, when it is given these chunks.
fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Bytes> {
    let mut splitter = Framing::EventStream.splitter();
    let mut messages = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        messages.extend(splitter.by_ref());
    }
    messages.push(splitter.rest());
    messages
}

/// What a reader sees in the whole of a stream.
fn seen(operation: Operation, stream: &[u8]) -> Vec<Seen> {
    let mut reader = reader(operation);
    let pieces = split([stream]);
    pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| reader.event(piece)).collect()
}

fn is_broken(seen: &Seen) -> bool {
    seen.kind == SeenKind::Broken
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn cutting_a_stream_at_any_byte_changes_nothing(sent in messages()) {
        let stream = sent.concat();
        let whole = split([&stream[..]]);
        prop_assert_eq!(whole[..sent.len()].iter().map(|piece| piece.to_vec()).collect::<Vec<_>>(), sent);
        prop_assert_eq!(whole.last().map(Bytes::len), Some(0));
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            prop_assert_eq!(&split([head, tail]), &whole, "{}", cut);
        }
        prop_assert_eq!(&split(stream.chunks(1)), &whole);
    }

    #[test]
    fn a_torn_stream_is_read_up_to_its_tear(sent in messages(), at in any::<Index>()) {
        let stream = sent.concat();
        let torn = &stream[..at.index(stream.len())];
        let mut left = torn.len();
        let complete = sent.iter().take_while(|message| {
            let fits = message.len() <= left;
            left = left.saturating_sub(message.len());
            fits
        }).count();
        let rest = torn.len() - sent[..complete].concat().len();
        for operation in STREAMED {
            let seen = seen(operation, torn);
            prop_assert_eq!(seen.len(), complete + usize::from(rest > 0));
            prop_assert!(!seen[..complete].iter().any(is_broken));
            prop_assert!(rest == 0 || is_broken(&seen[complete]));
        }
    }

    #[test]
    fn a_flipped_bit_is_told_and_what_stood_before_it_stays(sent in messages(), at in any::<Index>(), bit in 0..8_u8) {
        let stream = sent.concat();
        let mut damaged = stream.clone();
        let place = at.index(stream.len());
        damaged[place] ^= 1 << bit;
        let mut end = 0;
        let before = sent.iter().take_while(|message| { end += message.len(); end <= place }).count();
        for operation in STREAMED {
            let (whole, seen) = (seen(operation, &stream), seen(operation, &damaged));
            prop_assert_eq!(&seen[..before], &whole[..before]);
            prop_assert!(is_broken(&seen[before]));
        }
        prop_assert_eq!(split([&damaged[..]]).concat(), damaged);
    }

    #[test]
    fn a_lost_or_doubled_byte_never_makes_another_answer(sent in messages(), at in any::<Index>(), doubled in any::<bool>()) {
        let stream = sent.concat();
        let place = at.index(stream.len());
        let mut damaged = stream.clone();
        if doubled {
            damaged.insert(place, stream[place]);
        } else {
            damaged.remove(place);
        }
        for operation in STREAMED {
            let (whole, seen) = (seen(operation, &stream), seen(operation, &damaged));
            let same = seen.iter().zip(&whole).take_while(|(got, want)| got == want).count();
            prop_assert!(seen[same..].first().is_none_or(is_broken), "{:?} for {:?}", seen, whole);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(noise in prop::collection::vec(any::<u8>(), 0..200), sent in messages(), at in any::<Index>(), cut in any::<Index>()) {
        let stream = sent.concat();
        let (head, tail) = stream.split_at(at.index(stream.len() + 1));
        let mixed = [head, &noise, tail].concat();
        let (first, second) = mixed.split_at(cut.index(mixed.len() + 1));
        prop_assert_eq!(split([first, second]).concat(), mixed.clone());
        prop_assert_eq!(split([first, second]), split([&mixed[..]]));
        for operation in STREAMED {
            let mut reader = reader(operation);
            let mut ended = false;
            for piece in split([&mixed[..]]) {
                ended |= reader.event(&piece).kind == SeenKind::End;
            }
            prop_assert!(!ended || reader.finished());
            reader.count_output();
        }
    }

    #[test]
    fn headers_and_payloads_of_any_kind_are_read_without_a_panic(headers in prop::collection::vec(any::<u8>(), 0..60), payload in prop::collection::vec(any::<u8>(), 0..60)) {
        // Checksums are right, and what stands between them is anything.
        let mut message = ((16 + headers.len() + payload.len()) as u32).to_be_bytes().to_vec();
        message.extend_from_slice(&(headers.len() as u32).to_be_bytes());
        message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
        message.extend_from_slice(&headers);
        message.extend_from_slice(&payload);
        message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
        prop_assert_eq!(&split([&message[..]])[0], &message);
        for operation in STREAMED {
            reader(operation).event(&message);
        }
    }
}
