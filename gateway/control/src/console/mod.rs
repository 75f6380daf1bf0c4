//! The web console: the page and its parts, as they are served.
//!
//! The page holds nothing of the gateway and needs no token. What it shows comes from the admin
//! API, with the rights of whoever has signed in.

mod site;

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use site::{File, Site};

/// The views of the page, each at its own path. The page reads its path by itself.
pub(crate) const VIEWS: [&str; 11] = [
    "overview",
    "regions",
    "requests",
    "costs",
    "budgets",
    "projects",
    "keys",
    "my-project",
    "config",
    "audit",
    "sign-in",
];

/// What a browser may do on any answer of the admin listener: load what is ours, talk to us alone, be
/// framed by nobody, and turn no text into markup or code.
const POLICY: &str = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

static SITE: LazyLock<Site> = LazyLock::new(Site::of_the_binary);

/// The page, whichever view it is asked for.
pub(crate) async fn page(headers: HeaderMap) -> Response {
    let mut response = send(SITE.page(), &headers, "no-cache");
    let policy = HeaderValue::from_str(SITE.policy()).expect("words and a hash");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// A part of the page. Its path has the content's hash in it, so that a browser never asks twice and
/// never mixes two versions.
pub(crate) fn part(version: &str, path: &str, headers: &HeaderMap) -> Response {
    match SITE.part(path) {
        Some(file) if version == SITE.version() => send(file, headers, "public, max-age=31536000, immutable"),
        _ => (StatusCode::NOT_FOUND, "not a part of this version of the console\n").into_response(),
    }
}

/// Adds to an answer what every answer of the listener tells browsers.
pub(crate) fn protect(headers: &mut HeaderMap) {
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    let told = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in told {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn send(file: &File, asked: &HeaderMap, keep: &'static str) -> Response {
    let fresh = has_item(asked, header::IF_NONE_MATCH, |known| {
        known == "*" || known.trim_start_matches("W/") == file.etag
    });
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static(keep)),
        (header::ETAG, HeaderValue::from_str(&file.etag).expect("a hash in quotes")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if fresh {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    let takes_gzip = has_item(asked, header::ACCEPT_ENCODING, |coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00")
    });
    if takes_gzip {
        let coding = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        return (headers, [kind], coding, Body::from(file.gzip())).into_response();
    }
    (headers, [kind], Body::from(file.bytes.clone())).into_response()
}

/// Whether a header that is a list has an item like this.
fn has_item(headers: &HeaderMap, name: header::HeaderName, is_it: impl Fn(&str) -> bool) -> bool {
    let lists = headers.get_all(name);
    lists
        .iter()
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|item| is_it(item.trim()))
}
