//! How often one request may still be sent: a count of attempts that may have cost something, and the
//! retry budget that it shares with the others of its alias.

use std::time::Instant;

use super::{failure::Retry, retries::RetryBudget};

/// Attempts that may have cost something.
const MOST_ATTEMPTS: usize = 3;

/// What a failed attempt leaves of it.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// Attempts that count towards the most.
    attempts: usize,
    used_free: bool,
    used_once: bool,
}

/// Whether another attempt follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Grant {
    /// Not after this failure, or not that often.
    No,
    /// The budget has none left.
    Refused,
    /// For a token of the budget.
    Charged,
    /// For nothing: it moves load and does not multiply it.
    Free,
}

impl Grant {
    pub(super) const fn goes_on(self) -> bool {
        matches!(self, Self::Charged | Self::Free)
    }

    /// The name in metrics; nothing where no retry was in question.
    pub(super) const fn result(self) -> Option<&'static str> {
        match self {
            Self::No => None,
            Self::Refused => Some("refused"),
            Self::Charged => Some("granted"),
            Self::Free => Some("free"),
        }
    }
}

/// What a failure says about the next attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fallen {
    pub(super) retry: Retry,
    /// There is another target.
    pub(super) moves: bool,
    /// The target is out of use by now, so that no other request pays for it again.
    pub(super) ejected: bool,
}

impl Allowance {
    pub(super) fn after(&mut self, fallen: Fallen, budget: &RetryBudget, now: Instant) -> Grant {
        let Fallen { retry, moves, ejected } = fallen;
        match retry {
            Retry::Never => return Grant::No,
            Retry::Once if self.used_once => return Grant::No,
            Retry::Overflow if moves => return Grant::Free,
            Retry::Free if !self.used_free => {
                self.used_free = true;
                return Grant::Free;
            }
            _ => {}
        }
        let is_free = matches!(retry, Retry::Once | Retry::Late) && ejected && !self.used_free;
        self.used_free |= is_free;
        self.used_once |= retry == Retry::Once;
        // Dead targets must not hide a live one: what was never sent counts as no attempt.
        if retry != Retry::Free || !moves {
            self.attempts += 1;
        }
        match self.attempts < MOST_ATTEMPTS {
            false => Grant::No,
            true if is_free => Grant::Free,
            true if budget.take(now) => Grant::Charged,
            true => Grant::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(falls: &[(Retry, bool, bool)]) -> Vec<Grant> {
        let now = Instant::now();
        let (budget, mut allowance) = (RetryBudget::new(now), Allowance::default());
        let mut after =
            |&(retry, moves, ejected)| allowance.after(Fallen { retry, moves, ejected }, &budget, now);
        falls.iter().map(&mut after).collect()
    }

    #[test]
    fn what_was_never_sent_goes_on_for_nothing_once_and_then_for_a_token() {
        use Grant::{Charged, Free, No};
        let (moves, stays) = ((Retry::Free, true, false), (Retry::Free, false, false));
        assert_eq!(grants(&[moves; 6]), [Free, Charged, Charged, Charged, Charged, Charged]);
        assert_eq!(grants(&[stays; 4]), [Free, Charged, Charged, No]);
    }

    #[test]
    fn what_may_have_cost_something_is_sent_three_times_at_most() {
        use Grant::{Charged, Free, No};
        assert_eq!(grants(&[(Retry::Charged, true, false); 3]), [Charged, Charged, No]);
        let mixed =
            [(Retry::Free, true, false), (Retry::Charged, true, false), (Retry::Charged, true, false)];
        assert_eq!(grants(&mixed), [Free, Charged, Charged]);
        assert_eq!(grants(&[(Retry::Never, true, false)]), [No]);
    }

    #[test]
    fn what_may_have_been_billed_goes_on_once_and_for_nothing_where_it_ejects() {
        use Grant::{Charged, Free, No};
        assert_eq!(grants(&[(Retry::Once, true, false); 2]), [Charged, No]);
        assert_eq!(grants(&[(Retry::Once, true, true), (Retry::Once, true, true)]), [Free, No]);
        // It costs no token, and yet it may have cost something.
        let (ejects, fails) = ((Retry::Once, true, true), (Retry::Charged, true, false));
        assert_eq!(grants(&[ejects, fails, fails]), [Free, Charged, No]);
    }

    #[test]
    fn who_waited_at_a_target_that_fell_meanwhile_moves_for_nothing_once() {
        use Grant::{Charged, Free, No};
        let (alone, with_others) = ((Retry::Late, true, false), (Retry::Late, true, true));
        assert_eq!(grants(&[alone, with_others, with_others]), [Charged, Free, No]);
        assert_eq!(grants(&[with_others; 3]), [Free, Charged, No]);
        let now = Instant::now();
        let (spent, mut allowance) = (RetryBudget::new(now), Allowance::default());
        while spent.take(now) {}
        let fallen = Fallen { retry: Retry::Late, moves: true, ejected: true };
        assert_eq!(allowance.after(fallen, &spent, now), Grant::Free, "a stall takes the budget with it");
        assert_eq!(allowance.after(fallen, &spent, now), Grant::Refused);
    }

    #[test]
    fn what_overflows_paid_capacity_costs_no_retry_where_it_can_go_on() {
        use Grant::{Charged, Free};
        assert_eq!(grants(&[(Retry::Overflow, true, false); 4]), [Free; 4]);
        assert_eq!(grants(&[(Retry::Overflow, false, false)]), [Charged]);
    }

    #[test]
    fn an_empty_budget_refuses() {
        let now = Instant::now();
        let budget = RetryBudget::new(now);
        while budget.take(now) {}
        let fallen = Fallen { retry: Retry::Charged, moves: true, ejected: false };
        assert_eq!(Allowance::default().after(fallen, &budget, now), Grant::Refused);
    }
}
