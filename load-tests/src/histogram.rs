//! Durations in buckets whose width grows with the value: a quantile is off by less than 1.6 %.

use std::time::Duration;

/// Buckets per doubling, as a power of two.
const PRECISION: u32 = 6;
const STEPS: usize = 1 << PRECISION;

/// How often each duration was seen, from 1 µs up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    /// Grows to the largest value's bucket.
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket(micros);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.max = self.max.max(micros);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// The smallest recorded value, in µs, that so many thousandths of all values do not exceed.
    pub(crate) fn quantile(&self, permille: u64) -> u64 {
        let rank = (self.total * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_end(bucket).min(self.max);
            }
        }
        self.max
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }
}

/// Values below `STEPS` have a bucket each; above, each doubling has `STEPS` buckets.
fn bucket(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(PRECISION + 1);
    let within = (value >> shift) as usize;
    shift as usize * STEPS + within
}

/// The largest value of a bucket.
fn upper_end(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let within = bucket - shift * STEPS;
    // A bucket past the 64 bits does not exist: the last one ends at the largest value.
    ((within as u128 + 1) << shift).saturating_sub(1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_within_the_promised_error(value in 0..u64::MAX) {
            let end = upper_end(bucket(value));
            prop_assert!(end >= value);
            prop_assert!(end - value <= value / STEPS as u64 + 1);
        }

        #[test]
        fn buckets_ascend_with_values(value in 0..u64::MAX - 1) {
            prop_assert!(bucket(value) <= bucket(value + 1));
        }

        #[test]
        fn a_quantile_is_the_rank_of_the_sorted_values(
            mut values in prop::collection::vec(0..10_000_000u64, 1..200),
            permille in 1..=1000u64,
        ) {
            let mut halves = [Histogram::default(), Histogram::default()];
            for (index, value) in values.iter().enumerate() {
                halves[index % 2].record(Duration::from_micros(*value));
            }
            let [mut all, other] = halves;
            all.merge(&other);
            values.sort_unstable();
            let exact = values[((values.len() as u64 * permille).div_ceil(1000) as usize).max(1) - 1];
            let told = all.quantile(permille);
            prop_assert!(told >= exact && told - exact <= exact / STEPS as u64 + 1, "{told} for {exact}");
        }
    }
}
