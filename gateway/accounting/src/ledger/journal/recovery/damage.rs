//! Damage of every kind at every place of a log's end.
//!
//! The long form (`TOLLGATE_LONG=1`) goes over each byte of the last 64 KiB; the short one over every
//! byte of the last records and some places before. What holds everywhere: nothing panics, no row is
//! invented, changed or doubled, what lies whole before the damage is kept, and damage with whole
//! records behind it is told.

use super::{
    tests::{crashed_log, recovered, whole},
    *,
};
use crate::ledger::{
    journal::segment,
    samples::{entry, id},
};

/// The end of the log that is damaged.
const END_BYTES: usize = 64 << 10;
/// Requests whose records fill somewhat more than that.
const REQUESTS: u64 = 150;

/// A log and what is whole in it.
struct Log {
    bytes: Vec<u8>,
    name: String,
    /// Where each record begins, and where the last one ends.
    borders: Vec<usize>,
    /// What is whole up to each border: the rows, and the requests that were begun.
    whole: Vec<(Vec<RequestId>, HashSet<RequestId>)>,
}

impl Log {
    fn new() -> Self {
        let (bytes, name) = crashed_log(REQUESTS);
        let header = segment::SegmentHeader::decode(&bytes).expect("a header");
        let seed = super::super::record::seed(header.log, header.number);
        let mut borders = vec![segment::HEADER as usize];
        while let Some(record) = super::super::record::parse(&bytes[*borders.last().expect("one")..], seed) {
            borders.push(borders.last().expect("one") + super::super::record::HEADER + record.payload.len());
        }
        assert_eq!(borders.last(), Some(&bytes.len()), "the log is whole");
        assert!(bytes.len() > END_BYTES, "{} bytes are too few", bytes.len());
        let whole = borders.iter().map(|border| whole(&bytes[..*border])).collect();
        Self { bytes, name, borders, whole }
    }

    /// Places to damage: all of them in the long form.
    fn places(&self) -> Vec<usize> {
        let from = self.bytes.len() - END_BYTES;
        let long = std::env::var_os("TOLLGATE_LONG").is_some_and(|value| value == "1");
        let last_records = self.borders[self.borders.len() - 3];
        (from..self.bytes.len())
            .filter(|at| long || *at >= last_records || at.is_multiple_of(509) || self.borders.contains(at))
            .collect()
    }

    /// Recovers a damaged copy, whose first damaged byte is at `at` and first whole one behind at `end`.
    fn check(&self, damaged: &[u8], at: usize, end: usize, what: &str) {
        let (found, rows) = recovered(&self.name, damaged);
        let kept = self.borders.iter().rposition(|border| *border <= at).unwrap_or(0);
        let (ended, begun) = &self.whole[kept];
        for id in ended {
            let row =
                rows.get(id).unwrap_or_else(|| panic!("{what} at {at}: a row before the damage is lost"));
            assert_ne!(row.end, Some(End::Recovered), "{what} at {at}");
        }
        assert!(begun.iter().all(|id| rows.contains_key(id)), "{what} at {at}: a request has no row");
        for (found, row) in &rows {
            let number = (1..=REQUESTS).find(|number| id(*number) == *found);
            let number = number.unwrap_or_else(|| panic!("{what} at {at}: a row is invented"));
            assert!(
                row.end == Some(End::Recovered) || *row == entry(number),
                "{what} at {at}: a row has changed"
            );
        }
        let more_behind = self.borders.iter().any(|border| *border >= end && *border < self.bytes.len());
        let touched = damaged.len() < self.bytes.len() || damaged[..self.bytes.len()] != self.bytes[..];
        if touched && more_behind && damaged.len() >= self.bytes.len() {
            assert!(!found.gaps.is_empty(), "{what} at {at}: damage in the middle is not told");
        }
    }
}

#[test]
fn a_log_may_end_at_any_byte() {
    let log = Log::new();
    for at in log.places() {
        log.check(&log.bytes[..at], at, log.bytes.len(), "cut");
    }
}

#[test]
fn any_byte_may_be_flipped() {
    let log = Log::new();
    for at in log.places() {
        let mut damaged = log.bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        log.check(&damaged, at, at + 1, "flip");
    }
}

#[test]
fn any_block_may_be_lost() {
    let log = Log::new();
    for size in [512, 4_096] {
        for at in (0..log.bytes.len()).step_by(size).skip(1) {
            let end = (at + size).min(log.bytes.len());
            let mut damaged = log.bytes.clone();
            damaged[at..end].fill(0);
            // A block of zeros at the very end is what a crash leaves; a later one is a hole.
            let first = damaged.iter().zip(&log.bytes).position(|(one, other)| one != other);
            let Some(first) = first else { continue };
            log.check(&damaged, first, end, "zeros");
        }
    }
}

#[test]
fn anything_may_stand_behind_the_end() {
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    let log = Log::new();
    let mut random = SmallRng::seed_from_u64(7);
    for length in (1..64).chain([511, 512, 4_095, 65_536]) {
        let mut garbage = vec![0; length];
        random.fill_bytes(&mut garbage);
        let damaged = [&log.bytes[..], &garbage].concat();
        log.check(&damaged, log.bytes.len(), damaged.len(), "garbage");
    }
}
