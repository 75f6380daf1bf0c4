//! The error budget of a drill: too many failures among its latest calls end it.

/// So many of the latest calls are looked at.
const LATEST: u32 = 100;
/// Fewer than these say nothing yet.
const ENOUGH: u32 = 20;

/// The latest outcomes of a drill, a bit each: set for a failure.
pub(super) struct Burn {
    outcomes: u128,
    known: u32,
    stop_below: u32,
}

impl Burn {
    /// Burnt when fewer than so many in a hundred succeed.
    pub(super) const fn new(stop_below: u32) -> Self {
        Self { outcomes: 0, known: 0, stop_below }
    }

    /// Takes in an outcome; true when the budget is burnt.
    pub(super) fn is_burnt_by(&mut self, failed: bool) -> bool {
        let kept = (1u128 << LATEST) - 1;
        self.outcomes = (self.outcomes << 1 | u128::from(failed)) & kept;
        self.known = (self.known + 1).min(LATEST);
        let good = self.known - self.outcomes.count_ones();
        self.known >= ENOUGH && good * 100 < self.stop_below * self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_failures_ends_it_and_a_few_do_not() {
        let mut burn = Burn::new(50);
        assert!((0..ENOUGH - 1).all(|_| !burn.is_burnt_by(true)), "too few to tell");
        assert!(burn.is_burnt_by(true));
        let mut burn = Burn::new(50);
        assert!((0..1_000).all(|n| !burn.is_burnt_by(n % 2 == 1)), "half of them succeed");
        let mut burn = Burn::new(0);
        assert!((0..1_000).all(|_| !burn.is_burnt_by(true)), "no bound");
    }

    #[test]
    fn what_is_long_past_does_not_count() {
        let mut burn = Burn::new(90);
        (0..1_000).for_each(|_| _ = burn.is_burnt_by(false));
        let failures = (1..).take_while(|_| !burn.is_burnt_by(true)).count();
        assert_eq!(failures, 10, "eleven of the latest hundred are too many");
    }
}
