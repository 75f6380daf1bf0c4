//! Answers of token endpoints: one shape for all of them (RFC 6749, section 5.1), with Azure's metadata
//! endpoint writing numbers as texts and naming the end instead of the length.

use serde_json::Value;
use tollgate_domain::UnixMillis;

use super::{Fresh, Trouble, desk::text};

/// The bearer token of an answer.
pub(super) fn read(body: &[u8], place: String, now: UnixMillis) -> Result<Fresh, Trouble> {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(token) = text(&json, "access_token") else {
        return Err(Trouble::Unreadable { place, what: "no access_token" });
    };
    let ends = seconds(&json, "expires_on").map(|at| UnixMillis::new(at.saturating_mul(1_000)));
    let lasts = seconds(&json, "expires_in").map(|lasts| now.plus(lasts.saturating_mul(1_000)));
    match lasts.or(ends) {
        Some(expires) => Ok(Fresh::token(token, Some(expires))),
        None => Err(Trouble::Unreadable { place, what: "a token without its end" }),
    }
}

fn seconds(json: &Value, name: &str) -> Option<i64> {
    let value = json.get(name)?;
    let seconds = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (seconds >= 0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_token_is_read_however_it_is_written() {
        let now = UnixMillis::new(1_000_000);
        let cases = [
            (r#"{"access_token":"t","expires_in":3599}"#, Some(4_599_000)),
            (r#"{"access_token":"t","expires_in":"3599","expires_on":"9"}"#, Some(4_599_000)),
            (r#"{"access_token":"t","expires_on":"5000"}"#, Some(5_000_000)),
            (r#"{"access_token":"t","expires_on":5000}"#, Some(5_000_000)),
            (r#"{"access_token":"t"}"#, None),
            (r#"{"access_token":"t","expires_in":-1}"#, None),
            (r#"{"access_token":"","expires_in":1}"#, None),
            (r#"{"access_token":7,"expires_in":1}"#, None),
            ("[]", None),
            ("", None),
        ];
        for (body, ends) in cases {
            let read = read(body.as_bytes(), "here".into(), now);
            assert_eq!(read.ok().and_then(|fresh| fresh.expires).map(UnixMillis::get), ends, "{body}");
        }
    }
}
