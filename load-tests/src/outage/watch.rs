//! How much goes to a sick target: the providers' own books, read side by side with the breaker's state.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::interrupt;
use super::stage::{Provider, Stage};

/// Between two looks.
const STEP: Duration = Duration::from_millis(20);
/// The sick target's first attempts are how it is found out.
const DETECTION: Duration = Duration::from_secs(2);

/// One look.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    is_open: bool,
    sick: u64,
    all: u64,
}

/// Looks at a sick target and its healthy neighbour.
#[derive(Debug)]
pub(super) struct Watch(Vec<Look>);

impl Watch {
    /// Looks until then.
    pub(super) fn until(
        end: Instant,
        stage: &Stage,
        (name, sick): (&str, &Provider),
        healthy: &Provider,
    ) -> Result<Self> {
        let mut looks = Vec::new();
        while Instant::now() < end {
            let is_open = stage.target(name)?["breaker"] == "open";
            let (sick, healthy) = (sick.calls()?, healthy.calls()?);
            looks.push(Look { at: Instant::now(), is_open, sick, all: sick + healthy });
            interrupt::pause(STEP)?;
        }
        Ok(Self(looks))
    }

    /// Percent of calls that went to the sick target while its breaker was open; none without an opening.
    pub(super) fn share_while_open(&self) -> Option<f64> {
        self.share(|pair| pair[0].is_open && pair[1].is_open)
    }

    /// The same since it had time to be found out, whatever the breaker said.
    pub(super) fn share_since(&self, fault: Instant) -> Option<f64> {
        self.share(|pair| pair[0].at >= fault + DETECTION)
    }

    /// Percent of the calls between looks that are so.
    fn share(&self, is_so: impl Fn(&[Look]) -> bool) -> Option<f64> {
        let pairs = self.0.windows(2).filter(|pair| is_so(pair));
        let (sick, all) = pairs.fold((0, 0), |(sick, all), pair| {
            (sick + pair[1].sick.saturating_sub(pair[0].sick), all + pair[1].all.saturating_sub(pair[0].all))
        });
        (all > 0).then(|| sick as f64 * 100.0 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_what_came_while_the_breaker_was_open() {
        let start = Instant::now();
        let look = |seconds, is_open, sick, all| Look {
            at: start + Duration::from_secs(seconds),
            is_open,
            sick,
            all,
        };
        let mut watch = Watch(vec![
            look(0, false, 0, 0),
            look(1, true, 50, 100),
            look(2, true, 50, 200),
            look(3, true, 55, 300),
            look(4, false, 95, 400),
        ]);
        assert_eq!(watch.share_while_open(), Some(2.5));
        assert_eq!(watch.share_since(start), Some(22.5), "45 of the 200 after two seconds");
        watch.0.iter_mut().for_each(|look| look.is_open = false);
        assert_eq!(watch.share_while_open(), None);
    }
}
