//! Durations, sizes, shares and dates as people write them.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, Visitor},
};

/// A length of time: numbers with `ms`, `s`, `m`, `h` or `d`, such as `60s`, `1h30m` or `250ms`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected a length of time such as 250ms, 60s, 5m or 1h30m";
        let (mut millis, mut rest) = (0_u64, text);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0).ok_or(WRONG)?;
            let number: u64 = rest[..digits].parse().map_err(|_| WRONG)?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(WRONG),
            };
            rest = &rest[letters..];
            millis = number.checked_mul(unit).and_then(|part| millis.checked_add(part)).ok_or(WRONG)?;
        }
        if text.is_empty() { Err(WRONG) } else { Ok(Self(Duration::from_millis(millis))) }
    }
}

/// A number of bytes: a number with `B`, `KiB`, `MiB` or `GiB`, such as `32MiB`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected a size such as 512KiB, 32MiB or 1GiB";
        let digits = text.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0).ok_or(WRONG)?;
        let unit = match &text[digits..] {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(WRONG),
        };
        text[..digits].parse().ok().and_then(|number: u64| number.checked_mul(unit)).map(Self).ok_or(WRONG)
    }
}

/// A share from 0 to 1 in millionths, written as `0.25`, `"0.25"` or `1`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share {
    /// Millionths; 1,000,000 is all of it.
    pub millionths: u32,
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected a share from 0 to 1 with at most six decimal places, such as 0.25";
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(places) || places.len() > 6 {
            return Err(WRONG);
        }
        let whole: u32 = whole.parse().map_err(|_| WRONG)?;
        let rest: u32 = format!("{places:0<6}").parse().map_err(|_| WRONG)?;
        let millionths = whole.checked_mul(1_000_000).and_then(|all| all.checked_add(rest)).ok_or(WRONG)?;
        if millionths > 1_000_000 { Err(WRONG) } else { Ok(Self { millionths }) }
    }
}

/// A part of a hundred in millionths of the whole, written with its sign, such as `12.5%`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Percent {
    /// Millionths; 1,000,000 is all of it.
    pub millionths: u32,
}

impl FromStr for Percent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected a percentage with at most four decimal places, such as 12.5%";
        let number = text.strip_suffix('%').ok_or(WRONG)?;
        let (whole, places) = number.split_once('.').unwrap_or((number, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(places) || places.len() > 4 || whole.len() > 3 {
            return Err(WRONG);
        }
        let digits: u32 = format!("{whole}{places:0<4}").parse().map_err(|_| WRONG)?;
        if digits > 1_000_000 { Err(WRONG) } else { Ok(Self { millionths: digits }) }
    }
}

/// An instant: a date (midnight UTC) or a date and time with an offset (RFC 3339).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant {
    /// Milliseconds since the Unix epoch.
    pub millis: i64,
}

impl FromStr for Instant {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected a date such as 2026-01-31 or a time such as 2026-01-31T12:00:00Z";
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self { millis: time.as_millisecond() });
        }
        let date: jiff::civil::Date = text.parse().map_err(|_| WRONG)?;
        let midnight = jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_err(|_| WRONG)?;
        Ok(Self { millis: midnight.as_millisecond() })
    }
}

/// An IP address and a port.
struct Address(SocketAddr);

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str =
            "expected an IP address and a port, such as 127.0.0.1:8080; names are not looked up here";
        text.parse().map(Self).map_err(|_| WRONG)
    }
}

/// Reads an address to listen on.
pub(super) fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    deserializer.deserialize_any(Written(std::marker::PhantomData)).map(|Address(address)| address)
}

/// Reads a text, or a number by the text it was written as.
struct Written<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = &'static str>> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An empty text is never valid, so its error says what is.
        f.write_str(T::from_str("").err().unwrap_or_default().trim_start_matches("expected "))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        number.to_string().parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written(std::marker::PhantomData))
    }
}

impl Serialize for Share {
    /// As a decimal text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (whole, places) = (self.millionths / 1_000_000, self.millionths % 1_000_000);
        let text = match places {
            0 => whole.to_string(),
            _ => format!("{whole}.{}", format!("{places:06}").trim_end_matches('0')),
        };
        serializer.serialize_str(&text)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, places) = (self.millionths / 10_000, self.millionths % 10_000);
        if places == 0 {
            return write!(f, "{whole}%");
        }
        write!(f, "{whole}.{}%", format!("{places:04}").trim_end_matches('0'))
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: numbers with ms, s, m, h or d.",
            "pattern": r"^([0-9]+(ms|s|m|h|d))+$|\$\{",
            "examples": ["250ms", "60s", "1h30m"],
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A number of bytes with its unit.",
            "pattern": r"^[0-9]+(B|KiB|MiB|GiB)$|\$\{",
            "examples": ["512KiB", "32MiB"],
        })
    }
}

impl JsonSchema for Share {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["number", "string"],
            "description": "A share from 0 to 1 with at most six decimal places.",
            "minimum": 0,
            "maximum": 1,
            "examples": [0.25, "0.25", 1],
        })
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A percentage with its sign and at most four decimal places.",
            "pattern": r"^[0-9]{1,3}(\.[0-9]{1,4})?%$|\$\{",
            "examples": ["12.5%"],
        })
    }
}

impl JsonSchema for Instant {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A date (midnight UTC) or a time with its offset (RFC 3339).",
            "examples": ["2026-01-31", "2026-01-31T12:00:00Z"],
        })
    }
}

/// The schema of a decimal text; money is never a JSON number.
pub(super) fn decimal_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "description": "An amount as a decimal text with at most twelve places.",
        "pattern": r"^-?[0-9]+(\.[0-9]+)?$|\$\{",
        "examples": ["5000.00", "0.25"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_the_units_people_use() {
        let cases =
            [("250ms", 250), ("60s", 60_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1d", 86_400_000)];
        for (text, millis) in cases {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        for text in ["", "60", "s", "1x", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_need_their_unit() {
        assert_eq!("32MiB".parse(), Ok(Size(32 << 20)));
        assert_eq!("1KiB".parse(), Ok(Size(1024)));
        for text in ["", "32", "32MB", "MiB", "1.5MiB", "18446744073709551615GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_whole_millionths() {
        for (text, millionths) in
            [("1", 1_000_000), ("0.1", 100_000), ("0.000001", 1), ("0", 0), ("1.0", 1_000_000)]
        {
            assert_eq!(text.parse(), Ok(Share { millionths }), "{text}");
        }
        for text in ["", "1.1", "2", "-0.1", "0.0000001", ".5", "1e-3"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn percentages_are_whole_millionths_and_carry_their_sign() {
        for (text, millionths) in [("12.5%", 125_000), ("100%", 1_000_000), ("0.0001%", 1), ("0%", 0)] {
            assert_eq!(text.parse(), Ok(Percent { millionths }), "{text}");
            assert_eq!(Percent { millionths }.to_string(), text);
        }
        for text in ["", "12.5", "0.125", "-1%", "101%", "1e1%", "0.00001%", ".5%", "%", "12,5%", "12.5 %"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_is_its_midnight_in_utc() {
        assert_eq!("1970-01-02".parse(), Ok(Instant { millis: 86_400_000 }));
        assert_eq!("1970-01-01T01:00:00+01:00".parse(), Ok(Instant { millis: 0 }));
        assert!("tomorrow".parse::<Instant>().is_err());
    }
}
