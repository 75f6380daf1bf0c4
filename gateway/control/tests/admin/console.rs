//! The console's page: open to everybody, and closed against what browsers could be made to do with it.

use axum::{body::to_bytes, http::Response};

use crate::fixture::Gateway;

async fn text(response: Response<axum::body::Body>) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("the body arrives");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn header(response: &Response<axum::body::Body>, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn every_view_is_the_same_page_and_needs_no_token() {
    let gateway = Gateway::new();
    let page = text(gateway.browse("GET", "/", &[], "").await).await;
    assert!(page.contains("<script type=\"module\""), "{page}");
    for view in ["/overview", "/requests?status=429", "/costs", "/sign-in"] {
        let response = gateway.browse("GET", view, &[], "").await;
        assert_eq!((response.status().as_u16(), text(response).await == page), (200, true), "{view}");
    }
    let unknown = gateway.browse("GET", "/elsewhere", &[], "").await;
    assert_eq!(unknown.status(), 404);
}

#[tokio::test]
async fn no_answer_may_be_framed_guessed_at_or_made_to_run_what_is_not_ours() {
    let gateway = Gateway::new();
    for path in ["/", "/api/v1/usage", "/api/v1/nothing", "/metrics", "/console/x/main.js"] {
        let response = gateway.browse("GET", path, &[], "").await;
        let policy = header(&response, "content-security-policy");
        for part in [
            "default-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        let told = [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ];
        for (name, value) in told {
            assert_eq!(header(&response, name), value, "{path} {name}");
        }
        if path.starts_with("/api") {
            assert_eq!(header(&response, "cache-control"), "no-store", "{path}");
        }
    }
}

#[tokio::test]
async fn a_part_is_kept_for_ever_and_the_page_is_asked_for_again() {
    let gateway = Gateway::new();
    let page = gateway.browse("GET", "/", &[], "").await;
    assert_eq!(header(&page, "cache-control"), "no-cache");
    let etag = header(&page, "etag");
    let again = gateway.browse("GET", "/", &[("if-none-match", &etag)], "").await;
    assert_eq!((again.status().as_u16(), text(again).await), (304, String::new()));
    let changed = gateway.browse("GET", "/", &[("if-none-match", "\"another\"")], "").await;
    assert_eq!(changed.status(), 200);

    let page = text(page).await;
    let script = page.split('"').find(|part| part.ends_with("/main.js")).expect("the page names its script");
    let part = gateway.browse("GET", script, &[], "").await;
    assert_eq!(part.status(), 200, "{script}");
    assert!(header(&part, "cache-control").contains("immutable"));
    assert_eq!(header(&part, "content-type"), "text/javascript; charset=utf-8");
    let other_version = script.replace("/console/", "/console/0");
    assert_eq!(gateway.browse("GET", &other_version, &[], "").await.status(), 404);
}

#[tokio::test]
async fn what_takes_gzip_gets_gzip() {
    let gateway = Gateway::new();
    for (takes, coding) in
        [("gzip, br", "gzip"), ("br;q=1, GZIP;q=0.5", "gzip"), ("gzip;q=0", ""), ("br", ""), ("", "")]
    {
        let response = gateway.browse("GET", "/", &[("accept-encoding", takes)], "").await;
        assert_eq!(header(&response, "content-encoding"), coding, "{takes}");
        assert_eq!(header(&response, "vary"), "accept-encoding");
        let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("the body arrives");
        assert_eq!(bytes.starts_with(&[0x1f, 0x8b]), !coding.is_empty(), "{takes}");
    }
}
