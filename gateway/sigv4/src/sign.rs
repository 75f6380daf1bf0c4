//! Towards an upstream: the headers that prove who asks.

use tollgate_domain::UnixMillis;

use super::{
    canonical::{self, Field, Line},
    instant,
    key::{ALGORITHM, KeyPair, Scope, signature},
};

/// What a signed request carries beside what was signed.
pub struct Signed {
    /// Value of `authorization`.
    pub authorization: String,
    /// Value of `x-amz-date`.
    pub date: String,
    /// Value of `x-amz-content-sha256`.
    pub content_sha256: String,
}

/// Signs a request over its final bytes.
///
/// `fields` are the headers to sign, `host` among them, none of the four that a signature is made of:
/// date, content hash and, where the key has one, the session token (`x-amz-security-token`) are signed
/// with them.
#[must_use]
pub fn sign(
    keys: &KeyPair,
    scope: &Scope,
    line: &Line<'_>,
    fields: &[Field<'_>],
    body: &[u8],
    now: UnixMillis,
) -> Signed {
    let (date, content_sha256) = (instant::text(now), canonical::hashed(body));
    let mut all = fields.to_vec();
    all.push(("x-amz-date", date.as_bytes()));
    all.push(("x-amz-content-sha256", content_sha256.as_bytes()));
    if let Some(token) = &keys.session_token {
        all.push(("x-amz-security-token", token.expose().as_bytes()));
    }
    let authorization = authorization(keys, scope, line, &all, &content_sha256, &date);
    Signed { authorization, date, content_sha256 }
}

/// The value of `authorization` for a request of which exactly these fields are signed.
fn authorization(
    keys: &KeyPair,
    scope: &Scope,
    line: &Line<'_>,
    fields: &[Field<'_>],
    payload: &str,
    date: &str,
) -> String {
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    let form = canonical::begin(line, fields, &names);
    let signature = signature(&keys.secret_access_key, scope, date, [&form, payload.as_bytes()]);
    format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={}",
        keys.access_key_id,
        scope.text(date.get(..8).unwrap_or(date)),
        names.join(";"),
        hex::encode(signature)
    )
}

#[cfg(test)]
mod tests {
    use tollgate_domain::Secret;

    use super::*;

    /// The key, the time and the scope of AWS's published test suite for Signature Version 4.
    fn suite() -> (KeyPair, Scope) {
        let keys = KeyPair {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()),
            session_token: None,
        };
        (keys, Scope { region: "us-east-1".into(), service: "service".into() })
    }

    const DATE: &str = "20150830T123600Z";
    const TEMPORARY: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    /// Restated values: requests and signatures of AWS's test suite (`aws-sig-v4-test-suite`), by the
    /// names of its folders.
    #[test]
    fn the_published_signatures_are_made() {
        type Case =
            (&'static str, &'static str, &'static str, Vec<Field<'static>>, &'static [u8], &'static str);
        let cases: Vec<Case> = vec![
            (
                "get-vanilla",
                "GET",
                "/",
                vec![],
                b"",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-vanilla-query-order-key-case",
                "GET",
                "/?Param2=value2&Param1=value1",
                vec![],
                b"",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "get-unreserved",
                "GET",
                "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                vec![],
                b"",
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
            (
                "get-utf8",
                "GET",
                "/\u{1234}",
                vec![],
                b"",
                "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            ),
            (
                "get-space-normalized",
                "GET",
                "/example space/",
                vec![],
                b"",
                "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
            ),
            (
                "get-slash-dot-slash-normalized",
                "GET",
                "/./",
                vec![],
                b"",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-header-value-trim",
                "GET",
                "/",
                vec![("my-header1", b" value1"), ("my-header2", b" \"a   b   c\"")],
                b"",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                "get-header-key-duplicate",
                "GET",
                "/",
                vec![("my-header1", b"value2"), ("my-header1", b"value2"), ("my-header1", b"value1")],
                b"",
                "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ),
            (
                "post-vanilla",
                "POST",
                "/",
                vec![],
                b"",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                "POST",
                "/",
                vec![("content-type", b"application/x-www-form-urlencoded")],
                b"Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "post-sts-header-before",
                "POST",
                "/",
                vec![("x-amz-security-token", TEMPORARY.as_bytes())],
                b"",
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
        ];
        let (keys, scope) = suite();
        for (name, method, target, fields, body, wanted) in cases {
            let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
            let mut all: Vec<Field<'_>> =
                vec![("host", b"example.amazonaws.com"), ("x-amz-date", DATE.as_bytes())];
            all.extend(fields);
            let line = Line { method, path, query };
            let made = authorization(&keys, &scope, &line, &all, &canonical::hashed(body), DATE);
            assert!(made.ends_with(&format!("Signature={wanted}")), "{name}: {made}");
        }
    }

    #[test]
    fn date_hash_and_session_token_are_signed_with_the_rest() {
        let (mut keys, scope) = suite();
        keys.session_token = Some(Secret::new("token".into()));
        let line = Line { method: "POST", path: "/model/a%3A0/converse", query: None };
        let now = UnixMillis::new(1_440_938_160_000);
        let signed = sign(&keys, &scope, &line, &[("host", b"b.example")], b"{}", now);
        assert_eq!(signed.date, DATE);
        assert_eq!(signed.content_sha256, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        let named = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=";
        assert!(signed.authorization.contains(named), "{}", signed.authorization);
        let begin = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ";
        assert!(signed.authorization.starts_with(begin), "{}", signed.authorization);
    }
}
