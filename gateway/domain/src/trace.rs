//! Where a request stands in a trace, as W3C Trace Context writes it.
//!
//! What arrives is a stranger's text: it is taken whole or not at all, and nothing here fails.

use std::fmt;

use crate::ids::HEX;

/// A trace: one story of one request through many servers. Never all zero.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TraceId([u8; 16]);

/// One server's or client's part in a trace. Never all zero.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpanId([u8; 8]);

/// The place of a span in a trace, as one server tells the next: a `traceparent`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The span of whoever sent it.
    pub span_id: SpanId,
    /// The sender records its part, and would have the others do so.
    pub sampled: bool,
    /// The trace's id is random in its last seven bytes at least, so that it can be sampled by them.
    pub random: bool,
}

/// All traces, in millionths.
const ALL: u32 = 1_000_000;
const SAMPLED: u8 = 1;
const RANDOM: u8 = 1 << 1;
/// Version, trace id, span id and flags with the hyphens between them.
const LENGTH: usize = 55;

impl TraceId {
    /// The id of these bytes; `None` when all are zero.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        bytes.iter().any(|byte| *byte != 0).then_some(Self(bytes))
    }

    /// The bytes, as they are sent.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// True for so many of a million random ids, and for the same ones everywhere: a trace that one server
    /// samples by its id is sampled by every other with the same share or a larger one.
    #[must_use]
    pub fn is_among(self, millionths: u32) -> bool {
        // The last 56 bits are the random ones (OpenTelemetry's consistent sampling).
        let random = self.0[9..].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let refused = ALL - millionths.min(ALL);
        u128::from(random) * u128::from(ALL) >= u128::from(refused) << 56
    }
}

impl SpanId {
    /// The id of these bytes; `None` when all are zero.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        bytes.iter().any(|byte| *byte != 0).then_some(Self(bytes))
    }

    /// The bytes, as they are sent.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    /// The id of the `n`th part that this span has others do: another one for each `n`, and the same
    /// whenever it is asked for.
    #[must_use]
    pub fn child(self, n: u16) -> Self {
        // The finaliser of SplitMix64 is one to one, so that parts of one span never meet.
        let mut mixed = u64::from_be_bytes(self.0).wrapping_add(u64::from(n).wrapping_mul(GOLDEN));
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        Self(mixed.max(1).to_be_bytes())
    }
}

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl TraceParent {
    /// Reads the value of a `traceparent` field. Of a version that is not known yet, the parts that
    /// version 00 has are read, as the specification asks; what is not as it says is `None`.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(LENGTH)?;
        let version = byte(&known[..2])?;
        let goes_on = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest[0] == b'-',
        };
        if !goes_on || [2, 35, 52].iter().any(|at| known[*at] != b'-') {
            return None;
        }
        let flags = byte(&known[53..])?;
        Some(Self {
            trace_id: TraceId::from_bytes(bytes(&known[3..35])?)?,
            span_id: SpanId::from_bytes(bytes(&known[36..52])?)?,
            sampled: flags & SAMPLED != 0,
            random: flags & RANDOM != 0,
        })
    }
}

impl TraceParent {
    /// The value of a `traceparent` field, as version 00 has it, without allocating.
    #[must_use]
    pub fn to_text(&self) -> [u8; LENGTH] {
        let sampled = if self.sampled { SAMPLED } else { 0 };
        let random = if self.random { RANDOM } else { 0 };
        let mut text = *b"00-................................-................-..";
        text[3..35].copy_from_slice(&self.trace_id.to_text());
        text[36..52].copy_from_slice(&self.span_id.to_text());
        text[53..].copy_from_slice(&HEX[usize::from(sampled | random)]);
        text
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(text(&self.to_text()))
    }
}

fn text(digits: &[u8]) -> &str {
    str::from_utf8(digits).expect("digits and hyphens are text")
}

/// Bytes as pairs of digits; `text` has two for each.
fn write_digits(bytes: &[u8], text: &mut [u8]) {
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&HEX[usize::from(*byte)]);
    }
}

/// Bytes written as pairs of lower-case digits.
fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (to, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *to = byte(pair)?;
    }
    Some(bytes)
}

fn byte(pair: &[u8]) -> Option<u8> {
    let &[high, low] = pair else { return None };
    Some(digit(high)? << 4 | digit(low)?)
}

/// Upper-case digits are not allowed here.
fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

macro_rules! shown_as_digits {
    ($($type:ident $digits:literal)*) => {$(
        impl $type {
            /// The digits, without allocating.
            #[must_use]
            pub fn to_text(self) -> [u8; $digits] {
                let mut text = [b'0'; $digits];
                write_digits(&self.0, &mut text);
                text
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(text(&self.to_text()))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

shown_as_digits!(TraceId 32 SpanId 16);

/// What vendors along a trace have to say to each other: the members of `tracestate`, which are handed on
/// and not understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TraceState(Box<str>);

/// More members than this are not taken.
const MOST_MEMBERS: usize = 32;
/// So many bytes are handed on; members beyond are left out whole, the last first.
const MOST_BYTES: usize = 512;

impl TraceState {
    /// Reads the values of all `tracestate` fields, in their order. One member that is not as the
    /// specification says, or too many of them, and none is taken.
    #[must_use]
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let (mut kept, mut count, mut is_full) = (String::new(), 0, false);
        for value in values {
            for member in str::from_utf8(value).ok()?.split(',').map(trimmed) {
                // A list may have places with nothing in them.
                if member.is_empty() {
                    continue;
                }
                count += 1;
                if count > MOST_MEMBERS || !is_member(member) {
                    return None;
                }
                let comma = usize::from(!kept.is_empty());
                is_full |= kept.len() + comma + member.len() > MOST_BYTES;
                if !is_full {
                    kept.extend((comma == 1).then_some(','));
                    kept.push_str(member);
                }
            }
        }
        (!kept.is_empty()).then(|| Self(kept.into()))
    }

    /// The members, as one field has them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn trimmed(member: &str) -> &str {
    member.trim_matches([' ', '\t'])
}

fn is_member(member: &str) -> bool {
    member.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value))
}

/// A vendor's name, with the tenant before it where there are many.
fn is_key(key: &str) -> bool {
    let is_begin = |part: &str| part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_rest = |part: &str| {
        part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'))
    };
    match key.split_once('@') {
        None => key.len() <= 256 && is_begin(key) && is_rest(key),
        Some((tenant, vendor)) => {
            tenant.len() <= 241
                && vendor.len() <= 14
                && [tenant, vendor].into_iter().all(|part| is_begin(part) && is_rest(part))
        }
    }
}

fn is_value(value: &str) -> bool {
    let is_printed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    (1..=256).contains(&value.len()) && value.bytes().all(is_printed) && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_traceparent_is_taken_as_the_specification_says() {
        let fine = |flags| Some((TRACE.to_owned(), SPAN.to_owned(), flags));
        let cases = [
            ("sampled", format!("00-{TRACE}-{SPAN}-01"), fine((true, false))),
            ("not sampled", format!("00-{TRACE}-{SPAN}-00"), fine((false, false))),
            ("random", format!("00-{TRACE}-{SPAN}-03"), fine((true, true))),
            ("flags that are not known", format!("00-{TRACE}-{SPAN}-fd"), fine((true, false))),
            ("a later version", format!("cc-{TRACE}-{SPAN}-01"), fine((true, false))),
            ("a later version with more", format!("cc-{TRACE}-{SPAN}-01-what-is-later"), fine((true, false))),
            ("a later version with a longer part", format!("cc-{TRACE}-{SPAN}-01.what"), None),
            ("version 00 with more", format!("00-{TRACE}-{SPAN}-01-more"), None),
            ("the version that never is", format!("ff-{TRACE}-{SPAN}-01"), None),
            ("no trace", format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            ("no span", format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            ("capitals", format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
            ("capitals in the version", format!("CC-{TRACE}-{SPAN}-01"), None),
            ("no digits", format!("00-{}-{SPAN}-01", TRACE.replace('4', "g")), None),
            ("flags that are no digits", format!("00-{TRACE}-{SPAN}-.1"), None),
            ("too short", format!("00-{TRACE}-{SPAN}-1"), None),
            ("no hyphens", format!("00_{TRACE}-{SPAN}-01"), None),
            ("a span that is too long", format!("00-{TRACE}-{SPAN}0-1"), None),
            ("nothing", String::new(), None),
            ("letters of several bytes", format!("00-{}-{SPAN}-01", "é".repeat(16)), None),
        ];
        for (what, value, wanted) in cases {
            let taken = TraceParent::parse(value.as_bytes());
            let taken = taken.map(|t| (t.trace_id.to_string(), t.span_id.to_string(), (t.sampled, t.random)));
            assert_eq!(taken, wanted, "{what}: {value}");
        }
    }

    #[test]
    fn a_tracestate_is_taken_whole_or_not_at_all() {
        let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        let long = "v".repeat(256);
        let cases: [(&str, Vec<String>, Option<String>); 14] = [
            ("one", vec!["a=1".into()], Some("a=1".into())),
            ("several fields", vec!["a=1, b=2".into(), "c=3".into()], Some("a=1,b=2,c=3".into())),
            ("a tenant", vec!["fw529a3039@dt=FfAQ".into()], Some("fw529a3039@dt=FfAQ".into())),
            ("nothing between commas", vec!["a=1,,\t,b=2,".into()], Some("a=1,b=2".into())),
            ("a value with spaces", vec!["a=x y".into()], Some("a=x y".into())),
            ("nothing", vec![String::new()], None),
            ("no value", vec!["a=1,b=".into()], None),
            ("no key", vec!["=1".into()], None),
            ("a capital", vec!["A=1".into()], None),
            ("two values", vec!["a=1=2".into()], None),
            ("a letter that is no ASCII", vec!["a=é".into()], None),
            ("as many as may be", vec![many(32)], Some(many(32))),
            ("too many", vec![many(33)], None),
            ("too long", vec![format!("a={long},b={long},c=1")], Some(format!("a={long}"))),
        ];
        for (what, values, wanted) in cases {
            let taken = TraceState::parse(values.iter().map(String::as_bytes));
            assert_eq!(taken.as_ref().map(TraceState::as_str), wanted.as_deref(), "{what}");
        }
    }

    #[test]
    fn a_share_of_the_traces_is_sampled_and_a_larger_share_has_them_too() {
        let id = |n: u64| {
            let mixed = SpanId(n.to_be_bytes()).child(1).to_bytes();
            let mut bytes = [7; 16];
            bytes[8..].copy_from_slice(&mixed);
            TraceId(bytes)
        };
        let sampled = |share| (1..=20_000).map(id).filter(|id| id.is_among(share)).count();
        assert_eq!((sampled(0), sampled(ALL)), (0, 20_000));
        assert!((4_700..5_300).contains(&sampled(250_000)), "{}", sampled(250_000));
        assert!((1..=20_000).map(id).all(|id| !id.is_among(10_000) || id.is_among(20_000)));
    }

    #[test]
    fn parts_of_a_span_have_ids_of_their_own() {
        let span = SpanId([0, 0, 0, 0, 0, 0, 0, 1]);
        let mut seen: Vec<SpanId> = (0..1_000).map(|n| span.child(n)).chain([span]).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1_001);
        assert_eq!(span.child(3), span.child(3));
    }

    proptest! {
        #[test]
        fn what_is_told_is_what_is_heard(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), sampled: bool, random: bool) {
            let (Some(trace_id), Some(span_id)) = (TraceId::from_bytes(trace), SpanId::from_bytes(span)) else {
                return Ok(());
            };
            let told = TraceParent { trace_id, span_id, sampled, random };
            prop_assert_eq!(TraceParent::parse(told.to_string().as_bytes()), Some(told));
        }
    }
}
