//! What was told, and what has still to be delivered: kept whole in one document, so that an alert
//! and the mark that it was made come to be together or not at all.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_accounting::quota::BudgetStatus;
use tollgate_domain::{Money, UnixMillis};

use super::{
    event::{About, Event, about},
    webhook::Webhook,
};
use crate::config::file::AlertKind;

/// Alerts that are kept for people to look at.
const MOST_ALERTS: usize = 500;
/// Amounts of one budget and period that are told apart.
const MOST_AMOUNTS: usize = 64;
/// Days for which it is known what was told.
const MOST_DAYS: usize = 3;
/// So many models or findings are told in a day: more would tell nobody anything.
const MOST_A_DAY: usize = 1_000;
/// A delivery is given up when its alert is so old.
const GIVE_UP_MILLIS: i64 = 24 * 3_600_000;
/// What another process has begun to send is left to it for so long; no attempt takes longer.
const HELD_MILLIS: i64 = 120_000;
/// The longest pause between attempts.
const LONGEST_PAUSE_MILLIS: i64 = 300_000;

/// The book.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Book {
    /// By scope: what was told in its current period.
    budgets: BTreeMap<String, Told>,
    /// By day: models that were told to have no price.
    unpriced: Daily,
    /// By day: findings that were told.
    #[serde(default)]
    found: Daily,
    /// The oldest first.
    alerts: VecDeque<Alert>,
}

/// What is told once a day, by its day.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
struct Daily(BTreeMap<String, BTreeSet<String>>);

impl Daily {
    fn is_news(&self, day: &str, what: &str) -> bool {
        let Some(told) = self.0.get(day) else {
            // A clock that is set back brings no day back that is forgotten.
            let oldest = self.0.first_key_value().map(|(oldest, _)| oldest.as_str());
            return self.0.len() < MOST_DAYS || oldest.is_none_or(|oldest| day >= oldest);
        };
        told.len() < MOST_A_DAY && !told.contains(what)
    }

    fn note(&mut self, day: &str, what: String) {
        self.0.entry(day.to_owned()).or_default().insert(what);
        while self.0.len() > MOST_DAYS {
            self.0.pop_first();
        }
    }
}

/// What was told about a budget in one period.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Told {
    start: UnixMillis,
    by_amount: Vec<ToldOfAmount>,
}

/// What was told of one amount.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct ToldOfAmount {
    amount: Money,
    spent: BTreeSet<u16>,
    forecast: BTreeSet<u16>,
    exhausted: bool,
}

/// An alert with what became of its deliveries.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Alert {
    /// The same in every delivery of it.
    pub id: String,
    /// What sort of alert.
    pub kind: AlertKind,
    /// When it was made.
    pub at: UnixMillis,
    /// What it is about.
    pub subject: String,
    /// The team that it is about, if it is about one.
    pub team: Option<String>,
    /// What is sent.
    pub body: Value,
    /// One for each webhook that it is sent to.
    pub deliveries: Vec<Delivery>,
}

impl Alert {
    /// Its sentence for people.
    pub(super) fn text(&self) -> &str {
        self.body["text"].as_str().unwrap_or_default()
    }
}

/// A delivery of an alert to a webhook.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Delivery {
    /// The webhook's name.
    pub webhook: String,
    /// How it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it ended, or was tried last.
    pub tried_at: Option<UnixMillis>,
    /// Before this it is not tried again.
    pub next_at: UnixMillis,
    /// The last answer's status.
    pub status: Option<u16>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// Who is sending it.
    holder: Option<Holder>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is still to be taken.
    Pending,
    /// The receiver has taken it.
    Delivered,
    /// A day has passed without that.
    GivenUp,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Holder {
    instance: String,
    until: UnixMillis,
}

/// How an attempt ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Tried {
    /// The receiver has taken the alert.
    Taken { status: u16 },
    /// It has not, or nobody knows.
    Failed { status: Option<u16>, error: String },
}

impl Book {
    pub(super) fn is_news(&self, event: &Event) -> bool {
        match event {
            Event::Budget { status, about } => {
                let Some(told) = self.budgets.get(&status.scope.to_string()) else { return true };
                // A clock that is set back brings no old period back.
                if told.start != status.start {
                    return told.start < status.start;
                }
                let of_amount = told.by_amount.iter().find(|told| told.amount == status.amount);
                of_amount.is_none_or(|told| !told.has(about))
            }
            Event::Unpriced { model, day } => self.unpriced.is_news(day, model.as_str()),
            Event::Found { finding, day } => self.found.is_news(day, &about(finding)),
        }
    }

    /// Marks an event as told.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::Budget { status, about } => self.told(status).note(about),
            Event::Unpriced { model, day } => self.unpriced.note(day, model.to_string()),
            Event::Found { finding, day } => self.found.note(day, about(finding)),
        }
    }

    fn told(&mut self, status: &BudgetStatus) -> &mut ToldOfAmount {
        let told = self.budgets.entry(status.scope.to_string()).or_default();
        if told.start != status.start {
            *told = Told { start: status.start, by_amount: Vec::new() };
        }
        let place = told.by_amount.iter().position(|told| told.amount == status.amount);
        let place = place.unwrap_or_else(|| {
            if told.by_amount.len() == MOST_AMOUNTS {
                told.by_amount.remove(0);
            }
            let (spent, forecast) = Default::default();
            told.by_amount.push(ToldOfAmount { amount: status.amount, spent, forecast, exhausted: false });
            told.by_amount.len() - 1
        });
        &mut told.by_amount[place]
    }

    /// Adds an alert with a delivery for each webhook that wants it; gives it back so.
    pub(super) fn add(&mut self, mut alert: Alert, webhooks: &[Arc<Webhook>]) -> Alert {
        let wanted = webhooks.iter().filter(|webhook| webhook.wants(alert.kind, alert.team.as_deref()));
        let delivery = |webhook: &Arc<Webhook>| Delivery {
            webhook: webhook.name.to_string(),
            state: DeliveryState::Pending,
            attempts: 0,
            tried_at: None,
            next_at: alert.at,
            status: None,
            error: None,
            holder: None,
        };
        alert.deliveries = wanted.map(delivery).collect();
        self.alerts.push_back(alert.clone());
        while self.alerts.len() > MOST_ALERTS {
            self.alerts.pop_front();
        }
        alert
    }

    /// Where the oldest delivery to a webhook stands that has not been taken, as places of the alert
    /// and in it, if its turn has come and no other process is at it.
    pub(super) fn turn(&self, webhook: &str, instance: &str, now: UnixMillis) -> Option<(usize, usize)> {
        let pending =
            |delivery: &Delivery| delivery.webhook == webhook && delivery.state == DeliveryState::Pending;
        let place = self
            .alerts
            .iter()
            .enumerate()
            .find_map(|(at, alert)| alert.deliveries.iter().position(pending).map(|place| (at, place)))?;
        let delivery = &self.alerts[place.0].deliveries[place.1];
        let held = delivery.holder.as_ref().is_some_and(|holder| {
            // What an earlier process of this name held, nobody holds any more.
            holder.instance != instance && now < holder.until
        });
        // An attempt that is far in the future was set by a clock that has been set back since.
        let waits = now < delivery.next_at && delivery.next_at.since(now) <= LONGEST_PAUSE_MILLIS;
        (!held && !waits).then_some(place)
    }

    /// Takes a webhook's [turn](Self::turn): gives the alert and the number of this attempt.
    pub(super) fn claim(&mut self, webhook: &str, instance: &str, now: UnixMillis) -> Option<(&Alert, u32)> {
        let (at, place) = self.turn(webhook, instance, now)?;
        let delivery = &mut self.alerts[at].deliveries[place];
        delivery.attempts += 1;
        delivery.holder = Some(Holder { instance: instance.to_owned(), until: now.plus(HELD_MILLIS) });
        let attempt = delivery.attempts;
        Some((&self.alerts[at], attempt))
    }

    /// Notes how an attempt ended, if the alert is still kept.
    pub(super) fn fared(&mut self, id: &str, webhook: &str, tried: &Tried, now: UnixMillis) {
        let alert = self.alerts.iter_mut().find(|alert| alert.id == id);
        let mut deliveries = alert.into_iter().flat_map(|alert| &mut alert.deliveries);
        let Some(delivery) = deliveries.find(|delivery| delivery.webhook == webhook) else { return };
        delivery.holder = None;
        delivery.tried_at = Some(now);
        match tried {
            Tried::Taken { status } => {
                delivery.state = DeliveryState::Delivered;
                (delivery.status, delivery.error) = (Some(*status), None);
            }
            Tried::Failed { status, error } => {
                delivery.next_at = now.plus(pause_after(delivery.attempts));
                (delivery.status, delivery.error) = (*status, Some(error.clone()));
            }
        }
    }

    /// True when there is something to give up.
    pub(super) fn is_overdue(&self, now: UnixMillis) -> bool {
        let old = self.alerts.iter().take_while(|alert| now.since(alert.at) > GIVE_UP_MILLIS);
        let mut deliveries = old.flat_map(|alert| &alert.deliveries);
        deliveries.any(|delivery| delivery.state == DeliveryState::Pending)
    }

    /// Gives up what nobody has taken within a day; gives each such alert with the webhook's name.
    pub(super) fn give_up(&mut self, now: UnixMillis) -> Vec<(Alert, String)> {
        let mut given_up = Vec::new();
        for alert in self.alerts.iter_mut().take_while(|alert| now.since(alert.at) > GIVE_UP_MILLIS) {
            let mut names = Vec::new();
            for delivery in &mut alert.deliveries {
                if delivery.state == DeliveryState::Pending {
                    delivery.state = DeliveryState::GivenUp;
                    delivery.holder = None;
                    names.push(delivery.webhook.clone());
                }
            }
            given_up.extend(names.into_iter().map(|name| (alert.clone(), name)));
        }
        given_up
    }

    pub(super) fn into_newest_first(self) -> Vec<Alert> {
        self.alerts.into_iter().rev().collect()
    }
}

impl ToldOfAmount {
    fn has(&self, about: &About) -> bool {
        match about {
            About::Spent(threshold) => self.spent.contains(threshold),
            About::Forecast(threshold, _) => self.forecast.contains(threshold),
            About::Exhausted => self.exhausted,
        }
    }

    fn note(&mut self, about: &About) {
        match about {
            About::Spent(threshold) => drop(self.spent.insert(*threshold)),
            About::Forecast(threshold, _) => drop(self.forecast.insert(*threshold)),
            About::Exhausted => self.exhausted = true,
        }
    }
}

/// One second, doubled with each further attempt.
fn pause_after(attempts: u32) -> i64 {
    let doubled = 1_000_i64.checked_shl(attempts.saturating_sub(1).min(30)).unwrap_or(i64::MAX);
    doubled.min(LONGEST_PAUSE_MILLIS)
}

#[cfg(test)]
mod tests {
    use tollgate_accounting::quota::{
        Budget, BudgetMode, Calendar, Period, Quotas, ScopeId, ScopeKind, ScopeRules,
    };

    use super::*;

    #[test]
    fn the_book_stays_small() {
        let mut book = Book::default();
        let quotas = Quotas::new(Calendar::utc(), "USD".into());
        let now = UnixMillis::new(1_795_518_000_000);
        for n in 1..=700 {
            let budget = Budget::new(Money::from_pico(n), Period::Month, BudgetMode::Soft);
            let rules = ScopeRules { budget: Some(budget), ..ScopeRules::default() };
            let id = ScopeId { kind: ScopeKind::Team, name: "retail".into() };
            let status = quotas.statuses(&[quotas.scope(id, rules)], now).remove(0);
            let budget = Event::Budget { status: Box::new(status), about: About::Spent(50) };
            let unpriced = Event::Unpriced { model: "gpt".into(), day: format!("{n:04}") };
            for event in [budget, unpriced] {
                book.note(&event);
                book.add(event.alert(&"contoso".into(), &"gw-1".into(), now), &[]);
            }
        }
        assert_eq!(book.alerts.len(), MOST_ALERTS);
        assert_eq!(book.budgets["team retail"].by_amount.len(), MOST_AMOUNTS);
        assert_eq!(book.unpriced.0.len(), MOST_DAYS);
    }
}
