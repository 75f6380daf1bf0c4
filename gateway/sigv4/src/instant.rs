//! The form in which signatures name an instant: `20150830T123600Z`, whole seconds of UTC.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use tollgate_domain::UnixMillis;

const FORM: &str = "%Y%m%dT%H%M%SZ";

/// The text of an instant; one that no calendar has is the epoch.
pub(crate) fn text(at: UnixMillis) -> String {
    let second = Timestamp::from_second(at.get().div_euclid(1_000)).unwrap_or(Timestamp::UNIX_EPOCH);
    second.strftime(FORM).to_string()
}

/// The instant that a text names.
pub(crate) fn parse(text: &str) -> Option<UnixMillis> {
    let shape = |(place, byte): (usize, u8)| match place {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 16 || !text.bytes().enumerate().all(shape) {
        return None;
    }
    let civil = DateTime::strptime(FORM, text).ok()?;
    Some(UnixMillis::new(TimeZone::UTC.to_timestamp(civil).ok()?.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_back_and_nothing_else_is() {
        let at = UnixMillis::new(1_440_938_160_999);
        assert_eq!(text(at), "20150830T123600Z");
        assert_eq!(parse("20150830T123600Z"), Some(UnixMillis::new(1_440_938_160_000)));
        for other in ["", "20150830T123600", "2015-08-30T12:36Z", "20151330T123600Z", "20150830T123600z"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
