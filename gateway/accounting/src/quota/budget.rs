//! Money per calendar period.

use tollgate_domain::{Money, Name, UnixMillis};

use super::{
    admit::Ask,
    books::Book,
    calendar::{Period, Window},
    downgrade::Downgrade,
    limits::LimitKind,
    raise::Raise,
    refused::{Refusal, RefusedDetail},
    scope::ScopeId,
};

/// How much a scope may spend in a period.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Budget {
    /// The amount, in the currency of the [`Quotas`](super::Quotas).
    pub amount: Money,
    /// The period that it is for.
    pub period: Period,
    /// What happens when it would be exceeded.
    pub mode: BudgetMode,
    /// What a request reserves. The caller follows it when it makes the [`Ask`].
    pub reserve: Reserve,
    /// Percentages of the amount at which people want to be told, when so much is spent.
    pub alerts: Vec<u16>,
    /// The same, when so much will be spent by the end of the period.
    pub forecast_alerts: Vec<u16>,
    /// Percentage of the amount beyond which requests are refused. A hard budget refuses at its
    /// amount at the latest, any other only where this says so.
    pub refuse_at: Option<u16>,
    /// From which percentages on other models serve.
    pub downgrades: Vec<Downgrade>,
}

/// What a budget does to a request that would exceed it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BudgetMode {
    /// Refuses it.
    Hard,
    /// Lets it pass; people are told.
    Soft,
    /// Lets it pass; shown only.
    Observe,
}

impl BudgetMode {
    /// The name used in configuration and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Observe => "observe",
        }
    }
}

/// How much a request reserves of a budget before it is sent.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reserve {
    /// All that it can cost.
    Full,
    /// What such requests have cost so far.
    Expected,
}

impl Reserve {
    /// The name used in configuration and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Expected => "expected",
        }
    }
}

/// A budget and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BudgetStatus {
    /// Whose budget.
    pub scope: ScopeId,
    /// What happens when it would be exceeded.
    pub mode: BudgetMode,
    /// What a request reserves.
    pub reserve: Reserve,
    /// The currency of all amounts.
    pub currency: Name,
    /// How much may be spent, a raise included.
    pub amount: Money,
    /// The raise that is in force.
    pub raise: Option<Raise>,
    /// Beyond how much requests are refused, if ever.
    pub ceiling: Option<Money>,
    /// A request was refused since less is left below the ceiling than it asked for, whatever open
    /// requests hold reserved.
    pub exhausted: bool,
    /// What requests of the window that have ended cost.
    pub spent: Money,
    /// What open requests of the window hold reserved.
    pub reserved: Money,
    /// The amount less spent and reserved; below zero when requests cost more than they reserved.
    pub remaining: Money,
    /// By how much the worst cases of open requests exceed what they hold reserved: spending ends
    /// beyond the ceiling by at most this, what no estimate could foresee aside.
    pub at_risk: Money,
    /// What requests of the current day that have ended cost, of whatever period the budget is.
    pub spent_today: Money,
    /// The period.
    pub period: Period,
    /// When the window began.
    pub start: UnixMillis,
    /// When it ends, if ever.
    pub end: Option<UnixMillis>,
}

impl Budget {
    /// A budget that reserves in full, tells nobody, and refuses if it is hard.
    #[must_use]
    pub const fn new(amount: Money, period: Period, mode: BudgetMode) -> Self {
        Self {
            amount,
            period,
            mode,
            reserve: Reserve::Full,
            alerts: Vec::new(),
            forecast_alerts: Vec::new(),
            refuse_at: None,
            downgrades: Vec::new(),
        }
    }

    /// True when it can refuse requests.
    #[must_use]
    pub const fn refuses(&self) -> bool {
        matches!(self.mode, BudgetMode::Hard) || self.refuse_at.is_some()
    }

    /// Beyond how much of this amount it refuses, if ever.
    fn ceiling(&self, amount: Money) -> Option<Money> {
        match (self.mode, self.refuse_at) {
            (BudgetMode::Hard, Some(percent)) if percent < 100 => Some(share(amount, percent)),
            (BudgetMode::Hard, _) => Some(amount),
            (_, percent) => percent.map(|percent| share(amount, percent)),
        }
    }

    /// Looks whether a request that reserves `asked` fits into what is left of `lease`, the
    /// spendable part of the ceiling. Only a budget with a ceiling refuses, and then also what has no
    /// price: it could cost anything.
    pub(super) fn check(
        &self,
        book: &Book,
        (ask, asked): (&Ask, Option<Money>),
        raise: Option<Raise>,
        currency: &Name,
        lease: impl FnOnce(Window, i128) -> i128,
    ) -> Result<(), Refusal> {
        let Some(ceiling) = self.ceiling(self.raised(raise)) else { return Ok(()) };
        let refusal = |never_fits, detail| Refusal {
            limit: LimitKind::Budget,
            retry_after: None,
            never_fits,
            detail: Box::new(detail),
        };
        let Some(asked) = asked else { return Err(refusal(false, RefusedDetail::Unpriced)) };
        if book.money.fits(asked.pico(), lease(book.window, ceiling.pico())) {
            return Ok(());
        }
        let never_fits = ceiling > Money::ZERO && asked > ceiling;
        Err(refusal(
            never_fits,
            RefusedDetail::Budget {
                period: self.period,
                amount: ceiling,
                currency: currency.clone(),
                spent: Money::from_pico(book.money.spent),
                reserved: Money::from_pico(book.money.open),
                holders: book.holders,
                asked,
                ask: *ask,
                resets_at: book.window.ends(),
            },
        ))
    }

    pub(super) fn status(
        &self,
        scope: &ScopeId,
        currency: &Name,
        (book, today): (&Book, &Book),
        raise: Option<Raise>,
    ) -> BudgetStatus {
        let amount = self.raised(raise);
        let (spent, reserved) = (Money::from_pico(book.money.spent), Money::from_pico(book.money.open));
        let ceiling = self.ceiling(amount);
        BudgetStatus {
            scope: scope.clone(),
            mode: self.mode,
            reserve: self.reserve,
            currency: currency.clone(),
            amount,
            raise,
            ceiling,
            exhausted: ceiling.is_some() && book.exhausted == ceiling,
            spent,
            reserved,
            remaining: amount - spent - reserved,
            at_risk: Money::from_pico(book.at_risk),
            spent_today: Money::from_pico(today.money.spent),
            period: self.period,
            start: book.window.start,
            end: book.window.ends(),
        }
    }

    fn raised(&self, raise: Option<Raise>) -> Money {
        self.amount + raise.map_or(Money::ZERO, |raise| raise.amount)
    }
}

impl BudgetStatus {
    /// True when at least this percentage of the amount is spent.
    #[must_use]
    pub fn has_spent(&self, percent: u16) -> bool {
        self.would_reach(self.spent, percent)
    }

    /// True when so much money is at least this percentage of the amount.
    #[must_use]
    pub fn would_reach(&self, money: Money, percent: u16) -> bool {
        money >= share(self.amount, percent)
    }
}

/// A percentage of an amount, rounded up: a threshold is not reached before it is.
fn share(amount: Money, percent: u16) -> Money {
    let whole = amount.pico().saturating_mul(percent.into());
    Money::from_pico(whole / 100 + i128::from(whole % 100 > 0))
}
