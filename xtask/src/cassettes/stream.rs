//! Recorded streams: cutting them into pieces, and taking out the one chunk that a client may miss.

use bytes::Bytes;
use serde_json::Value;
use tollgate_test_support::events_of;

/// How an answer is cut into pieces on its way to the gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cut {
    /// In one piece, its length announced.
    Whole,
    /// In pieces of one to `longest` bytes, chunked, at places that `seed` decides.
    Pieces { seed: u64, longest: usize },
    /// In two pieces, chunked, the second of which begins here.
    At(usize),
}

/// No more pieces than this for one answer: long ones get longer pieces.
const MOST_PIECES: usize = 3_000;

impl Cut {
    /// The cuts that a stream is replayed with: byte by byte up to nearly whole.
    pub(super) const OF_STREAMS: [Self; 5] = [
        Self::Whole,
        Self::Pieces { seed: 1, longest: 3 },
        Self::Pieces { seed: 2, longest: 40 },
        Self::Pieces { seed: 3, longest: 700 },
        Self::Pieces { seed: 4, longest: 20_000 },
    ];
    /// The cuts of a plain answer.
    pub(super) const OF_PLAIN: [Self; 2] = [Self::Whole, Self::Pieces { seed: 5, longest: 300 }];

    /// Cuts in two at so many places of a body, evenly over all of it.
    pub(super) fn over(length: usize, most: usize) -> impl Iterator<Item = Self> {
        let count = most.min(length.saturating_sub(1));
        (1..=count).map(move |nth| Self::At(nth * length / (count + 1)))
    }

    /// Is this the cut with which a recording is counted?
    pub(super) fn is_first(self) -> bool {
        self == Self::Whole
    }

    /// The pieces, in order; together they are `body`.
    pub(super) fn pieces(self, body: &Bytes) -> Vec<Bytes> {
        let (seed, longest) = match self {
            Self::Whole => return vec![body.clone()],
            Self::At(place) => {
                let (mut second, place) = (body.clone(), place.min(body.len()));
                let first = second.split_to(place);
                return vec![first, second];
            }
            Self::Pieces { seed, longest } => (seed, longest),
        };
        let longest = longest.max(2 * body.len() / MOST_PIECES);
        let mut random = SplitMix(seed);
        let mut rest = body.clone();
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            pieces.push(rest.split_to(random.up_to(longest).min(rest.len())));
        }
        pieces
    }
}

impl std::fmt::Display for Cut {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => out.write_str("whole"),
            Self::Pieces { seed, longest } => write!(out, "pieces up to {longest}, seed {seed}"),
            Self::At(place) => write!(out, "cut at byte {place}"),
        }
    }
}

/// The SplitMix64 generator: the same cuts on every machine, for ever.
struct SplitMix(u64);

impl SplitMix {
    /// A number from 1 to `most`.
    fn up_to(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        1 + usize::try_from(mixed % most.max(1) as u64).unwrap_or(0)
    }
}

/// The stream without its usage-only chunks: `choices` empty and a usage stated.
pub(super) fn without_usage_chunk(body: &[u8]) -> Vec<u8> {
    raw_events(body).into_iter().filter(|raw| !is_usage_only(raw)).flatten().copied().collect()
}

fn is_usage_only(raw: &[u8]) -> bool {
    events_of(raw).first().is_some_and(|event| {
        let json = event.json();
        json["choices"].as_array().is_some_and(Vec::is_empty)
            && json.get("usage").is_some_and(Value::is_object)
    })
}

/// Whole events with their blank lines, and last whatever follows them.
fn raw_events(body: &[u8]) -> Vec<&[u8]> {
    let mut events = Vec::new();
    let (mut start, mut end) = (0, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            events.push(&body[start..end]);
            start = end;
        }
    }
    events.push(&body[start..]);
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_put_together_are_the_body_and_the_same_every_time() {
        let body = Bytes::from((0..5_000_u32).map(|n| n.to_string()).collect::<String>());
        for cut in Cut::OF_STREAMS.into_iter().chain(Cut::OF_PLAIN).chain(Cut::over(body.len(), 9)) {
            let pieces = cut.pieces(&body);
            assert_eq!(pieces.concat(), body, "{cut}");
            assert_eq!(pieces, cut.pieces(&body), "{cut}");
            assert!(pieces.len() <= 2 * MOST_PIECES, "{cut}: {}", pieces.len());
        }
        assert!(Cut::OF_STREAMS[1].pieces(&body).len() > 1_000);
    }

    #[test]
    fn a_short_body_is_cut_at_every_place_and_a_long_one_evenly() {
        let places = |length, most| Cut::over(length, most).collect::<Vec<_>>();
        assert_eq!(places(4, 9), [Cut::At(1), Cut::At(2), Cut::At(3)]);
        assert_eq!(places(100, 3), [Cut::At(25), Cut::At(50), Cut::At(75)]);
        assert_eq!((places(1, 9), places(0, 9)), (vec![], vec![]));
    }

    #[test]
    fn only_the_usage_chunk_is_taken_out() {
        let kept = [
            "data: {\"choices\":[],\"prompt_filter_results\":[]}\r\n\r\n",
            "data: {\"choices\":[{}],\"usage\":{}}\n\n",
        ];
        let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
        let tail = "data: [DONE]\n\nunfinished";
        let stream = format!("{}{usage}{}{tail}", kept[0], kept[1]);
        let wanted = format!("{}{}{tail}", kept[0], kept[1]);
        assert_eq!(String::from_utf8(without_usage_chunk(stream.as_bytes())).unwrap(), wanted);
    }
}
