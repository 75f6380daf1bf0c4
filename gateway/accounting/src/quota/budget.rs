//! Money per calendar period.

use tollgate_domain::{Money, Name, UnixMillis};

use super::{
    admit::Ask,
    books::Book,
    calendar::{Period, Window},
    limits::LimitKind,
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
    /// Percentages of the amount at which people want to be told.
    pub alerts: Vec<u16>,
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
    /// The currency of all amounts.
    pub currency: Name,
    /// How much may be spent.
    pub amount: Money,
    /// What requests of the window that have ended cost.
    pub spent: Money,
    /// What open requests of the window hold reserved.
    pub reserved: Money,
    /// The amount less spent and reserved; below zero when requests cost more than they reserved.
    pub remaining: Money,
    /// The period.
    pub period: Period,
    /// When the window began.
    pub start: UnixMillis,
    /// When it ends, if ever.
    pub end: Option<UnixMillis>,
}

impl Budget {
    /// Looks whether a request fits into what is left of `share`, the spendable part of the amount.
    /// Only a hard budget refuses, and then also what has no price: it could cost anything.
    pub(super) fn check(
        &self,
        book: &Book,
        ask: &Ask,
        currency: &Name,
        share: impl FnOnce(Window, i128) -> i128,
    ) -> Result<(), Refusal> {
        if self.mode != BudgetMode::Hard {
            return Ok(());
        }
        let refusal = |never_fits, detail| Refusal {
            limit: LimitKind::Budget,
            retry_after: None,
            never_fits,
            detail: Box::new(detail),
        };
        let Some(asked) = ask.cost else { return Err(refusal(false, RefusedDetail::Unpriced)) };
        if book.money.fits(asked.pico(), share(book.window, self.amount.pico())) {
            return Ok(());
        }
        let never_fits = self.amount > Money::ZERO && asked > self.amount;
        Err(refusal(
            never_fits,
            RefusedDetail::Budget {
                period: self.period,
                amount: self.amount,
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

    pub(super) fn status(&self, scope: &ScopeId, currency: &Name, book: &Book) -> BudgetStatus {
        let (spent, reserved) = (Money::from_pico(book.money.spent), Money::from_pico(book.money.open));
        BudgetStatus {
            scope: scope.clone(),
            mode: self.mode,
            currency: currency.clone(),
            amount: self.amount,
            spent,
            reserved,
            remaining: self.amount - spent - reserved,
            period: self.period,
            start: book.window.start,
            end: book.window.ends(),
        }
    }
}
