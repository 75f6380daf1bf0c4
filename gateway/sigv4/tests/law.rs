//! What is signed is proven, and nothing else is: whatever changes on the way is refused.

use proptest::prelude::*;
use tollgate_domain::{Secret, UnixMillis};
use tollgate_sigv4::{Claim, Fault, Field, KeyPair, Line, Scope, Signed, sign};

const NOW: UnixMillis = UnixMillis::new(1_764_448_000_000);
const SECRET: &str = "a-secret-access-key-0123456789";

fn keys() -> KeyPair {
    KeyPair {
        access_key_id: "TLGTEST0001".into(),
        secret_access_key: Secret::new(SECRET.into()),
        session_token: None,
    }
}

fn scope() -> Scope {
    Scope { region: "eu-central-1".into(), service: "bedrock".into() }
}

/// A request as it travels.
#[derive(Clone, Debug)]
struct Travelling {
    method: String,
    path: String,
    query: Option<String>,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Travelling {
    fn line(&self) -> Line<'_> {
        Line { method: &self.method, path: &self.path, query: self.query.as_deref() }
    }

    fn fields(&self) -> Vec<Field<'_>> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }

    /// The request with its signature.
    fn signed(mut self, now: UnixMillis) -> Self {
        let Signed { authorization, date, content_sha256 } =
            sign(&keys(), &scope(), &self.line(), &self.fields(), &self.body, now);
        for (name, value) in
            [("authorization", authorization), ("x-amz-date", date), ("x-amz-content-sha256", content_sha256)]
        {
            self.fields.push((name.into(), value.into_bytes()));
        }
        self
    }

    /// What a verifier says who knows the secret.
    fn verified(&self, now: UnixMillis) -> Result<(), Fault> {
        let fields = self.fields();
        let (_, authorization) = fields.iter().find(|(name, _)| *name == "authorization").expect("signed");
        let authorization = std::str::from_utf8(authorization).map_err(|_| Fault::Incomplete("text"))?;
        let claim = Claim::read(authorization).unwrap_or(Err(Fault::Incomplete("scheme")))?;
        if claim.access_key_id != &*keys().access_key_id {
            return Err(Fault::Mismatch);
        }
        claim.about(&self.line(), &fields, now)?.prove(&Secret::new(SECRET.into()), &self.body)
    }

    fn example() -> Self {
        Self {
            method: "POST".into(),
            path: "/model/amazon.nova-pro-v1%3A0/converse".into(),
            query: Some("a=1&b=x%20y".into()),
            fields: vec![
                ("host".into(), b"gateway.example:8080".to_vec()),
                ("content-type".into(), b"application/json".to_vec()),
            ],
            body: br#"{"messages":[]}"#.to_vec(),
        }
    }

    fn field(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.fields.iter_mut().find(|(known, _)| known == name).expect("a field").1
    }
}

prop_compose! {
    fn requests()(
        method in "POST|GET|PUT",
        segments in prop::collection::vec("[a-zA-Z0-9._~:@!$&'()*+,;=-]{1,8}|%[2-7][0-9A-F]", 1..5),
        query in prop::option::of(prop::collection::vec(("[a-z]{1,4}", "[a-zA-Z0-9+%20._-]{0,6}"), 1..4)),
        value in "[ -~]{0,24}",
        body in prop::collection::vec(any::<u8>(), 0..64),
    ) -> Travelling {
        let query = query.map(|pairs: Vec<(String, String)>| {
            let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            pairs.join("&")
        });
        let mut request = Travelling::example();
        request.fields.push(("x-feature".into(), value.into_bytes()));
        Travelling { method, path: format!("/{}", segments.join("/")), query, body, ..request }
    }
}

proptest! {
    #[test]
    fn what_is_signed_is_proven_within_a_quarter_of_an_hour(request in requests(), off in -900_000_i64..=900_000) {
        // The signature's own time has whole seconds.
        let now = UnixMillis::new(NOW.get() / 1_000 * 1_000);
        prop_assert_eq!(request.signed(now).verified(now.plus(off)), Ok(()));
    }

    #[test]
    fn a_changed_byte_of_the_body_is_refused(request in requests(), place in any::<prop::sample::Index>(), bit in 0..8) {
        let mut request = request.signed(NOW);
        prop_assume!(!request.body.is_empty());
        let place = place.index(request.body.len());
        request.body[place] ^= 1_u8 << bit;
        prop_assert_eq!(request.verified(NOW), Err(Fault::OtherBody));
    }

    #[test]
    fn a_changed_byte_of_the_authorization_is_refused(place in any::<prop::sample::Index>(), to in b'!'..=b'~') {
        let mut request = Travelling::example().signed(NOW);
        let authorization = request.field("authorization");
        let place = place.index(authorization.len());
        prop_assume!(authorization[place] != to && !(authorization[place] as char).eq_ignore_ascii_case(&(to as char)));
        authorization[place] = to;
        prop_assert!(request.verified(NOW).is_err());
    }

    #[test]
    fn another_secret_is_refused(secret in "[a-zA-Z0-9]{16,40}") {
        let request = Travelling::example().signed(NOW);
        let fields = request.fields();
        let (_, authorization) = fields.iter().find(|(name, _)| *name == "authorization").expect("signed");
        let claim = Claim::read(std::str::from_utf8(authorization).expect("text")).expect("this scheme").expect("whole");
        let unproven = claim.about(&request.line(), &fields, NOW).expect("a near time");
        prop_assert_eq!(unproven.prove(&Secret::new(secret), &request.body), Err(Fault::Mismatch));
    }

    #[test]
    fn no_header_makes_the_reader_fail(text in ".{0,200}") {
        let _ = Claim::read(&text);
        let _ = Claim::read(&format!("AWS4-HMAC-SHA256 {text}"));
    }
}

#[test]
fn whatever_else_changes_on_the_way_is_refused() {
    type Change = fn(&mut Travelling);
    let cases: [(&str, Change, Fault); 12] = [
        ("the method", |r| r.method = "PUT".into(), Fault::Mismatch),
        ("the path", |r| r.path = r.path.replace("converse", "invoke"), Fault::Mismatch),
        ("the path's encoding", |r| r.path = r.path.replace("%3A", ":"), Fault::Mismatch),
        ("the query", |r| r.query = Some("a=2&b=x%20y".into()), Fault::Mismatch),
        ("a query too many", |r| r.query = Some("a=1&b=x%20y&c=".into()), Fault::Mismatch),
        ("no query", |r| r.query = None, Fault::Mismatch),
        ("the host", |r| *r.field("host") = b"elsewhere.example".to_vec(), Fault::Mismatch),
        ("a signed header", |r| *r.field("content-type") = b"text/plain".to_vec(), Fault::Mismatch),
        (
            "a signed header given twice",
            |r| r.fields.push(("content-type".into(), b"a/b".to_vec())),
            Fault::Mismatch,
        ),
        ("the second", |r| *r.field("x-amz-date") = b"20251129T202641Z".to_vec(), Fault::Mismatch),
        ("the day", |r| *r.field("x-amz-date") = b"20251130T000000Z".to_vec(), Fault::Skewed),
        ("the hash", |r| r.field("x-amz-content-sha256")[0] ^= 1, Fault::OtherBody),
    ];
    let now = UnixMillis::new(1_764_448_000_000);
    let right = Travelling::example().signed(now);
    assert_eq!(right.verified(now), Ok(()));
    for (name, change, fault) in cases {
        let mut changed = right.clone();
        change(&mut changed);
        assert_eq!(changed.verified(now), Err(fault), "{name}");
    }
}

#[test]
fn order_space_and_letter_case_of_what_is_signed_do_not_matter() {
    let mut request = Travelling::example().signed(NOW);
    request.query = Some("b=x%20y&a=1".into());
    *request.field("content-type") = b"  application/json ".to_vec();
    request.fields.reverse();
    request.fields.push(("user-agent".into(), b"not signed".to_vec()));
    assert_eq!(request.verified(NOW), Ok(()));
}

#[test]
fn a_signature_from_too_far_away_in_time_is_refused() {
    for (off, verdict) in
        [(0, Ok(())), (899_000, Ok(())), (901_000, Err(Fault::Skewed)), (-901_000, Err(Fault::Skewed))]
    {
        let now = UnixMillis::new(NOW.get() / 1_000 * 1_000);
        assert_eq!(Travelling::example().signed(now).verified(now.plus(off)), verdict, "{off} ms");
    }
}

/// What botocore 1.43 makes of a Bedrock call over plain HTTP: it sends no content hash and signs the
/// body's own. Computed by botocore itself, at its fixed time, with the keys of AWS's test suite.
#[test]
fn a_signature_of_botocore_is_proven() {
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=6977b547b667218b0b818274f71c44d14bd1b4715c43d7d2ad7fdb6323550278";
    let fields: [Field<'_>; 4] = [
        ("host", b"gw.example:8080"),
        ("content-type", b"application/json"),
        ("x-amz-date", b"20150830T123600Z"),
        ("authorization", authorization.as_bytes()),
    ];
    let line = Line { method: "POST", path: "/model/amazon.nova-pro-v1%3A0/converse", query: None };
    let claim = Claim::read(authorization).expect("this scheme").expect("whole");
    let unproven = claim.about(&line, &fields, UnixMillis::new(1_440_938_160_000)).expect("a near time");
    let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into());
    assert_eq!(unproven.prove(&secret, br#"{"messages":[]}"#), Ok(()));
    assert_eq!(unproven.prove(&secret, br#"{"messages":[1]}"#), Err(Fault::Mismatch));
}

#[test]
fn what_a_claim_must_have_is_told_by_name() {
    let whole = "AWS4-HMAC-SHA256 Credential=K/20251129/r/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=";
    let zeros = "0".repeat(64);
    let read = |text: String| Claim::read(&text).map(|claim| claim.map(|_| ()));
    assert_eq!(read("Bearer abc".into()), None);
    assert_eq!(read("AWS4-HMAC-SHA256-OTHER Credential=".into()), None);
    assert_eq!(read(format!("{whole}{zeros}")), Some(Ok(())));
    assert_eq!(read(format!("{whole}{zeros}").replace(", ", ",")), Some(Ok(())));
    let cases = [
        ("Credential=", "Credentials=", "Credential"),
        ("/bedrock", "", "Credential"),
        ("K/2025", "/2025", "Credential"),
        ("aws4_request", "aws4_request/more", "Credential"),
        ("host;x-amz-date", "x-amz-date;host", "SignedHeaders"),
        ("host;x-amz-date", "host;host", "SignedHeaders"),
        ("Signature=", "Signature=zz", "Signature"),
        ("Signature=", "Signature=00, Signature=", "Signature"),
    ];
    for (old, new, part) in cases {
        let text = format!("{whole}{zeros}").replacen(old, new, 1);
        assert_eq!(read(text), Some(Err(Fault::Incomplete(part))), "{old} -> {new}");
    }
}

#[test]
fn a_head_that_leaves_out_what_must_be_signed_is_refused() {
    let line = Line { method: "POST", path: "/", query: None };
    let date: Field<'_> = ("x-amz-date", b"20251129T202640Z");
    let host: Field<'_> = ("host", b"h");
    let hash = |value: &'static [u8]| -> Field<'static> { ("x-amz-content-sha256", value) };
    let claim = |signed: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential=K/20251129/r/s/aws4_request, SignedHeaders={signed}, Signature={}",
            "0".repeat(64)
        )
    };
    let cases: [(&str, Vec<Field<'_>>, Fault); 6] = [
        ("host", vec![host, date], Fault::Unsigned("x-amz-date")),
        ("host;x-amz-date", vec![host], Fault::Unsigned("x-amz-date")),
        ("x-amz-date", vec![host, date], Fault::Unsigned("host")),
        (
            "host;x-amz-date",
            vec![host, date, hash(b"UNSIGNED-PAYLOAD")],
            Fault::Unsigned("x-amz-content-sha256"),
        ),
        (
            "host;x-amz-content-sha256;x-amz-date",
            vec![host, date, hash(b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD")],
            Fault::Payload,
        ),
        ("host;x-amz-date", vec![host, date, date], Fault::Incomplete("x-amz-date")),
    ];
    for (signed, fields, fault) in cases {
        let text = claim(signed);
        let read = Claim::read(&text).expect("this scheme").expect("whole");
        assert_eq!(read.about(&line, &fields, NOW).map(|_| ()), Err(fault), "{signed}");
    }
}

#[test]
fn an_unsigned_payload_is_taken_where_the_client_says_so_under_its_signature() {
    // Computed by hand from the published algorithm, since the gateway itself always signs bodies.
    let line = Line { method: "POST", path: "/", query: None };
    let text = "AWS4-HMAC-SHA256 Credential=K/20251129/r/s/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=b40b5388b20a3b978c79e328659461139ef8afbe0bb253be86ce9deaa3718d71";
    let fields: [Field<'_>; 3] =
        [("host", b"h"), ("x-amz-date", b"20251129T202640Z"), ("x-amz-content-sha256", b"UNSIGNED-PAYLOAD")];
    let claim = Claim::read(text).expect("this scheme").expect("whole");
    let unproven = claim.about(&line, &fields, NOW).expect("sound");
    assert_eq!(unproven.prove(&Secret::new("s".into()), b"any body"), Ok(()));
    assert_eq!(unproven.prove(&Secret::new("another".into()), b"any body"), Err(Fault::Mismatch));
}
