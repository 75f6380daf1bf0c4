//! Who is told when a budget comes to a threshold, a model without a price is used, or an answer shows
//! what nobody has configured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecretText, Span, UpstreamTls};

/// Who is told.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertsSection {
    /// Addresses that alerts are sent to. Default: none; alerts then stand in the audit alone.
    #[serde(default)]
    pub webhooks: Vec<Webhook>,
}

/// An address that alerts are sent to, signed, in order, and again until it takes them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name. Example: `finance-desk`.
    pub name: String,
    /// Where to send to. It may hold a secret of its receiver, so it is shown nowhere.
    /// Example: `https://hooks.contoso.com/tollgate`.
    pub url: SecretText,
    /// What alerts are signed with, at least 16 bytes. Example: `"${env:ALERT_SECRET}"`.
    pub secret: SecretText,
    /// Only these kinds of alerts. Default: all.
    pub events: Option<Vec<AlertKind>>,
    /// Only alerts of these teams. Default: all, and those that are of no team.
    pub teams: Option<Vec<String>>,
    /// Private and loopback addresses may be called. Default: `false`.
    #[serde(default)]
    pub allow_private: bool,
    /// How long an attempt may take, 1s to 60s. Default: `10s`.
    pub timeout: Option<Span>,
    /// Certificates. Default: the system's authorities, no client certificate.
    pub tls: Option<UpstreamTls>,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// So much of a budget is spent.
    BudgetThreshold,
    /// So much of a budget is forecast to be spent by the end of its period.
    BudgetForecast,
    /// A call was refused since a budget that has `alerts` is spent, but for less than it asked for.
    BudgetExhausted,
    /// A model without a price was used.
    ModelUnpriced,
    /// An answer names a place outside the zones that its upstream is declared for.
    ResidencyViolation,
    /// An upstream serves another model than before for a target.
    ModelChanged,
}

impl AlertKind {
    /// The name used in configuration, events and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BudgetThreshold => "budget_threshold",
            Self::BudgetForecast => "budget_forecast",
            Self::BudgetExhausted => "budget_exhausted",
            Self::ModelUnpriced => "model_unpriced",
            Self::ResidencyViolation => "residency_violation",
            Self::ModelChanged => "model_changed",
        }
    }
}
