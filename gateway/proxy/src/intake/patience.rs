//! How long the client waits, as far as it says so.

use std::time::Duration;

use http::HeaderMap;

/// Headers in which SDKs tell their own time limit in seconds: OpenAI's and Anthropic's for Python (the
/// longest silence) and for Node (until the answer begins), Google's for all of it.
const NAMES: [&str; 3] = ["x-stainless-read-timeout", "x-stainless-timeout", "x-server-timeout"];
/// Nobody waits longer than that, and no sum of instants overflows with it.
const LONGEST: f64 = 86_400.0;

/// The shortest that it says; `None` where it says nothing that can be meant.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let told = NAMES.iter().filter_map(|name| headers.get(*name)?.to_str().ok()?.trim().parse::<f64>().ok());
    told.filter(|seconds| *seconds > 0.0 && *seconds <= LONGEST).map(Duration::from_secs_f64).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_limit_that_can_be_meant_counts() {
        let cases = [
            ([None, None, None], None),
            ([Some("600"), None, None], Some(600_000)),
            ([Some("30"), Some("0.5"), None], Some(500)),
            ([None, None, Some(" 7 ")], Some(7_000)),
            ([None, Some("0"), None], None),
            ([None, Some("-3"), Some("NaN")], None),
            ([None, Some("inf"), Some("1e300")], None),
            ([None, Some("soon"), Some("9")], Some(9_000)),
        ];
        for (said, want) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in NAMES.into_iter().zip(said) {
                if let Some(value) = value {
                    headers.insert(name, value.parse().expect("a header"));
                }
            }
            assert_eq!(of(&headers), want.map(Duration::from_millis), "{said:?}");
        }
    }
}
