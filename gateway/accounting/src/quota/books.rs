//! What a scope has spent and holds reserved, by calendar window.
//!
//! Books are kept for every period, whether or not a rule looks at them, so that a budget or quota
//! that comes with a new configuration starts from the truth. A request belongs to the windows in
//! which it was admitted: what is settled after a window's end leaves the next one untouched.

use tollgate_domain::{Money, UnixMillis};

use super::calendar::{Calendar, Period, Window};

/// The books of one scope.
#[derive(Debug)]
pub(super) struct Books {
    /// In the order of [`Period::ALL`]; without what is in `common`.
    by_period: [Book; 6],
    /// What the current windows of all periods have had alike since it was last carried into the
    /// books: nearly every request starts and ends in the same six, and is booked once.
    common: Common,
    /// The earliest end of a window: until then no calendar is asked.
    next_switch: UnixMillis,
    /// The latest start of a window. Time before it counts as this instant, so that a clock that
    /// is set back reopens nothing.
    newest_start: UnixMillis,
}

/// The current window of one period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Book {
    pub(super) window: Window,
    /// Requests of this window that still hold their reservation.
    pub(super) holders: u32,
    /// In pico-units of currency.
    pub(super) money: Balance,
    /// By how much the worst cases of those requests exceed the money that they hold reserved.
    pub(super) at_risk: i128,
    /// The ceiling of money that a request was refused by for what was spent of it.
    pub(super) exhausted: Option<Money>,
    pub(super) tokens: Balance,
}

/// Amounts for the windows of all periods. Alone they may be below zero: what was reserved may have
/// been carried into the books before it is settled here.
#[derive(Clone, Copy, Debug, Default)]
struct Common {
    holders: i64,
    money: Balance,
    at_risk: i128,
    tokens: Balance,
}

/// Spent and reserved amounts of one unit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Balance {
    pub(super) spent: i128,
    pub(super) open: i128,
}

/// An amount of both units.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Amounts {
    pub(super) money: i128,
    /// Of what is reserved: by how much the worst case exceeds `money`.
    pub(super) at_risk: i128,
    pub(super) tokens: i128,
}

impl Balance {
    /// The law of hard limits.
    pub(super) fn fits(&self, asked: i128, limit: i128) -> bool {
        self.spent.saturating_add(self.open).saturating_add(asked) <= limit
    }

    fn reserve(&mut self, amount: i128) {
        self.open = self.open.saturating_add(amount);
    }

    fn settle(&mut self, reserved: i128, actual: i128) {
        self.open = self.open.saturating_sub(reserved);
        self.spent = self.spent.saturating_add(actual);
    }

    fn plus(self, other: Self) -> Self {
        Self { spent: self.spent.saturating_add(other.spent), open: self.open.saturating_add(other.open) }
    }
}

impl Common {
    fn reserve(&mut self, amounts: Amounts) {
        self.holders += 1;
        self.money.reserve(amounts.money);
        self.at_risk = self.at_risk.saturating_add(amounts.at_risk);
        self.tokens.reserve(amounts.tokens);
    }

    fn settle(&mut self, reserved: Amounts, actual: Amounts) {
        self.holders -= 1;
        self.money.settle(reserved.money, actual.money);
        self.at_risk = self.at_risk.saturating_sub(reserved.at_risk);
        self.tokens.settle(reserved.tokens, actual.tokens);
    }
}

impl Book {
    fn with(&self, common: &Common) -> Self {
        let holders = i64::from(self.holders).saturating_add(common.holders);
        Self {
            window: self.window,
            holders: holders.clamp(0, u32::MAX.into()) as u32,
            money: self.money.plus(common.money),
            at_risk: self.at_risk.saturating_add(common.at_risk),
            exhausted: self.exhausted,
            tokens: self.tokens.plus(common.tokens),
        }
    }

    fn empty(window: Window) -> Self {
        Self {
            window,
            holders: 0,
            money: Balance::default(),
            at_risk: 0,
            exhausted: None,
            tokens: Balance::default(),
        }
    }
}

impl Default for Books {
    /// Books that open with the first instant they hear of.
    fn default() -> Self {
        let never = UnixMillis::new(i64::MIN);
        let book = Book::empty(Window { start: never, end: never });
        Self { by_period: [book; 6], common: Common::default(), next_switch: never, newest_start: never }
    }
}

impl Books {
    pub(super) fn of(&self, period: Period) -> Book {
        self.by_period[period as usize].with(&self.common)
    }

    /// Opens the windows of this instant where the former ones have ended. Returns the instant
    /// that a request counts as having started at.
    pub(super) fn roll(&mut self, calendar: &Calendar, now: UnixMillis) -> UnixMillis {
        if now >= self.next_switch {
            self.carry_over();
            for (period, book) in Period::ALL.into_iter().zip(&mut self.by_period) {
                if now >= book.window.end {
                    *book = Book::empty(calendar.window_of(period, now));
                }
            }
            self.note_windows();
        }
        now.max(self.newest_start)
    }

    pub(super) fn reserve(&mut self, amounts: Amounts) {
        self.common.reserve(amounts);
    }

    /// Notes that the money of a period, up to this ceiling, is spent but for less than was asked.
    pub(super) fn exhaust(&mut self, period: Period, ceiling: Money) {
        self.by_period[period as usize].exhausted = Some(ceiling);
    }

    /// Ends the reservation of a request that started then, in those of its windows that are
    /// still the current ones.
    pub(super) fn settle(&mut self, started: UnixMillis, reserved: Amounts, actual: Amounts) {
        if started >= self.newest_start {
            self.common.settle(reserved, actual);
            return;
        }
        self.carry_over();
        for book in self.by_period.iter_mut().filter(|book| started >= book.window.start) {
            book.holders = book.holders.saturating_sub(1);
            book.money.settle(reserved.money, actual.money);
            book.at_risk = book.at_risk.saturating_sub(reserved.at_risk);
            book.tokens.settle(reserved.tokens, actual.tokens);
        }
    }

    /// Adds money that no request holds to what was spent in those windows of `at` that are still
    /// the current ones. The windows must be open: [`roll`](Self::roll) comes first.
    pub(super) fn charge(&mut self, at: UnixMillis, money: i128) {
        self.carry_over();
        for book in self.by_period.iter_mut().filter(|book| book.window.start <= at && at < book.window.end) {
            book.money.settle(0, money);
        }
    }

    /// Sets what an earlier process has spent in a window; a window older than the current one is
    /// past and changes nothing.
    pub(super) fn restore(&mut self, period: Period, window: Window, set: impl FnOnce(&mut Book)) {
        self.carry_over();
        let book = &mut self.by_period[period as usize];
        if window.start > book.window.start {
            *book = Book::empty(window);
        }
        if window.start == book.window.start {
            set(book);
        }
        self.note_windows();
    }

    /// Takes over what another scope has spent, where the windows are the same or newer. What it
    /// holds reserved stays with it.
    pub(super) fn absorb(&mut self, absorbed: &Self) {
        self.carry_over();
        for (book, other) in self.by_period.iter_mut().zip(&absorbed.by_period) {
            let other = other.with(&absorbed.common);
            if other.window.start > book.window.start {
                *book = Book::empty(other.window);
            }
            if other.window.start == book.window.start {
                book.money.settle(0, other.money.spent);
                book.tokens.settle(0, other.tokens.spent);
            }
        }
        self.note_windows();
    }

    /// Books what the windows have had alike. Comes before anything that treats them differently.
    fn carry_over(&mut self) {
        let common = std::mem::take(&mut self.common);
        for book in &mut self.by_period {
            *book = book.with(&common);
        }
    }

    fn note_windows(&mut self) {
        let windows = || self.by_period.iter().map(|book| book.window);
        self.next_switch = windows().map(|window| window.end).min().expect("six periods");
        self.newest_start = windows().map(|window| window.start).max().expect("six periods");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    /// 2026-11-30T00:00:00Z, a Monday; the next day begins a month, but no week.
    const MONDAY: UnixMillis = UnixMillis::new(1_795_996_800_000);

    fn amounts(money: i128) -> Amounts {
        Amounts { money, at_risk: money * 2, tokens: money * 10 }
    }

    fn shown(books: &Books, period: Period) -> (i128, i128, u32) {
        let book = books.of(period);
        assert_eq!((book.tokens.spent, book.tokens.open), (book.money.spent * 10, book.money.open * 10));
        assert_eq!(book.at_risk, book.money.open * 2);
        (book.money.spent, book.money.open, book.holders)
    }

    #[test]
    fn a_request_settles_into_the_windows_of_its_start() {
        let (mut books, calendar) = (Books::default(), Calendar::utc());
        let started = books.roll(&calendar, MONDAY.plus(DAY - 1));
        books.reserve(amounts(7));
        books.roll(&calendar, MONDAY.plus(DAY));
        assert_eq!(shown(&books, Period::Month), (0, 0, 0), "a fresh month owes nothing to the old one");
        assert_eq!(shown(&books, Period::Week), (0, 7, 1), "the week goes on");
        books.settle(started, amounts(7), amounts(5));
        assert_eq!(shown(&books, Period::Day), (0, 0, 0));
        assert_eq!(shown(&books, Period::Month), (0, 0, 0));
        for period in [Period::Week, Period::Quarter, Period::Year, Period::Total] {
            assert_eq!(shown(&books, period), (5, 0, 0), "{period:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_reopens_nothing() {
        let (mut books, calendar) = (Books::default(), Calendar::utc());
        let tuesday = MONDAY.plus(DAY);
        books.roll(&calendar, tuesday);
        let started = books.roll(&calendar, MONDAY.plus(-400 * DAY));
        assert_eq!(started, tuesday, "it counts as the newest instant that is certain");
        books.reserve(amounts(3));
        books.settle(started, amounts(3), amounts(3));
        for period in Period::ALL {
            assert_eq!(shown(&books, period), (3, 0, 0), "{period:?}");
        }
    }

    #[test]
    fn a_charge_counts_in_the_windows_of_its_instant() {
        let (mut books, calendar) = (Books::default(), Calendar::utc());
        books.roll(&calendar, MONDAY.plus(DAY));
        books.charge(MONDAY.plus(DAY), 10);
        books.charge(MONDAY, -4);
        books.charge(MONDAY.plus(-400 * DAY), 100);
        let spent = |period| books.of(period).money.spent;
        assert_eq!((spent(Period::Day), spent(Period::Month)), (10, 10), "December has begun");
        assert_eq!((spent(Period::Week), spent(Period::Quarter), spent(Period::Year)), (6, 6, 6));
        assert_eq!(spent(Period::Total), 106);
    }

    #[test]
    fn restored_and_absorbed_amounts_keep_to_their_windows() {
        let calendar = Calendar::utc();
        let month = calendar.window_of(Period::Month, MONDAY);
        let past = calendar.window_of(Period::Month, month.start.plus(-1));
        let mut books = Books::default();
        books.restore(Period::Month, month, |book| book.money.spent = 40);
        books.restore(Period::Month, past, |book| book.money.spent = 999);
        books.roll(&calendar, MONDAY);
        let mut renamed = Books::default();
        renamed.restore(Period::Month, month, |book| book.money.spent = 2);
        renamed.absorb(&books);
        assert_eq!(renamed.of(Period::Month).money.spent, 42);
        renamed.roll(&calendar, MONDAY.plus(DAY));
        assert_eq!(renamed.of(Period::Month).money.spent, 0, "the month is over");
    }
}
