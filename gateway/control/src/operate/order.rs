//! What an operator asks for, in the form that the command line sends and the admin API reads.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::OperateError;

/// What can be operated on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A region, with every upstream in it.
    Region,
    /// An upstream, with every target on it.
    Upstream,
    /// An upstream's model.
    Target,
    /// A model, as clients call it.
    Model,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Region, Self::Upstream, Self::Target, Self::Model];

    /// The name that the ledger store and the audit keep.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Upstream => "upstream",
            Self::Target => "target",
            Self::Model => "model",
        }
    }

    /// The name of the collection: the command and the path segment.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Region => "regions",
            Self::Upstream => "upstreams",
            Self::Target => "targets",
            Self::Model => "models",
        }
    }

    /// The kind whose stored name this is.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What to do with it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// No new requests; those in flight finish.
    Drain,
    /// No new requests until it is enabled.
    Disable,
    /// Clears the operator's word: what the configuration says holds again.
    Enable,
    /// New requests whatever its breakers and holds say.
    Force,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::Drain, Self::Disable, Self::Enable, Self::Force];

    /// The name: the command and the path segment.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Force => "force",
        }
    }

    /// True when it keeps new requests out.
    #[must_use]
    pub const fn takes_out(self) -> bool {
        matches!(self, Self::Drain | Self::Disable)
    }
}

/// The particulars of an action: the body of the call.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Order {
    /// Why; kept with the state and in the audit.
    pub reason: String,
    /// After which time the state ends by itself.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// After which time requests in flight are ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// Only tell what would move.
    #[serde(skip_serializing_if = "is_false")]
    pub preview: bool,
    /// Do it even if projects are left without a permitted target.
    #[serde(skip_serializing_if = "is_false")]
    pub force: bool,
}

impl Order {
    /// Refuses what has no meaning with an action.
    ///
    /// # Errors
    /// [`OperateError::Unsound`] names the part.
    pub fn check(&self, action: Action) -> Result<(), OperateError> {
        let unsound = |why: &str| Err(OperateError::Unsound(why.to_owned()));
        match self {
            Self { deadline: Some(_), .. } if action != Action::Disable => {
                unsound("`deadline` belongs to `disable`: everything else lets requests in flight finish")
            }
            Self { deadline: Some(deadline), lasts: Some(lasts), .. }
                if deadline.millis() >= lasts.millis() =>
            {
                unsound("`deadline` is not before the end that `for` gives")
            }
            Self { lasts: Some(_), .. } if action == Action::Enable => {
                unsound("`for` has no meaning with `enable`, which ends the operator's state")
            }
            Self { preview: true, .. } if !action.takes_out() => {
                unsound("`preview` tells who would leave: it belongs to `drain`, `disable` and `failover`")
            }
            _ => Ok(()),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A length of time as people write it: `30s`, `5m`, `1h30m`. More than nothing, at most a year.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    seconds: u32,
}

impl Span {
    const LONGEST: i64 = 366 * 24 * 3_600;
    /// A day.
    pub(super) const DAY: i64 = 24 * 3_600_000;

    /// Its length in milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.seconds as i64 * 1_000
    }
}

/// A text that is no length of time.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no length of time between a second and a year, such as 30s, 5m or 1h30m")]
pub struct ParseSpanError(String);

impl FromStr for Span {
    type Err = ParseSpanError;

    fn from_str(text: &str) -> Result<Self, ParseSpanError> {
        let refused = || ParseSpanError(text.to_owned());
        let seconds = text.parse::<jiff::SignedDuration>().map_err(|_| refused())?.as_secs();
        match u32::try_from(seconds) {
            Ok(seconds) if seconds > 0 && i64::from(seconds) <= Self::LONGEST => Ok(Self { seconds }),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.seconds)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        for (text, millis) in [("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("PT2H", 7_200_000)] {
            assert_eq!(text.parse().map(Span::millis), Ok(millis), "{text}");
        }
        for text in ["", "0s", "-5m", "soon", "500d", "30"] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_order_says_only_what_was_asked_and_refuses_what_it_does_not_know() {
        let order = Order { reason: "storm".into(), lasts: "5m".parse().ok(), ..Order::default() };
        let text = serde_json::to_string(&order).expect("an order is JSON");
        assert_eq!(text, r#"{"reason":"storm","for":"300s"}"#);
        assert_eq!(serde_json::from_str::<Order>(&text).expect("its own form"), order);
        assert!(serde_json::from_str::<Order>(r#"{"until":"5m"}"#).is_err());
    }
}
