//! Budgets, and who was told of them.

use metrics::{Gauge, Label};
use tollgate_domain::Money;

use super::{approximate, labels};
use crate::catalogue::{
    ALERT_DELIVERIES, ALERTS, BUDGET_AMOUNT, BUDGET_FORECAST, BUDGET_RESERVED, BUDGET_SPENT,
};

/// The budget of a team or a project. Keys are no labels.
pub struct BudgetSeries {
    amount: Gauge,
    spent: Gauge,
    reserved: Gauge,
    labels: Vec<Label>,
}

impl BudgetSeries {
    /// Resolves the series of a team's budget, or of a project's.
    #[must_use]
    pub fn new(team: &str, project: Option<&str>, currency: &str) -> Self {
        let labels =
            labels([("team", team), ("project", project.unwrap_or_default()), ("currency", currency)]);
        Self {
            amount: BUDGET_AMOUNT.gauge(labels.clone()),
            spent: BUDGET_SPENT.gauge(labels.clone()),
            reserved: BUDGET_RESERVED.gauge(labels.clone()),
            labels,
        }
    }

    /// Tells how it stands.
    pub fn set(&self, amount: Money, spent: Money, reserved: Money) {
        self.amount.set(approximate(amount));
        self.spent.set(approximate(spent));
        self.reserved.set(approximate(reserved));
    }

    /// Tells what is forecast for the end of its period; without a forecast there is no such series.
    pub fn forecast(&self, forecast: Money) {
        BUDGET_FORECAST.gauge(self.labels.clone()).set(approximate(forecast));
    }
}

/// An alert of this kind was made.
pub fn alert_made(kind: &'static str) {
    ALERTS.counter(vec![Label::from_static_parts("kind", kind)]).increment(1);
}

/// An attempt to deliver an alert to this webhook ended so: `delivered`, `failed` or `given_up`.
pub fn alert_tried(webhook: &str, outcome: &'static str) {
    ALERT_DELIVERIES.counter(labels([("webhook", webhook), ("outcome", outcome)])).increment(1);
}
