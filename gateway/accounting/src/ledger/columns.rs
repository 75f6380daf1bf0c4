//! A row's columns: the one place that unfolds an [`Entry`] into names and values, in the order
//! that users rely on. JSON rows and CSV files are both made from it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap};
use tollgate_domain::{Money, UnixMillis};

use super::entry::{Attempt, Entry, Flags};
use crate::price::Meter;

/// A column: its name and how a row fills it.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name in exports and in the API.
    pub name: &'static str,
    /// True when the text comes from outside the organisation, as clients or upstreams sent it.
    pub free_text: bool,
    /// What its values are, also where a row has none.
    pub form: Form,
    value: for<'a> fn(&'a Entry) -> Value<'a>,
}

impl Column {
    /// The row's value.
    #[must_use]
    pub fn value<'a>(&self, entry: &'a Entry) -> Value<'a> {
        (self.value)(entry)
    }
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Text.
    Text,
    /// A count.
    Count,
    /// An amount of the row's currency.
    Amount,
    /// An instant.
    Instant,
    /// Yes or no.
    Truth,
    /// An object or a list.
    List,
}

const fn column(name: &'static str, form: Form, value: for<'a> fn(&'a Entry) -> Value<'a>) -> Column {
    Column { name, free_text: false, form, value }
}

const fn free(name: &'static str, value: for<'a> fn(&'a Entry) -> Value<'a>) -> Column {
    Column { name, free_text: true, form: Form::Text, value }
}

/// Every column, in order. New ones are added at the end.
pub const COLUMNS: &[Column] = &[
    column("id", Form::Text, |e| Value::Text(e.id.to_string().into())),
    column("seq", Form::Count, |e| Value::Number(e.seq)),
    column("kind", Form::Text, |e| text(e.kind.as_str())),
    column("started_at", Form::Instant, |e| Value::Instant(e.started_at)),
    column("ended_at", Form::Instant, |e| Value::Instant(e.ended_at)),
    column("organization", Form::Text, |e| text(&e.identity.organization)),
    column("team", Form::Text, |e| text(e.identity.team.as_str())),
    column("project", Form::Text, |e| text(e.identity.project.as_str())),
    column("key", Form::Text, |e| text(e.identity.key.as_str())),
    column("cost_center", Form::Text, |e| optional(e.identity.cost_center.as_deref())),
    column("tags", Form::List, |e| Value::Tags(e)),
    free("end_user", |e| optional(e.end_user.as_deref())),
    free("session", |e| optional(e.session.as_deref())),
    free("client", |e| optional(e.client.as_deref())),
    free("model", |e| text(e.model.as_str())),
    column("provider", Form::Text, |e| optional(e.place.as_ref().map(|place| &*place.provider))),
    column("account", Form::Text, |e| optional(e.place.as_ref().and_then(|place| place.account.as_deref()))),
    column("upstream", Form::Text, |e| optional(e.place.as_ref().map(|place| place.upstream.as_str()))),
    column("upstream_model", Form::Text, |e| {
        optional(e.place.as_ref().map(|place| place.upstream_model.as_str()))
    }),
    free("served_model", |e| optional(e.served_model.as_deref())),
    column("region", Form::Text, |e| optional(e.place.as_ref().map(|place| place.region.as_str()))),
    column("zone", Form::Text, |e| optional(e.place.as_ref().map(|place| place.zone.as_str()))),
    column("dialect", Form::Text, |e| text(&e.dialect)),
    column("operation", Form::Text, |e| text(&e.operation)),
    column("stream", Form::Truth, |e| Value::Truth(e.stream)),
    column(
        "status",
        Form::Count,
        |e| if e.status == 0 { Value::Null } else { Value::Number(e.status.into()) },
    ),
    column("error_code", Form::Text, |e| optional(e.error_code.as_deref())),
    column("end", Form::Text, |e| optional(e.end.map(|end| end.as_str()))),
    column("served_by", Form::Text, |e| text(e.served_by.as_str())),
    column("input_tokens", Form::Count, |e| Value::Number(e.usage.input_tokens())),
    column("cached_input_tokens", Form::Count, |e| Value::Number(e.usage.cached_input_tokens())),
    column("cache_write_tokens", Form::Count, |e| Value::Number(e.usage.cache_write_tokens())),
    column("output_tokens", Form::Count, |e| Value::Number(e.usage.output_tokens())),
    column("reasoning_tokens", Form::Count, |e| Value::Number(e.usage.output_reasoning)),
    column("audio_input_tokens", Form::Count, |e| Value::Number(e.usage.audio_input_tokens())),
    column("audio_output_tokens", Form::Count, |e| Value::Number(e.usage.output_audio)),
    column("usage_source", Form::Text, |e| text(e.usage_source.as_str())),
    column("meters", Form::List, |e| Value::Meters(&e.meters)),
    free("service_tier", |e| optional(e.service_tier.as_deref())),
    column("cost", Form::Amount, |e| e.cost.map_or(Value::Null, Value::Amount)),
    column("currency", Form::Text, |e| text(&e.currency)),
    column("reserved_cost", Form::Amount, |e| Value::Amount(e.reserved_cost)),
    column("waste_cost", Form::Amount, |e| Value::Amount(e.waste_cost)),
    column("attempt_count", Form::Count, |e| Value::Number(e.attempts.len() as u64)),
    column("attempts", Form::List, |e| Value::Attempts(&e.attempts)),
    free("upstream_request_id", |e| optional(e.upstream_request_id.as_deref())),
    free("trace_id", |e| optional(e.trace_id.as_deref())),
    column("ttft_ms", Form::Count, |e| e.ttft_ms.map_or(Value::Null, |ttft| Value::Number(ttft.into()))),
    column("duration_ms", Form::Count, |e| Value::Number(e.duration_ms.into())),
    column("instance", Form::Text, |e| text(&e.identity.instance)),
    column("config_version", Form::Count, |e| Value::Number(e.config_version)),
    column("adjusts", Form::Text, |e| e.adjusts.map_or(Value::Null, |id| Value::Text(id.to_string().into()))),
    column("flags", Form::List, |e| Value::Flags(e.flags)),
];

/// What stands in a column. Money and instants are written as text: exact, and no reader takes an
/// amount for a float.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A text.
    Text(Cow<'a, str>),
    /// An amount of the row's currency.
    Amount(Money),
    /// An instant.
    Instant(UnixMillis),
    /// A count.
    Number(u64),
    /// Yes or no.
    Truth(bool),
    /// The row's tags, an object.
    Tags(&'a Entry),
    /// Priced quantities, a list.
    Meters(&'a [Meter]),
    /// Tries, a list.
    Attempts(&'a [Attempt]),
    /// Marks, a list of names.
    Flags(Flags),
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_none(),
            Self::Text(text) => to.serialize_str(text),
            Self::Amount(amount) => to.serialize_str(amount.to_text().as_str()),
            Self::Instant(at) => to.serialize_str(&rfc3339(*at)),
            Self::Number(number) => to.serialize_u64(*number),
            Self::Truth(truth) => to.serialize_bool(*truth),
            Self::Tags(entry) => to.collect_map(entry.tags()),
            Self::Meters(meters) => to.collect_seq(meters.iter().map(MeterColumns)),
            Self::Attempts(attempts) => to.collect_seq(attempts.iter().map(AttemptColumns)),
            Self::Flags(flags) => to.collect_seq(flags.names()),
        }
    }
}

/// A row as an object with all columns, in order.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a>(pub &'a Entry);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(COLUMNS.iter().map(|column| (column.name, column.value(self.0))))
    }
}

/// An instant as RFC 3339 in UTC with milliseconds. Instants outside the years -9999 to 9999 are
/// shown as the nearest one inside.
#[must_use]
pub fn rfc3339(at: UnixMillis) -> String {
    let nearest = if at.get() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let instant = Timestamp::from_millisecond(at.get()).unwrap_or(nearest);
    format!("{instant:.3}")
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

fn optional(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Null, text)
}

struct MeterColumns<'a>(&'a Meter);

impl Serialize for MeterColumns<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let meter = self.0;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("meter", meter.meter.as_str())?;
        map.serialize_entry("unit", meter.meter.unit())?;
        map.serialize_entry("quantity", &meter.quantity)?;
        map.serialize_entry("unit_price", &meter.unit_price.to_string())?;
        map.serialize_entry("cost", &meter.cost)?;
        map.serialize_entry("price_id", &*meter.price_id)?;
        if let Some(list) = meter.list_price {
            map.serialize_entry("list_price", &list.to_string())?;
        }
        map.end()
    }
}

struct AttemptColumns<'a>(&'a Attempt);

impl Serialize for AttemptColumns<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let attempt = self.0;
        let mut map = to.serialize_map(Some(10))?;
        map.serialize_entry("n", &attempt.n)?;
        map.serialize_entry("upstream", attempt.upstream.as_str())?;
        map.serialize_entry("region", attempt.region.as_str())?;
        map.serialize_entry("outcome", &attempt.outcome)?;
        map.serialize_entry("status", &attempt.status)?;
        map.serialize_entry("upstream_request_id", &attempt.upstream_request_id)?;
        map.serialize_entry("ttft_ms", &attempt.ttft_ms)?;
        map.serialize_entry("duration_ms", &attempt.duration_ms)?;
        map.serialize_entry("meters", &Value::Meters(&attempt.meters))?;
        map.serialize_entry("waste", &attempt.waste)?;
        map.end()
    }
}
