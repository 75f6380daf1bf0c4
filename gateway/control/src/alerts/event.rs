//! What alerts are about, and how they are told.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tollgate_accounting::{ledger::rfc3339, quota::BudgetStatus};
use tollgate_domain::{ModelAlias, Name, RequestId, UnixMillis};
use tollgate_finance::Forecast;
use tollgate_proxy::Finding;

use super::book::Alert;
use crate::config::file::AlertKind;

/// Something that people may want to be told. Whether it is news, the book knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Something about a budget. News once a period and amount.
    Budget {
        /// The budget.
        status: Box<BudgetStatus>,
        /// What about it.
        about: About,
    },
    /// A model without a price is used. News once a day and model.
    Unpriced {
        /// What clients call it.
        model: ModelAlias,
        /// The calendar day, as `2026-11-24`.
        day: String,
    },
    /// An answer shows what nobody has configured. News once a day and finding.
    Found {
        /// What it shows.
        finding: Finding,
        /// The calendar day.
        day: String,
    },
}

/// What is told about a budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum About {
    /// This percentage of the amount is spent.
    Spent(u16),
    /// This percentage of it is forecast for the end of the period.
    Forecast(u16, Forecast),
    /// Calls are refused, since too little is left.
    Exhausted,
}

impl About {
    pub(super) const fn kind(&self) -> AlertKind {
        match self {
            Self::Spent(_) => AlertKind::BudgetThreshold,
            Self::Forecast(..) => AlertKind::BudgetForecast,
            Self::Exhausted => AlertKind::BudgetExhausted,
        }
    }

    /// The percentage that it is about, if it is about one.
    pub(super) const fn threshold(&self) -> Option<u16> {
        match self {
            Self::Spent(threshold) | Self::Forecast(threshold, _) => Some(*threshold),
            Self::Exhausted => None,
        }
    }

    const fn forecast(&self) -> Option<&Forecast> {
        match self {
            Self::Forecast(_, forecast) => Some(forecast),
            Self::Spent(_) | Self::Exhausted => None,
        }
    }
}

impl Event {
    pub(super) const fn kind(&self) -> AlertKind {
        match self {
            Self::Budget { about, .. } => about.kind(),
            Self::Unpriced { .. } => AlertKind::ModelUnpriced,
            Self::Found { finding: Finding::Elsewhere { .. }, .. } => AlertKind::ResidencyViolation,
            Self::Found { finding: Finding::ModelChanged { .. }, .. } => AlertKind::ModelChanged,
        }
    }

    /// The alert that this event becomes. Its id follows from what it is about, so that it is the same
    /// whoever makes it.
    pub(super) fn alert(&self, organization: &Name, instance: &Name, at: UnixMillis) -> Alert {
        let id = self.id(at);
        let mut body = Map::new();
        body.insert("id".to_owned(), json!(id));
        body.insert("kind".to_owned(), json!(self.kind().as_str()));
        body.insert("at".to_owned(), json!(rfc3339(at)));
        body.insert("organization".to_owned(), json!(organization));
        body.insert("instance".to_owned(), json!(instance));
        body.insert("text".to_owned(), json!(self.text()));
        self.tell(&mut body);
        Alert {
            id,
            kind: self.kind(),
            at,
            subject: self.subject(),
            team: self.team().map(str::to_owned),
            body: body.into(),
            deliveries: Vec::new(),
        }
    }

    fn id(&self, at: UnixMillis) -> String {
        let about = match self {
            Self::Budget { status, about } => format!(
                "{} {} {} {} {:?}",
                self.kind().as_str(),
                status.scope,
                status.start.get(),
                status.amount,
                about.threshold()
            ),
            Self::Unpriced { model, day } => format!("{} {model} {day}", self.kind().as_str()),
            Self::Found { finding, day } => format!("{} {} {day}", self.kind().as_str(), about(finding)),
        };
        let digest = Sha256::digest(about);
        let random = digest.first_chunk().expect("a digest has 32 bytes");
        RequestId::new(at, u128::from_be_bytes(*random)).to_string()
    }

    /// What it is about, as the audit names it.
    fn subject(&self) -> String {
        match self {
            Self::Budget { status, .. } => status.scope.to_string(),
            Self::Unpriced { model, .. } => format!("model {model}"),
            Self::Found { finding: Finding::Elsewhere { upstream, .. }, .. } => {
                format!("upstream {upstream}")
            }
            Self::Found { finding: Finding::ModelChanged { target, .. }, .. } => format!("target {target}"),
        }
    }

    fn team(&self) -> Option<&str> {
        match self {
            Self::Budget { status, .. } => status.scope.name.split('/').next(),
            Self::Unpriced { .. } | Self::Found { .. } => None,
        }
    }

    /// One sentence for people.
    fn text(&self) -> String {
        match self {
            Self::Budget { status, about } => {
                let BudgetStatus { scope, amount, currency, spent, .. } = &**status;
                let of = format!("its {} budget of {amount} {currency}", status.period.as_str());
                match about {
                    About::Spent(percent) => {
                        format!("{scope} has spent {spent} {currency}, {percent} % of {of}")
                    }
                    About::Forecast(percent, Forecast { p50, .. }) => {
                        format!("{scope} is forecast to spend {p50} {currency}, {percent} % of {of}")
                    }
                    About::Exhausted => {
                        format!("{scope} is refused calls: {spent} {currency} of {of} are spent")
                    }
                }
            }
            Self::Unpriced { model, day } => format!(
                "model {model} is used without a price since {day}: its calls are counted, their cost is unknown"
            ),
            Self::Found { finding: Finding::Elsewhere { upstream, declared, place, zone }, .. } => format!(
                "an answer of upstream {upstream} names {place}, which is of the zone {zone}: it is declared to process in {declared}"
            ),
            Self::Found { finding: Finding::ModelChanged { target, from, to }, .. } => {
                format!("target {target} is served by {to} now and was by {from} before")
            }
        }
    }

    fn tell(&self, body: &mut Map<String, Value>) {
        let fields = match self {
            Self::Budget { status, about } => {
                let mut parts = status.scope.name.splitn(3, '/');
                let (team, project, key) = (parts.next(), parts.next(), parts.next());
                let forecast = about.forecast();
                json!({
                    "scope": status.scope.kind.as_str(),
                    "team": team,
                    "project": project,
                    "key": key,
                    "mode": status.mode.as_str(),
                    "threshold": about.threshold(),
                    "currency": status.currency,
                    "amount": status.amount,
                    "spent": status.spent,
                    "forecast": forecast.map(|forecast| forecast.p50),
                    "forecast_p90": forecast.map(|forecast| forecast.p90),
                    "forecast_method": forecast.map(|forecast| forecast.method.as_str()),
                    "period": status.period.as_str(),
                    "period_start": rfc3339(status.start),
                    "period_end": status.end.map(rfc3339),
                })
            }
            Self::Unpriced { model, day } => json!({ "model": model, "day": day }),
            Self::Found { finding: Finding::Elsewhere { upstream, declared, place, zone }, day } => json!({
                "upstream": upstream, "declared": declared, "place": place, "zone": zone, "day": day,
            }),
            Self::Found { finding: Finding::ModelChanged { target, from, to }, day } => json!({
                "target": target, "from": from, "to": to, "day": day,
            }),
        };
        if let Value::Object(mut fields) = fields {
            body.append(&mut fields);
        }
    }
}

/// What tells one finding from another.
pub(super) fn about(finding: &Finding) -> String {
    match finding {
        Finding::Elsewhere { upstream, zone, .. } => format!("{upstream} {zone}"),
        Finding::ModelChanged { target, to, .. } => format!("{target} {to}"),
    }
}

/// The calendar day of an instant, as events name it.
pub(super) fn day(at: UnixMillis, zone: &jiff::tz::TimeZone) -> Option<String> {
    let time = Timestamp::from_millisecond(at.get()).ok()?;
    Some(time.to_zoned_datetime(zone.clone()).date().to_string())
}
