//! When to ask next. Pure: the times and the jitter are arguments.

use std::time::Duration;

use tollgate_domain::UnixMillis;

/// So long before its end a credential is renewed. Metadata endpoints hand out a new one from about
/// five minutes before the end of the old one.
const LEAD: Duration = Duration::from_secs(5 * 60);
/// A place that tells no end is looked at again after this: files that somebody else renews.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Nobody is asked more often than this.
const SHORTEST: Duration = Duration::from_secs(1);
/// After failures pauses double from the shortest up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause after a credential was had. `jitter` is 0 to 999 thousandths: several gateways that started
/// together do not all ask at once.
///
/// Within the lead, what is left is halved each time, since a place may hand out the old one until
/// shortly before its end.
pub(super) fn after_success(expires: Option<UnixMillis>, now: UnixMillis, jitter: u32) -> Duration {
    let Some(expires) = expires else { return LOOK_AGAIN };
    let left = Duration::from_millis(u64::try_from(expires.since(now)).unwrap_or(0));
    let spread = LEAD * jitter.min(999) / 5_000;
    if left > LEAD * 2 {
        return left - LEAD - spread;
    }
    (left / 2).max(SHORTEST)
}

/// The pause after so many failures in a row, 1 for the first.
pub(super) fn after_failure(failures: u32, jitter: u32) -> Duration {
    let pause = (SHORTEST * (1 << failures.saturating_sub(1).min(6))).min(LONGEST_PAUSE);
    pause - pause * jitter.min(999) / 5_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_000_000_000);

    proptest! {
        #[test]
        fn a_credential_is_renewed_before_its_end(left in 2_001_i64..100_000_000, jitter in 0_u32..1_000) {
            let pause = after_success(Some(NOW.plus(left)), NOW, jitter);
            prop_assert!(pause >= SHORTEST, "{pause:?}");
            prop_assert!(pause < Duration::from_millis(left.unsigned_abs()), "{pause:?}");
        }

        #[test]
        fn pauses_after_failures_are_bounded(failures in any::<u32>(), jitter in any::<u32>()) {
            let pause = after_failure(failures, jitter);
            prop_assert!(pause >= SHORTEST * 4 / 5 && pause <= LONGEST_PAUSE, "{pause:?}");
        }
    }

    #[test]
    fn pauses_are_as_the_field_has_them() {
        let second = Duration::from_secs(1);
        let expires = |seconds: i64| Some(NOW.plus(seconds * 1_000));
        assert_eq!(after_success(expires(3_600), NOW, 0), second * 3_300);
        assert_eq!(after_success(expires(3_600), NOW, 500), second * 3_270);
        assert_eq!(after_success(expires(240), NOW, 500), second * 120);
        assert_eq!(after_success(expires(0), NOW, 0), second);
        assert_eq!(after_success(None, NOW, 0), LOOK_AGAIN);
        let failures: Vec<u64> = (1..9).map(|failures| after_failure(failures, 0).as_secs()).collect();
        assert_eq!(failures, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
