//! Bad input to each API: a clear 4xx in the caller's dialect, nothing sent, nothing reserved, and a row of
//! the refusal.

use std::fmt::Write as _;

use bytes::Bytes;
use tollgate_accounting::ledger::{End, Kind};
use tollgate_dialect::Dialect;
use tollgate_domain::Money;
use tollgate_simulator::{Script, Simulator};

use crate::harness::{
    Answer, Ask, Gateway, Raw, Setup, TargetSetup, provider, scripted,
    setup::{KEY, NEIGHBOUR},
};

/// One API as its clients call it.
#[derive(Clone, Copy)]
struct Face {
    name: &'static str,
    dialect: Dialect,
    path: &'static str,
    /// The same with the key in the query.
    path_with_key: &'static str,
    /// A fair body.
    body: &'static str,
    /// A member that counts, twice.
    twice: &'static str,
    /// The output cap, up to its value.
    cap: &'static str,
    /// What closes it.
    closes: &'static str,
}

const FACES: [Face; 5] = [
    Face {
        name: "chat",
        dialect: Dialect::OpenAi,
        path: "/v1/chat/completions",
        path_with_key: "/v1/chat/completions?key=tg-client-secret",
        body: r#"{"model":"chat","messages":[{"role":"user","content":"Hi."}]}"#,
        twice: r#""model":"claude""#,
        cap: r#""max_completion_tokens":"#,
        closes: "",
    },
    Face {
        name: "responses",
        dialect: Dialect::OpenAi,
        path: "/v1/responses",
        path_with_key: "/v1/responses?key=tg-client-secret",
        body: r#"{"model":"chat","input":"Hi."}"#,
        twice: r#""model":"claude""#,
        cap: r#""max_output_tokens":"#,
        closes: "",
    },
    Face {
        name: "azure",
        dialect: Dialect::AzureOpenAi,
        path: "/openai/deployments/chat/chat/completions?api-version=2024-10-21",
        path_with_key: "/openai/deployments/chat/chat/completions?key=tg-client-secret",
        body: r#"{"model":"chat","messages":[{"role":"user","content":"Hi."}]}"#,
        twice: r#""stream":false,"stream":true"#,
        cap: r#""max_tokens":"#,
        closes: "",
    },
    Face {
        name: "messages",
        dialect: Dialect::Anthropic,
        path: "/v1/messages",
        path_with_key: "/v1/messages?key=tg-client-secret",
        body: r#"{"model":"claude","max_tokens":64,"messages":[{"role":"user","content":"Hi."}]}"#,
        twice: r#""model":"chat""#,
        cap: r#""max_tokens":"#,
        closes: "",
    },
    Face {
        name: "gemini",
        dialect: Dialect::Gemini,
        path: "/v1beta/models/gemini:generateContent",
        path_with_key: "/v1beta/models/gemini:generateContent?key=tg-client-secret",
        body: r#"{"contents":[{"parts":[{"text":"Hi."}]}]}"#,
        twice: r#""generationConfig":{},"generation_config":{}"#,
        cap: r#""generationConfig":{"maxOutputTokens":"#,
        closes: "}",
    },
];

impl Face {
    /// A fair call.
    fn ask(&self) -> Ask {
        Ask::post(self.path, self.body)
    }

    /// The fair body with one more member.
    fn with(&self, member: &str) -> Bytes {
        format!("{},{member}}}", &self.body[..self.body.len() - 1]).into()
    }

    /// The fair body with this output cap.
    fn with_cap(&self, cap: &str) -> Bytes {
        if let Some((before, after)) = self.body.split_once("64,") {
            return format!("{before}{cap},{after}").into();
        }
        self.with(&format!("{}{cap}{}", self.cap, self.closes))
    }

    /// An error of ours, in the shape that this API's clients read.
    fn tells(&self, what: &str, answer: &Answer, status: u16, code: &str) {
        let at = format!("{}, {what}: {}", self.name, answer.text());
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (status, code), "{at}");
        assert_eq!(answer.header("x-tollgate-error-source"), "gateway", "{at}");
        let body = answer.json();
        assert!(body["error"]["message"].as_str().is_some_and(|message| message.len() > 8), "{at}");
        match self.dialect {
            Dialect::OpenAi | Dialect::AzureOpenAi => assert_eq!(body["error"]["code"], code, "{at}"),
            Dialect::Anthropic => {
                assert_eq!(body["type"], "error", "{at}");
                assert!(body["error"]["type"].is_string(), "{at}");
            }
            _ => {
                assert_eq!(body["error"]["code"], status, "{at}");
                assert!(body["error"]["status"].is_string(), "{at}");
                assert_eq!(body["error"]["details"][0]["reason"], code.to_ascii_uppercase(), "{at}");
            }
        }
    }
}

/// What Gemini answers, which the simulated provider does not know by itself.
const GEMINI: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Hi."}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2}}"#;

/// Sends what is fair, and what must get its answer.
async fn passes(face: &Face, provider: &Simulator, gateway: &Gateway, ask: &Ask) {
    if face.dialect == Dialect::Gemini {
        provider.script(Script::json(200, GEMINI));
    }
    let answer = gateway.send(ask).await;
    assert_eq!(answer.status, 200, "{}, {:?}: {}", face.name, ask.headers, answer.text());
}

/// A target in each dialect.
fn targets(provider: &Simulator) -> [TargetSetup; 3] {
    [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini].map(|dialect| TargetSetup {
        dialect,
        name: dialect.as_str().into(),
        ..provider.into()
    })
}

/// Bodies that no API takes, and what is wrong with them.
fn wrong_bodies(face: &Face) -> Vec<(&'static str, Bytes)> {
    let digits = "7".repeat(400);
    let nested = format!(r#""x":{}{}"#, "[".repeat(64), "]".repeat(64));
    let no_text = [&face.body.as_bytes()[..face.body.len() - 1], b",\"x\":[\"\xff\"]}"].concat();
    vec![
        ("a list", "[]".into()),
        ("a text", "\"model\"".into()),
        ("a number", "7".into()),
        ("null", "null".into()),
        ("nothing", "".into()),
        ("two objects", format!("{0}{0}", face.body).into()),
        ("a member twice", face.with(face.twice)),
        ("a cap beyond every double", face.with_cap("1e999")),
        ("a cap of 400 digits", face.with_cap(&digits)),
        ("a cap that is a list", face.with_cap("[1]")),
        ("a cap below zero", face.with_cap("-1")),
        ("a number beyond every double", face.with(r#""temperature":-1e999"#)),
        ("400 digits in depth", face.with(&format!(r#""x":[{{"y":{digits}}}]"#))),
        ("half a surrogate pair", face.with(r#""x":"\ud800""#)),
        ("the other half in depth", face.with(r#""x":[{"y":"a\udc00b"}]"#)),
        ("half a pair as a name", face.with(r#""\ud83d":1"#)),
        ("no UTF-8", no_text.into()),
        ("65 levels", face.with(&nested)),
    ]
}

#[tokio::test]
async fn what_no_api_takes_is_refused_in_the_caller_s_dialect_before_anything_is_sent() {
    let provider = provider().await;
    for face in FACES {
        let gateway = Gateway::start(Setup::new(targets(&provider)));
        let bodies = wrong_bodies(&face);
        let refused = bodies.len();
        for (what, body) in bodies {
            let answer = gateway.send(&face.ask().body(body)).await;
            face.tells(what, &answer, 400, "invalid_request");
            assert_eq!(answer.header("x-should-retry"), "false", "{}, {what}", face.name);
            assert_eq!(gateway.live.quotas.open_reservations(), 0, "{}, {what}", face.name);
        }
        let ledger = gateway.stop().await;
        assert_eq!((ledger.rows.len(), ledger.open), (refused, 0), "{}", face.name);
        for row in &ledger.rows {
            assert_eq!((row.kind, row.status), (Kind::Refusal, 400), "{row:?}");
            assert_eq!(row.error_code.as_deref(), Some("invalid_request"), "{row:?}");
            assert!(row.cost.is_none_or(|cost| cost == Money::ZERO), "{row:?}");
        }
    }
    assert_eq!(provider.book().totals().calls, 0);
}

#[tokio::test]
async fn a_fair_body_passes_at_each_api_so_that_the_refusals_are_for_what_is_wrong() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new(targets(&provider)));
    for face in FACES {
        let fair = [
            face.ask(),
            face.ask().body(face.with(r#""x":[{"y":"\ud83d\ude00 \\ud800"},-1.5e300]"#)),
            face.ask().body(face.with_cap("7")),
        ];
        for ask in fair {
            passes(&face, &provider, &gateway, &ask).await;
        }
    }
    assert_eq!(provider.book().totals().calls, 3 * FACES.len() as u64);
    gateway.stop().await;
}

#[tokio::test]
async fn an_unknown_path_is_answered_in_the_dialect_that_it_looks_like() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new(targets(&provider)));
    let [chat, responses, azure, messages, gemini] = FACES;
    let cases = [
        (chat, Ask::post("/v1/chat/completion", chat.body), "/v1/chat/completions"),
        (responses, Ask::post("/v1/response", responses.body), "/v1/responses"),
        (azure, Ask::post("/openai/deployments/chat/completion", azure.body), "/openai/deployments/chat/"),
        (messages, Ask::post("/anthropic/v1/message", messages.body), "/v1/messages"),
        (gemini, Ask::post("/v1beta/models/gemini:generate", gemini.body), "/v1beta/models/"),
    ];
    for (face, ask, hint) in cases {
        let answer = gateway.send(&ask).await;
        face.tells("an unknown path", &answer, 404, "invalid_request");
        assert!(answer.text().contains(hint), "{}: {}", face.name, answer.text());
    }
    assert_eq!(provider.book().totals().calls, 0);
    // Nobody was asked who calls: there is no project for a row.
    assert!(gateway.stop().await.rows.is_empty());
}

/// Every place for a key, with a key in it.
fn placed(ask: Ask, place: &'static str, secret: &str) -> Ask {
    match place {
        "authorization" => ask.with(place, format!("Bearer {secret}")),
        _ => ask.with(place, secret),
    }
}

#[tokio::test]
async fn keys_that_differ_are_refused_with_both_their_places_and_the_same_one_twice_is_fine() {
    const PLACES: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new(targets(&provider)));
    for face in FACES {
        let bare = face.ask().without("authorization");
        for (n, one) in PLACES.into_iter().enumerate() {
            for other in PLACES.into_iter().skip(n + 1) {
                let with = |secret| placed(placed(bare.clone(), one, KEY), other, secret);
                let differing = gateway.send(&with(NEIGHBOUR)).await;
                face.tells("differing keys", &differing, 401, "invalid_api_key");
                let told = differing.text();
                assert!(told.contains(one) && told.contains(other), "{}: {told}", face.name);
                assert!(!told.contains(KEY) && !told.contains(NEIGHBOUR), "{}: {told}", face.name);
                passes(&face, &provider, &gateway, &with(KEY)).await;
            }
            let in_query = Ask { path: face.path_with_key, ..placed(bare.clone(), one, NEIGHBOUR) };
            let differing = gateway.send(&in_query).await;
            face.tells("another key in the query", &differing, 401, "invalid_api_key");
            assert!(
                differing.text().contains(one) && differing.text().contains("key"),
                "{}",
                differing.text()
            );
        }
    }
    gateway.stop().await;
}

/// What only a translator reads: a target of the caller's dialect would judge it itself.
#[tokio::test]
async fn a_tool_without_a_schema_and_base64_that_is_none_are_found_before_they_are_translated() {
    let chat = |member: &str| {
        format!(r#"{{"model":"chat","messages":[{{"role":"user","content":"Hi."}}],{member}}}"#)
    };
    let shown =
        |part: &str| format!(r#"{{"model":"chat","messages":[{{"role":"user","content":[{part}]}}]}}"#);
    let claude = |member: &str| {
        format!(
            r#"{{"model":"claude","max_tokens":9,"messages":[{{"role":"user","content":"Hi."}}],{member}}}"#
        )
    };
    let read = |part: &str| {
        format!(r#"{{"model":"claude","max_tokens":9,"messages":[{{"role":"user","content":[{part}]}}]}}"#)
    };
    let function = |schema: &str| {
        chat(&format!(r#""tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]"#))
    };
    let custom = |schema: &str| claude(&format!(r#""tools":[{{"name":"f","input_schema":{schema}}}]"#));
    let image = |data: &str| {
        read(&format!(
            r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#
        ))
    };
    let url = |url: &str| shown(&format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#));
    let (of_chat, of_claude) = (FACES[0], FACES[3]);
    let cases = [
        (of_chat, function("7"), "tools[0].function.parameters"),
        (of_chat, function(r#""object""#), "tools[0].function.parameters"),
        (of_chat, function("[{}]"), "tools[0].function.parameters"),
        (of_chat, url("data:image/png;base64,%%%"), "image_url.url"),
        (of_chat, url("data:image/png;base64,QUJDR"), "image_url.url"),
        (of_chat, url("data:image/png,raw"), "image_url.url"),
        (of_chat, chat(r#""tools":7"#), "tools"),
        (of_chat, chat(r#""tool_choice":"sometimes""#), "tool_choice"),
        (of_chat, r#"{"model":"chat","messages":{"role":"user"}}"#.to_owned(), "messages"),
        (of_chat, r#"{"model":"chat","messages":[7]}"#.to_owned(), "messages[0]"),
        (of_claude, custom("7"), "tools[0].input_schema"),
        (of_claude, custom("[]"), "tools[0].input_schema"),
        (of_claude, image("%%%"), "source.data"),
        (of_claude, image(""), "source.data"),
        (of_claude, claude(r#""system":7"#), "system"),
        (of_claude, read(r#"{"type":7}"#), "messages[0].content[0].type"),
        (of_claude, r#"{"model":"claude","max_tokens":9,"messages":"Hi."}"#.to_owned(), "messages"),
    ];
    let provider = provider().await;
    for (face, body, place) in cases {
        // The only target speaks the other dialect.
        let dialect = if face.dialect == Dialect::OpenAi { Dialect::Anthropic } else { Dialect::OpenAi };
        let target = TargetSetup { dialect, ..(&provider).into() };
        let gateway = Gateway::start(Setup { mixed: true, ..Setup::new([target]) });
        let answer = gateway.send(&face.ask().body(body.clone())).await;
        face.tells(&body, &answer, 400, "invalid_request");
        assert!(answer.text().contains(place), "{body}: {}", answer.text());
        assert_eq!(gateway.stop().await.refusal().error_code.as_deref(), Some("invalid_request"), "{body}");
    }
    assert_eq!(provider.book().totals().calls, 0);
}

/// In one dialect the upstream judges what only it reads; its words come back, and nobody is charged.
#[tokio::test]
async fn base64_that_is_none_is_judged_by_an_upstream_of_the_same_dialect_and_costs_nothing() {
    let said = r#"{"error":{"message":"Invalid base64 image_url.","type":"invalid_request_error","param":null,"code":"invalid_base64"}}"#;
    let provider = scripted(Script::json(400, said)).await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let body = r#"{"model":"chat","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,%%%"}}]}]}"#;
    let answer = gateway.send(&Ask::chat().body(body)).await;
    assert_eq!((answer.status, answer.text()), (400, said));
    assert_eq!(answer.header("x-tollgate-error-source"), "upstream");
    let ledger = gateway.stop().await;
    assert_eq!(ledger.only(End::RefusedUpstream).cost, Some(Money::ZERO));
}

/// A body with a picture of so many bytes, in base64.
fn picture(megabytes: usize) -> Bytes {
    let mut body = String::with_capacity((megabytes << 20) + 200);
    body.push_str(
        r#"{"model":"chat","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,"#,
    );
    for _ in 0..megabytes << 10 {
        let _ = write!(body, "{:A<1024}", "");
    }
    body.push_str(r#""}}]}]}"#);
    body.into()
}

/// The head of a call with a body of so many bytes.
fn announced(face: &Face, length: usize) -> Vec<u8> {
    let path = face.path;
    format!(
        "POST {path} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {KEY}\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes()
}

#[tokio::test]
async fn a_picture_of_60_megabytes_is_too_large_until_the_limit_allows_it() {
    let provider = provider().await;
    let body = picture(60);
    let gateway = Gateway::start(Setup::new(targets(&provider)));
    for face in FACES {
        // Only announced: whoever goes on writing may not get to read why nobody reads.
        let mut client = Raw::connect(gateway.address()).await;
        client.write(&announced(&face, body.len())).await;
        let answer = Answer::read(&client.read_to_end().await);
        face.tells("60 MB", &answer, 413, "request_too_large");
    }
    assert_eq!(provider.book().totals().calls, 0);
    let ledger = gateway.stop().await;
    assert!(
        ledger.rows.iter().all(|row| (row.kind, row.status) == (Kind::Refusal, 413)),
        "{:?}",
        ledger.rows
    );
    assert_eq!(ledger.rows.len(), FACES.len());

    let mut setup = Setup::new([&provider]);
    setup.edge.max_body = 96 << 20;
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&Ask::chat().body(body.clone())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(provider.book().calls()[0].body.len(), body.len() + "gpt-5-mini".len() - "chat".len());
    gateway.stop().await.only(End::Completed);
}

#[tokio::test]
async fn a_large_picture_is_translated_whole() {
    let provider = provider().await;
    let target = TargetSetup { dialect: Dialect::Anthropic, ..(&provider).into() };
    let gateway = Gateway::start(Setup { mixed: true, ..Setup::new([target]) });
    let answer = gateway.send(&Ask::chat().body(picture(4))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(provider.book().calls()[0].body.len() >> 20, 4);
    gateway.stop().await.only(End::Completed);
}
