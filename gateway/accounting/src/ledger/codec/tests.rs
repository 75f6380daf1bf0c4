use proptest::prelude::*;
use smallvec::SmallVec;
use tollgate_domain::{Money, RequestId, Units, UnixMillis, Usage};

use super::*;
use crate::ledger::{
    entry::{End, Entry, Flags, Kind},
    samples::{StartParts, entry, id},
};

fn encoded(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_entry(entry, &mut bytes);
    bytes
}

#[test]
fn a_row_with_every_field_comes_back_as_it_was() {
    let row = entry(1);
    assert_eq!(Decoder::new().entry(&encoded(&row)), Ok(row));
}

#[test]
fn an_encoder_that_knows_a_row_s_parts_writes_the_same_bytes() {
    let mut encoder = Encoder::default();
    let (mut other, mut unserved) = (entry(2), entry(3));
    std::sync::Arc::make_mut(&mut other.identity).key = "other".into();
    unserved.place = None;
    for row in [&entry(1), &other, &unserved, &other, &entry(1)] {
        let mut bytes = Vec::new();
        encoder.entry(row, &mut bytes);
        assert_eq!(bytes, encoded(row));
    }
}

#[test]
fn a_start_comes_back_with_what_recovery_needs() {
    let parts = StartParts::new();
    let mut bytes = Vec::new();
    Encoder::default().start(&parts.start(7, true), &mut bytes);
    let open = Decoder::new().start(&bytes).expect("just encoded");
    assert_eq!((open.row.id, open.input_estimate, open.output_reserved, open.hard), (id(7), 100, 50, true));
    let price = open.price.expect("the sample has a price");
    assert_eq!(
        (&*price.price_id, price.input.pico(), price.output.pico()),
        ("gpt-2026", 2_000_000, 8_000_000)
    );
}

#[test]
fn fields_of_a_newer_version_are_skipped() {
    let row = entry(1);
    let mut bytes = encoded(&row);
    wire::FieldWriter(&mut bytes).text(4_000, "from the future");
    assert_eq!(Decoder::new().entry(&bytes), Ok(row));
}

#[test]
fn long_texts_from_outside_are_cut_at_a_character() {
    let mut row = entry(1);
    row.end_user = Some("é".repeat(10_000).into());
    row.client = Some(format!("x{}", "é".repeat(10_000)).into());
    let read = Decoder::new().entry(&encoded(&row)).expect("just encoded");
    assert_eq!(read.end_user.expect("kept").len(), 512);
    assert_eq!(read.client.expect("kept").len(), 511);
}

#[test]
fn rows_of_one_key_share_one_identity() {
    let mut decoder = Decoder::new();
    let first = decoder.entry(&encoded(&entry(1))).expect("just encoded");
    let second = decoder.entry(&encoded(&entry(2))).expect("just encoded");
    assert!(std::sync::Arc::ptr_eq(&first.identity, &second.identity));
}

#[test]
fn an_unknown_kind_is_an_error_and_not_a_usage_row() {
    let mut bytes = Vec::new();
    let mut to = wire::FieldWriter(&mut bytes);
    to.bytes(field::ID, &[7; 16]);
    to.number(field::KIND, 99);
    assert_eq!(Decoder::new().entry(&bytes), Err(DecodeError::Malformed(field::KIND)));
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let texts = (proptest::option::of(".{0,40}"), ".{0,20}", proptest::option::of("[a-z]{0,9}"));
    let numbers = (any::<u128>(), any::<i64>(), any::<[u64; 10]>(), any::<i128>(), any::<u32>());
    let choices = (0..Kind::ALL.len(), proptest::option::of(0..End::ALL.len()), any::<bool>(), 0_u32..64);
    (texts, numbers, choices).prop_map(|((user, model, code), (id, time, counts, pico, small), choices)| {
        let (kind, end, stream, flags) = choices;
        let sample = entry(1);
        Entry {
            id: RequestId::from_bytes(id.to_be_bytes()),
            kind: Kind::ALL[kind],
            started_at: UnixMillis::new(time),
            ended_at: UnixMillis::new(time.wrapping_mul(3)),
            end_user: user.map(Into::into),
            model: model.into(),
            error_code: code.map(Into::into),
            end: end.map(|end| End::ALL[end]),
            place: stream.then(|| sample.place.clone()).flatten(),
            stream,
            status: small as u16,
            usage: Usage {
                input_uncached: counts[0],
                input_audio: counts[1],
                cache_read: counts[2],
                cache_read_excess: counts[2] / 2,
                cache_read_audio: counts[2] / 3,
                cache_write_5m: counts[3],
                cache_write_1h: counts[4],
                cache_write_other: counts[5],
                output_text: counts[6],
                output_reasoning: counts[7],
                output_audio: counts[8],
                web_searches: counts[9],
                input_image: counts[1] / 3,
                output_image: counts[8] / 3,
                units: Units {
                    images: counts[0] / 5,
                    audio_millis: counts[3] / 5,
                    characters: counts[6] / 5,
                    search_units: counts[9] / 5,
                },
            },
            cost: stream.then_some(Money::from_pico(pico)),
            waste_cost: Money::from_pico(pico),
            meters: if stream { sample.meters.clone() } else { SmallVec::new() },
            ttft_ms: (!stream).then_some(small),
            duration_ms: small,
            adjusts: stream.then(|| RequestId::from_bytes(id.to_le_bytes())),
            flags: Flags::from_bits(flags),
            ..sample
        }
    })
}

proptest! {
    #[test]
    fn encoding_and_decoding_changes_nothing(row in any_entry()) {
        prop_assert_eq!(Decoder::new().entry(&encoded(&row)), Ok(row));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut decoder = Decoder::new();
        let _ = decoder.entry(&bytes);
        let _ = decoder.start(&bytes);
        let _ = Decoder::head(&bytes);
        let _ = Decoder::checkpoint(&bytes);
    }

    #[test]
    fn no_damage_to_a_row_makes_a_decoder_panic(at in 0_usize..2_000, bits in 1_u8..) {
        let mut bytes = encoded(&entry(1));
        let at = at % bytes.len();
        bytes[at] ^= bits;
        let _ = Decoder::new().entry(&bytes);
        let _ = Decoder::new().start(&bytes[..at]);
    }
}
