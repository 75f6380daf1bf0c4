//! Upstreams' credentials that end: how they are configured, whom they are asked of and how, and that
//! they are kept fresh.

mod endpoint;

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tempfile::TempDir;
use tollgate_control::{
    config::{self, Compiled, Document, Sources},
    credentials::{Fresh, FreshKind, Keeper, Source, keep},
};
use tollgate_domain::UnixMillis;
use tollgate_proxy::{CredentialState, Live};

use endpoint::{Endpoint, answer};

const NOW: UnixMillis = UnixMillis::new(1_767_225_600_000);

/// A configuration whose only upstream has this dialect, address and credential.
fn with(dialect: &str, base_url: &str, credential: &str) -> String {
    format!(
        "\
regions:
  - {{ name: here, zone: eu }}
upstreams:
  - {{ name: up, dialect: {dialect}, region: here, base_url: \"{base_url}\", credential: {credential} }}
models:
  - name: m
    targets:
      - {{ upstream: up, model: x }}
"
    )
}

/// A folder with what a test's configuration names.
struct Stage {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Stage {
    fn new(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { folder: TempDir::new().expect("a temporary folder"), variables: variables.collect() }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("a file");
    }

    fn sources(&self) -> Sources {
        Sources::fixed(self.folder.path(), self.variables.clone())
    }

    fn compile(&self, text: &str, live: &Live) -> Compiled {
        self.write("main.yaml", text);
        let document = Document::load(Path::new("main.yaml"), &self.sources());
        let document = document.unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        config::compile(&document, 1, [0; 32], &[], live).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
    }

    /// The one source of a configuration.
    fn source(&self, text: &str) -> Arc<Source> {
        let [source] = &self.compile(text, &live()).sources[..] else { panic!("one source: {text}") };
        Arc::clone(source)
    }

    fn problems(&self, text: &str) -> String {
        self.write("main.yaml", text);
        match config::check(Path::new("main.yaml"), &self.sources()) {
            Ok(warnings) => warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            Err(errors) => errors.to_string(),
        }
    }
}

fn live() -> Live {
    let text = "version: 1\n";
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("main.yaml"), text).expect("a file");
    let none: [(String, String); 0] = [];
    let document = Document::load(Path::new("main.yaml"), &Sources::fixed(folder.path(), none));
    Live::new(config::quotas(&document.expect("sound")))
}

/// What was had, as a text.
fn shown(fresh: &Fresh) -> String {
    match &fresh.what {
        FreshKind::Token(token) => token.expose().to_owned(),
        FreshKind::Keys(keys) => {
            let token = keys.session_token.as_ref().map_or("-", |token| token.expose());
            format!("{} {} {token}", keys.access_key_id, keys.secret_access_key.expose())
        }
    }
}

const KEYS: &str = r#"{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"secret-1","Token":"session-1","Expiration":"2026-01-01T06:00:00Z"}"#;
const STS: &str = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>secret-1</SecretAccessKey><SessionToken>session-1</SessionToken><Expiration>2026-01-01T06:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
const TOKEN: &str = r#"{"access_token":"token-1","expires_in":21600,"token_type":"Bearer"}"#;
const AZURE_TOKEN: &str =
    r#"{"access_token":"token-1","expires_in":"21600","expires_on":"1767247200","token_type":"Bearer"}"#;
/// The end of everything above.
const ENDS: i64 = 1_767_247_200_000;

const AWS: (&str, &str) = ("openai", "https://bedrock-mantle.eu-central-1.api.aws/openai/v1");
const AZURE: (&str, &str) = ("azure-openai", "https://contoso.openai.azure.com");
const VERTEX: (&str, &str) =
    ("gemini", "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4");

/// One way to have a credential: configuration (`URL` stands for the endpoint), the endpoint's answers,
/// and what it must have been asked, a part of each line for each request.
struct Case {
    upstream: (&'static str, &'static str),
    credential: &'static str,
    answers: &'static [&'static str],
    asked: &'static [&'static [&'static str]],
    had: &'static str,
}

const CASES: [Case; 7] = [
    Case {
        upstream: AWS,
        credential: "{ type: aws, source: instance, endpoint: \"URL/\" }",
        answers: &["session-token", "the-role\n", KEYS],
        asked: &[
            &["PUT /latest/api/token HTTP/1.1", "x-aws-ec2-metadata-token-ttl-seconds: 60"],
            &[
                "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1",
                "x-aws-ec2-metadata-token: session-token",
            ],
            &[
                "GET /latest/meta-data/iam/security-credentials/the-role HTTP/1.1",
                "x-aws-ec2-metadata-token: session-token",
            ],
        ],
        had: "ASIA1 secret-1 session-1",
    },
    Case {
        upstream: AWS,
        credential: "{ type: aws, source: container, endpoint: \"URL/v1/credentials\", token_file: token }",
        answers: &[KEYS],
        asked: &[&["GET /v1/credentials HTTP/1.1", "authorization: token-of-the-file\r\n"]],
        had: "ASIA1 secret-1 session-1",
    },
    Case {
        upstream: AWS,
        credential: "{ type: aws, source: web_identity, endpoint: \"URL/\", token_file: token, role_arn: \"arn:aws:iam::1:role/r\" }",
        answers: &[STS],
        asked: &[&[
            "POST / HTTP/1.1",
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=tollgate&WebIdentityToken=token-of-the-file",
        ]],
        had: "ASIA1 secret-1 session-1",
    },
    Case {
        upstream: AZURE,
        credential: "{ type: entra, source: managed_identity, client_id: who, endpoint: \"URL/metadata/identity/oauth2/token\" }",
        answers: &[AZURE_TOKEN],
        asked: &[&[
            "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=who HTTP/1.1",
            "metadata: true",
        ]],
        had: "token-1",
    },
    Case {
        upstream: AZURE,
        credential: "{ type: entra, source: client_secret, tenant_id: t, client_id: app, client_secret: \"${env:APP}\", endpoint: \"URL/t/oauth2/v2.0/token\" }",
        answers: &[TOKEN],
        asked: &[&[
            "POST /t/oauth2/v2.0/token HTTP/1.1",
            "grant_type=client_credentials&client_id=app&client_secret=app-secret-0123456789&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default",
        ]],
        had: "token-1",
    },
    Case {
        upstream: AZURE,
        credential: "{ type: entra, source: workload_identity, client_id: app, token_file: token, scope: s, endpoint: \"URL/token\" }",
        answers: &[TOKEN],
        asked: &[&[
            "POST /token HTTP/1.1",
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=token-of-the-file&scope=s",
        ]],
        had: "token-1",
    },
    Case {
        upstream: VERTEX,
        credential: "{ type: gcp, source: metadata, endpoint: \"URL/computeMetadata/v1/token\" }",
        answers: &[TOKEN],
        asked: &[&["GET /computeMetadata/v1/token HTTP/1.1", "metadata-flavor: Google"]],
        had: "token-1",
    },
];

#[tokio::test]
async fn each_source_is_asked_as_its_maker_documents() {
    for case in CASES {
        let endpoint = Endpoint::start(case.answers.iter().map(|body| answer(200, body))).await;
        let stage = Stage::new(&[("APP", "app-secret-0123456789")]);
        stage.write("token", "token-of-the-file\n");
        let credential = case.credential.replace("URL", &endpoint.url(""));
        let source = stage.source(&with(case.upstream.0, case.upstream.1, &credential));
        let fresh = source.way.fetch(NOW).await.unwrap_or_else(|trouble| panic!("{credential}: {trouble}"));
        assert_eq!(shown(&fresh), case.had, "{credential}");
        assert_eq!(fresh.expires.map(UnixMillis::get), Some(ENDS), "{credential}");
        let asked = endpoint.asked();
        assert_eq!(asked.len(), case.asked.len(), "{credential}");
        for (request, parts) in asked.iter().zip(case.asked) {
            assert!(
                parts.iter().all(|part| request.contains(part)),
                "{credential}: {request}\nlacks one of {parts:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_the_machines_maker_puts_into_variables_is_used() {
    let endpoint = Endpoint::start([KEYS, AZURE_TOKEN].map(|body| answer(200, body))).await;
    let stage = Stage::new(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.url("/creds")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc"),
        ("IDENTITY_ENDPOINT", &endpoint.url("/msi/token")),
        ("IDENTITY_HEADER", "the-header"),
    ]);
    let cases = [
        (AWS, "{ type: aws, source: container }", ["GET /creds HTTP", "authorization: Basic abc"]),
        (
            AZURE,
            "{ type: entra, source: managed_identity }",
            [
                "GET /msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com HTTP",
                "x-identity-header: the-header",
            ],
        ),
    ];
    for ((dialect, url), credential, parts) in cases {
        let fresh = stage.source(&with(dialect, url, credential)).way.fetch(NOW).await.expect(credential);
        assert_eq!(fresh.expires.map(UnixMillis::get), Some(ENDS), "{credential}");
        let asked = endpoint.asked().pop().expect("a request");
        assert!(parts.iter().all(|part| asked.contains(part)), "{credential}: {asked}");
    }
}

/// The statement that is exchanged for a token is signed by the account's key and says what it should.
#[tokio::test]
async fn a_service_accounts_key_signs_what_it_is_exchanged_by() {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    let key = key.expect("a key");
    let endpoint = Endpoint::start([answer(200, TOKEN)]).await;
    let stage = Stage::new(&[]);
    let file = serde_json::json!({
        "type": "service_account",
        "private_key_id": "k1",
        "private_key": key.serialize_pem(),
        "client_email": "gateway@p.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    stage.write("key.json", &file.to_string());
    let credential = format!(
        "{{ type: gcp, source: service_account, key_file: key.json, endpoint: \"{}\" }}",
        endpoint.url("/token")
    );
    let source = stage.source(&with(VERTEX.0, VERTEX.1, &credential));
    assert_eq!(shown(&source.way.fetch(NOW).await.expect("a token")), "token-1");
    let asked = endpoint.asked().pop().expect("a request");
    let (_, form) = asked
        .split_once("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .expect("the grant");
    let (signed, signature) = form.rsplit_once('.').expect("three parts");
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64");
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key_raw())
        .verify(signed.as_bytes(), &bytes(signature))
        .expect("a signature of the account's key");
    let (header, claims) = signed.split_once('.').expect("two parts");
    let json = |part| serde_json::from_slice::<serde_json::Value>(&bytes(part)).expect("JSON");
    assert_eq!(json(header), serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let issued = NOW.get() / 1_000;
    assert_eq!(
        json(claims),
        serde_json::json!({
            "iss": "gateway@p.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": "https://oauth2.googleapis.com/token",
            "iat": issued,
            "exp": issued + 3_600,
        })
    );
}

#[tokio::test]
async fn files_that_somebody_else_renews_are_read_anew_each_time() {
    let stage = Stage::new(&[]);
    stage.write("token", " first\n");
    let bearer = stage.source(&with(
        "openai",
        "https://a.example/v1",
        "{ type: bearer, source: token_file, token_file: token }",
    ));
    let aws = stage.source(&with(
        AWS.0,
        AWS.1,
        "{ type: aws, source: profile, credentials_file: shared, profile: gateway }",
    ));
    for (token, keys) in [("first", "A S1 -"), ("second", "A S2 T")] {
        stage.write("token", token);
        let session = if keys.ends_with('T') { "aws_session_token = T\n" } else { "" };
        let secret = keys.split(' ').nth(1).expect("three words");
        stage.write("shared", &format!("[default]\naws_access_key_id = X\n[gateway]\naws_access_key_id = A\naws_secret_access_key = {secret}\n{session}"));
        for (source, wanted) in [(&bearer, token), (&aws, keys)] {
            let fresh = source.way.fetch(NOW).await.expect("a file");
            assert_eq!((shown(&fresh).as_str(), fresh.expires), (wanted, None));
        }
    }
    stage.write("token", " \n");
    stage.write("shared", "[default]\naws_access_key_id = X\n");
    for source in [bearer, aws] {
        let trouble = source.way.fetch(NOW).await.expect_err("nothing in it").to_string();
        assert!(trouble.contains("holds no"), "{trouble}");
    }
}

/// Whatever the other side says, no secret of either side is in what people are told.
#[tokio::test]
async fn what_goes_wrong_is_told_by_place_and_status() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/steal\r\ncontent-length: 0\r\n\r\n";
    let cases = [
        (
            answer(401, r#"{"error":"invalid_client","error_description":"app-secret-0123456789"}"#),
            "answered 401 (invalid_client)",
        ),
        (answer(500, "app-secret-0123456789"), "answered 500"),
        (redirect.to_owned(), "answered 302"),
        (answer(200, "token-1"), "holds no access_token"),
        (answer(200, r#"{"access_token":"token-1"}"#), "holds a token without its end"),
        (answer(200, &"x".repeat(100_000)), "was not reached"),
        ("token-1 is no HTTP\r\n\r\n".to_owned(), "was not reached"),
    ];
    for (said, told) in cases {
        let endpoint = Endpoint::start([said.clone()]).await;
        let stage = Stage::new(&[("APP", "app-secret-0123456789")]);
        let credential = format!(
            "{{ type: entra, source: client_secret, tenant_id: t, client_id: a, client_secret: \"${{env:APP}}\", endpoint: \"{}\" }}",
            endpoint.url("/token")
        );
        let source = stage.source(&with(AZURE.0, AZURE.1, &credential));
        let trouble = source.way.fetch(NOW).await.expect_err("no token");
        let (text, debug) = (trouble.to_string(), format!("{trouble:?}"));
        assert!(text.contains(told), "{text}");
        for secret in ["app-secret", "token-1"] {
            assert!(!text.contains(secret) && !debug.contains(secret), "{debug}");
        }
        assert_eq!(endpoint.asked().len(), 1);
    }
}

fn clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    UnixMillis::new(i64::try_from(since.as_millis()).expect("a near time"))
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let watch = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), watch)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"));
}

#[tokio::test]
async fn a_keeper_asks_until_it_has_and_renews_before_the_end() {
    let short = |token: &str| answer(200, &format!(r#"{{"access_token":"{token}","expires_in":3}}"#));
    let answers = [answer(503, ""), short("one"), short("two"), answer(200, TOKEN)];
    let endpoint = Endpoint::start(answers).await;
    let stage = Stage::new(&[]);
    let credential = format!("{{ type: gcp, source: metadata, endpoint: \"{}\" }}", endpoint.url("/token"));
    let source = stage.source(&with(VERTEX.0, VERTEX.1, &credential));
    let cell = Arc::clone(&source.cell);
    let state = || cell.view(Instant::now());
    let keeper = Keeper { sources: move || vec![Arc::clone(&source)], clock, seed: 7 };
    let going = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let goes_on = Arc::clone(&going);
    let keeping = keep(keeper, move || goes_on.load(std::sync::atomic::Ordering::Relaxed));
    let story = async {
        until("the first trouble", || state().trouble.is_some()).await;
        assert_eq!(state().state, CredentialState::Missing);
        until("a token", || state().state == CredentialState::Fresh).await;
        until("the last answer", || endpoint.asked().len() == 4).await;
        until("the long token", || state().left.is_some_and(|left| left > Duration::from_secs(60))).await;
        assert_eq!((state().state, state().trouble), (CredentialState::Fresh, None));
        going.store(false, std::sync::atomic::Ordering::Relaxed);
    };
    tokio::join!(keeping, story);
}

#[test]
fn a_reload_keeps_what_was_issued_unless_it_changes_where_that_came_from() {
    let (stage, live) =
        (Stage::new(&[("APP", "app-secret-0123456789"), ("OTHER", "another-secret-0123456789")]), live());
    let credential = |id: &str, secret: &str| {
        format!(
            "{{ type: entra, source: client_secret, tenant_id: t, client_id: {id}, client_secret: \"${{env:{secret}}}\" }}"
        )
    };
    let compile = |text: String| {
        let compiled = stage.compile(&with(AZURE.0, AZURE.1, &text), &live);
        (Arc::clone(&compiled.sources[0].cell), compiled)
    };
    let (first, _kept) = compile(credential("a", "APP"));
    for (id, secret, same) in [("a", "APP", true), ("b", "APP", false), ("a", "OTHER", false)] {
        let (cell, _compiled) = compile(credential(id, secret));
        assert_eq!(Arc::ptr_eq(&cell, &first), same, "{id} {secret}");
    }
}

#[test]
fn fields_that_do_not_go_together_are_refused_at_their_place() {
    let at = "main.yaml:4:";
    let cases = [
        (AWS, "{ type: aws }", "credential: the field `access_key_id` is missing"),
        (AWS, "{ type: aws, access_key_id: a }", "credential: the field `secret_access_key` is missing"),
        (
            AWS,
            "{ type: aws, source: instance, access_key_id: a }",
            "credential.access_key_id: this type and source have no such field",
        ),
        (
            AWS,
            "{ type: aws, source: metadata }",
            "credential.source: this type needs a `source`, one of: environment, profile, container, instance, web_identity",
        ),
        (AWS, "{ type: aws, source: instanse }", "did you mean `instance`?"),
        (
            AWS,
            "{ type: aws, source: instance, endpont: x }",
            "there is no field `endpont` here; did you mean `endpoint`?",
        ),
        (
            AWS,
            "{ type: aws, source: instance, endpoint: \"http://10.0.0.1/\" }",
            "credential: credentials are fetched by https, or from this machine",
        ),
        (AWS, "{ type: aws, source: web_identity }", "AWS_WEB_IDENTITY_TOKEN_FILE is not set"),
        (AWS, "{ type: aws, source: environment }", "AWS_ACCESS_KEY_ID is not set"),
        (AWS, "{ type: aws, source: container }", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        (
            ("openai", "https://a.example/v1"),
            "{ type: aws, source: instance }",
            "the address names no region to sign for: give `region`",
        ),
        (
            AZURE,
            "{ type: entra }",
            "this type needs a `source`, one of: token_file, managed_identity, client_secret, workload_identity",
        ),
        (
            AZURE,
            "{ type: entra, source: client_secret, tenant_id: \"a/b\", client_id: c, client_secret: \"${env:APP}\" }",
            "`tenant_id` is no id or domain",
        ),
        (
            AZURE,
            "{ type: aws, source: instance }",
            "credential.type: upstreams of this dialect take no such credential",
        ),
        (
            VERTEX,
            "{ type: entra, source: managed_identity }",
            "credential.type: upstreams of this dialect take no such credential",
        ),
        (VERTEX, "{ type: gcp, source: service_account, key_file: none.json }", "cannot read"),
        (VERTEX, "{ type: gcp, source: service_account, key_file: odd.json }", "`private_key` is no RSA key"),
        (VERTEX, "{ type: api_key, source: metadata, value: \"${env:APP}\" }", "this type has no `source`"),
        (VERTEX, "{ type: bearer }", "credential: the field `value` is missing"),
    ];
    let stage = Stage::new(&[("APP", "app-secret-0123456789")]);
    let odd = r#"{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n","client_email":"e","token_uri":"https://oauth2.googleapis.com/token"}"#;
    stage.write("odd.json", odd);
    for ((dialect, url), credential, told) in cases {
        let problems = stage.problems(&with(dialect, url, credential));
        assert!(
            problems.lines().any(|line| line.starts_with(at) && line.contains(told)),
            "{credential}: {problems}"
        );
        assert!(!problems.contains("app-secret"), "{problems}");
    }
}

#[test]
fn a_key_is_a_pair_with_an_id_and_its_secret() {
    let text =
        |keys: &str| format!("teams:\n  - name: t\n    projects:\n      - name: p\n        keys:\n{keys}");
    let key = |name: &str, rest: &str| format!("          - {{ name: {name}, {rest} }}\n");
    let (one, other) =
        ("secret: \"${env:ONE}\", access_key_id: TLG1", "secret: \"${env:TWO}\", access_key_id: TLG1");
    let digest = format!("sha256: {}, access_key_id: TLG1", "ab".repeat(32));
    let cases = [
        (key("a", one), ""),
        (
            key("a", one) + &key("b", other),
            "teams[0].projects[0].keys[1].access_key_id: another key has the id `TLG1`",
        ),
        (key("a", &digest), "keys[0].access_key_id: a key that signs needs its `secret`"),
        (key("a", &one.replace("TLG1", "\"a/b\"")), "keys[0].access_key_id: expected up to 128 letters"),
    ];
    let stage = Stage::new(&[("ONE", "secret-of-one-0123456789"), ("TWO", "secret-of-two-0123456789")]);
    for (keys, told) in cases {
        let problems = stage.problems(&text(&keys));
        assert!(
            if told.is_empty() { problems.is_empty() } else { problems.contains(told) },
            "{keys}: {problems}"
        );
    }
}
