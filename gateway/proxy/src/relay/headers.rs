//! Which of an upstream's headers a client gets, and what the gateway adds.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    edge::{self, name},
    failover, limits,
    settle::Trip,
};

/// Room for the fields that the gateway adds.
const OURS: usize = 14;

/// Turns an upstream's headers into the client's: hop-by-hop fields, cookies, server
/// banners and the upstream's own limits (they tell about other tenants) go, ours come.
pub(super) fn for_client(headers: &mut HeaderMap, trip: &Trip) {
    let upstream_id = failover::upstream_request_id(headers).cloned();
    remove_named_by_connection(headers);
    keep_wanted(headers);
    if let Some(id) = upstream_id {
        headers.insert(name::UPSTREAM_REQUEST_ID, id);
    }
    edge::put_ids(headers, trip.exchange().id, trip.asked().dialect);
    trip.tried().put(headers);
    let other_models = [(name::DOWNGRADED_TO, &trip.asked().instead), (name::FALLBACK, &trip.asked().larger)];
    for (name, model) in other_models {
        if let Some(Ok(model)) = model.as_ref().map(|model| HeaderValue::from_str(model.as_str())) {
            headers.insert(name, model);
        }
    }
    limits::put(headers, &trip.headroom(), trip.asked().dialect, trip.exchange().started);
}

/// Most fields go, so those that stay are moved over: no gap is closed.
fn keep_wanted(headers: &mut HeaderMap) {
    let mut kept = HeaderMap::with_capacity(headers.len() + OURS);
    let mut current = None;
    for (name, value) in headers.drain() {
        // Further values of a name come without it.
        if let Some(name) = name {
            current = Some(name).filter(|name| !is_unwanted(name));
        }
        if let Some(name) = &current {
            kept.append(name.clone(), value);
        }
    }
    *headers = kept;
}

/// What keeps proxies in between from buffering a stream.
pub(super) fn for_stream(headers: &mut HeaderMap) {
    // What may not even be stored is not cached either.
    if headers.get(header::CACHE_CONTROL).is_none_or(|value| value != "no-store") {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
}

fn remove_named_by_connection(headers: &mut HeaderMap) {
    let Some(connection) = headers.get(header::CONNECTION).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let named: Vec<HeaderName> = connection.split(',').filter_map(|name| name.trim().parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
}

fn is_unwanted(name: &HeaderName) -> bool {
    let name = name.as_str();
    let exactly = matches!(
        name,
        "connection"
            | "transfer-encoding"
            | "content-length"
            | "te"
            | "trailer"
            | "upgrade"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "set-cookie"
            | "server"
            | "via"
            | "date"
            | "alt-svc"
            | "strict-transport-security"
            | "x-powered-by"
            | "retry-after"
            | "retry-after-ms"
            | "x-ms-retry-after-ms"
            | "x-amz-retry-after"
            | "x-should-retry"
            | "request-id"
            | "x-request-id"
            | "x-amzn-requestid"
            | "apim-request-id"
            | "openai-organization"
            | "openai-project"
            | "anthropic-organization-id"
    );
    exactly || (name.starts_with(['x', 'a']) && has_unwanted_prefix(name))
}

/// The upstream's own limits tell about other tenants; our own names are ours alone.
fn has_unwanted_prefix(name: &str) -> bool {
    ["x-ratelimit-", "x-tollgate-", "anthropic-ratelimit-", "anthropic-priority-", "anthropic-fast-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banners_cookies_limits_and_hop_by_hop_fields_go() {
        let gone = ["set-cookie", "server", "connection", "x-ratelimit-remaining-tokens", "x-should-retry"];
        let kept = ["content-type", "openai-processing-ms", "x-ms-region", "anthropic-version"];
        assert!(gone.into_iter().all(|name| is_unwanted(&HeaderName::from_static(name))));
        assert!(!kept.into_iter().any(|name| is_unwanted(&HeaderName::from_static(name))));
    }

    #[test]
    fn every_value_of_a_wanted_field_stays() {
        let mut headers = HeaderMap::new();
        for value in ["a", "b", "c"] {
            headers.append("x-kept", HeaderValue::from_static(value));
            headers.append(header::SET_COOKIE, HeaderValue::from_static(value));
        }
        keep_wanted(&mut headers);
        assert_eq!(headers.get_all("x-kept").iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn what_connection_names_goes_too() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close, x-hop"));
        headers.insert("x-hop", HeaderValue::from_static("1"));
        remove_named_by_connection(&mut headers);
        assert!(!headers.contains_key("x-hop"));
    }
}
