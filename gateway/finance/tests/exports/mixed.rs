//! A ledger with everything that a month can bring: teams, currencies, refusals, rows without a price,
//! adjustments in time and after the close, capacity, aborted requests, amounts from a pico-unit to
//! millions, and texts that mean harm.

use std::sync::Arc;

use smallvec::smallvec;
use tollgate_accounting::{
    ledger::{End, Entry, Flags, Identity, Kind, Place},
    price::{Meter, MeterKind},
};
use tollgate_domain::{Money, RequestId, UnitPrice, UnixMillis, Usage, UsageSource};

use crate::ground::entry;

/// 2026-10-01T00:00:00Z and 2026-12-01T00:00:00Z: where the rows lie between.
pub(crate) const BEGIN: UnixMillis = UnixMillis::new(1_790_812_800_000);
pub(crate) const END: UnixMillis = UnixMillis::new(1_796_083_200_000);
/// 2026-11-01T00:00:00Z: October is closed to what comes later.
pub(crate) const CLOSED: UnixMillis = UnixMillis::new(1_793_491_200_000);

/// What a spreadsheet could take for a formula, a reader for markup, a file for its own marks.
const HOSTILE: [&str; 9] = [
    "=HYPERLINK(\"http://203.0.113.1\",\"pay\")",
    "+1+1",
    "-2",
    "@SUM(A1)",
    "\t=1",
    "\r\n=1",
    "\"quoted\", and; split\nover lines",
    "<b>&amp;</b>]]>",
    "\u{202e}gnp.exe \u{1F4B8} _x000D_",
];
const TEAMS: [&str; 4] = ["retail", "hr", "Retail", "research/[ml]: a team with a very long name"];

/// Dice that fall the same way for the same seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ bits >> 31) % sides
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len() as u64) as usize]
    }

    pub(crate) fn between(&mut self, begin: UnixMillis, end: UnixMillis) -> UnixMillis {
        begin.plus(self.roll((end.get() - begin.get()) as u64) as i64)
    }
}

/// `count` rows of October and November.
pub(crate) fn mixed(seed: u64, count: u64) -> Vec<Entry> {
    let mut dice = Dice::new(seed);
    (1..=count).map(|number| row(number, &mut dice)).collect()
}

fn row(number: u64, dice: &mut Dice) -> Entry {
    let base = request(number, dice);
    match dice.roll(20) {
        0 | 1 => Entry {
            kind: Kind::Refusal,
            status: 429,
            error_code: Some("budget_exceeded".into()),
            end: None,
            place: None,
            usage: Usage::default(),
            meters: smallvec![],
            cost: None,
            ..base
        },
        2 | 3 => Entry { meters: smallvec![], cost: None, flags: Flags::UNPRICED, ..base },
        4 => Entry { end: Some(End::ClientAbort), usage_source: UsageSource::Estimated, status: 0, ..base },
        5 => Entry { end: Some(End::Recovered), usage_source: UsageSource::Counted, ..base },
        6 | 7 => correction(base, dice),
        8 => late(base, dice),
        9 => capacity(base, dice),
        10 => Entry { kind: Kind::Probe, ..base },
        // Nothing was consumed and nothing is charged.
        11 => Entry { usage: Usage::default(), meters: smallvec![], cost: Some(Money::ZERO), ..base },
        _ => base,
    }
}

fn request(number: u64, dice: &mut Dice) -> Entry {
    let at = dice.between(BEGIN, END);
    let mut made = entry(number);
    made.id = RequestId::new(at, number.into());
    (made.started_at, made.ended_at) = (at, at.plus(dice.roll(60_000) as i64));
    let mut identity = Identity::clone(&made.identity);
    identity.team = (*dice.pick(&TEAMS)).into();
    identity.project = (*dice.pick(&["search", "chat", "batch"])).into();
    identity.key = (*dice.pick(&["ci", "app"])).into();
    identity.cost_center = (dice.roll(2) == 0).then(|| "4711".into());
    made.identity = Arc::new(identity);
    made.model = (*dice.pick(&["small", "large", HOSTILE[0], HOSTILE[6]])).into();
    made.place = Some(Arc::new(Place {
        provider: (*dice.pick(&["openai", "azure", "anthropic", "mistral"])).into(),
        account: None,
        upstream: (*dice.pick(&["east", "west"])).into(),
        upstream_model: (*dice.pick(&["gpt-5", "claude"])).into(),
        region: (*dice.pick(&["eastus", "swedencentral"])).into(),
        zone: (*dice.pick(&["us", "eu"])).into(),
    }));
    made.end_user = (dice.roll(2) == 0).then(|| (*dice.pick(&HOSTILE)).into());
    made.session = (dice.roll(3) == 0).then(|| (*dice.pick(&HOSTILE)).into());
    made.client = (dice.roll(2) == 0).then(|| (*dice.pick(&HOSTILE)).into());
    made.service_tier = (dice.roll(3) == 0).then(|| "priority".into());
    made.currency = (*dice.pick(&["USD", "USD", "EUR"])).into();
    made.meters = (0..1 + dice.roll(3)).map(|_| meter(dice)).collect();
    made.cost = Some(made.meters.iter().map(|meter| meter.cost).sum());
    made
}

/// From one pico-unit to more than a million units of currency.
fn meter(dice: &mut Dice) -> Meter {
    let pico = *dice.pick(&[1, 7, 2_500_000, 75_000_000, 123_456_789, 999_999_999_999]);
    let quantity = match dice.roll(30) {
        0 => 1_500_000,
        roll => 1 + dice.roll(1 << (roll / 2)),
    };
    let unit_price = UnitPrice::from_pico(pico);
    let kind = *dice.pick(&MeterKind::ALL);
    let price_id = (*dice.pick(&["gpt-5-2026-10", "claude-2026-09"])).into();
    Meter { meter: kind, quantity, unit_price, cost: unit_price.times(quantity), price_id, list_price: None }
}

/// The charge of an earlier request taken back, and another one in its place.
fn correction(base: Entry, dice: &mut Dice) -> Entry {
    let original = RequestId::new(dice.between(BEGIN, END), dice.roll(1 << 40).into());
    let at = if original.started_at() < CLOSED { dice.between(CLOSED, END) } else { original.started_at() };
    let before = meter(dice);
    let back = UnitPrice::from_pico(-before.unit_price.pico());
    let now = UnitPrice::from_pico(before.unit_price.pico() / 2 + 1);
    let after = Meter { unit_price: now, cost: now.times(before.quantity), ..before.clone() };
    let before = Meter { unit_price: back, cost: -before.cost, ..before };
    Entry {
        kind: Kind::Adjustment,
        cost: Some(before.cost + after.cost),
        meters: smallvec![before, after],
        usage: Usage::default(),
        operation: "rerate".into(),
        adjusts: Some(original),
        end: None,
        ..at_another_time(base, at)
    }
}

/// A request of October that the ledger learnt of in November.
fn late(base: Entry, dice: &mut Dice) -> Entry {
    let original = RequestId::new(dice.between(BEGIN, CLOSED), dice.roll(1 << 40).into());
    Entry { kind: Kind::Adjustment, adjusts: Some(original), ..at_another_time(base, CLOSED) }
}

fn capacity(base: Entry, dice: &mut Dice) -> Entry {
    Entry {
        kind: Kind::Fixed,
        cost: Some(*dice.pick(&[Money::from_pico(12_345_678_900_001), Money::from_pico(1)])),
        meters: smallvec![],
        usage: Usage::default(),
        operation: "provisioned".into(),
        end: None,
        ..base
    }
}

fn at_another_time(base: Entry, at: UnixMillis) -> Entry {
    let random = u128::from_be_bytes(base.id.to_bytes()) & 0x3fff_ffff_ffff_ffff;
    Entry { id: RequestId::new(at, random), started_at: at, ended_at: at, ..base }
}
