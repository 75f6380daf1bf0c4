//! Every call of the OpenAI family that is no conversation: it passes as it came but for the model's
//! name, and what it consumed is counted in whatever its provider counts.

use bytes::Bytes;
use tollgate_accounting::ledger::{End, Entry};
use tollgate_domain::{Units, Usage, UsageSource};
use tollgate_simulator::{Exact, Framing, Piece, Script};

use crate::harness::{Ask, Gateway, Setup, provider, scripted};

/// A call, what its provider answers, and what must be counted.
struct Case {
    path: &'static str,
    content_type: &'static str,
    body: &'static str,
    answer_type: &'static str,
    answer: &'static [u8],
    usage: Usage,
    source: UsageSource,
    /// By arithmetic of the test's own.
    cost: &'static str,
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const FORM: &str = "multipart/form-data; boundary=----B";
pub(crate) const NONE: Usage = Usage::NONE;
const SOUND: &str = "------B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\nID3\"chat\"\r\n\
                     ------B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nchat\r\n------B--\r\n";
const PICTURE: &str = "------B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nchat\r\n\
                       ------B\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\n\r\n\x7fPNG\r\n------B--\r\n";

fn completions() -> [Case; 3] {
    [
        Case {
            path: "/v1/completions",
            content_type: JSON,
            body: r#"{ "model":"chat", "prompt":"Once", "max_tokens": 5 }"#,
            answer_type: JSON,
            answer: br#"{"choices":[{"text":" upon","finish_reason":"length"}],"usage":{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25}}"#,
            usage: Usage { input_uncached: 20, output_text: 5, ..NONE },
            source: UsageSource::Reported,
            cost: "0.00007",
        },
        Case {
            path: "/v1/completions",
            content_type: JSON,
            body: r#"{"model":"chat","prompt":"Once","stream":true,"stream_options":{"include_usage":true}}"#,
            answer_type: EVENTS,
            answer: b"data: {\"choices\":[{\"text\":\" upon\",\"index\":0,\"finish_reason\":null}]}\n\n\
                      data: {\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"stop\"}]}\n\n\
                      data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n",
            usage: Usage { input_uncached: 2, output_text: 1, ..NONE },
            source: UsageSource::Reported,
            cost: "0.000012",
        },
        Case {
            path: "/v1/responses/compact",
            content_type: JSON,
            body: r#"{"model":"chat","input":[]}"#,
            answer_type: JSON,
            answer: br#"{"object":"response.compaction","output":[],"usage":{"input_tokens":141,"output_tokens":3,"total_tokens":144}}"#,
            usage: Usage { input_uncached: 141, output_text: 3, ..NONE },
            source: UsageSource::Reported,
            cost: "0.000171",
        },
    ]
}

fn free_and_ranked() -> [Case; 4] {
    [
        Case {
            path: "/v1/moderations",
            content_type: JSON,
            body: r#"{"model":"chat","input":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}"#,
            answer_type: JSON,
            answer: b"{\n  \"results\": [{\"flagged\": false}]\n}\n",
            usage: NONE,
            source: UsageSource::Reported,
            cost: "0",
        },
        Case {
            path: "/v1/responses/input_tokens",
            content_type: JSON,
            body: r#"{"model":"chat","input":"hello"}"#,
            answer_type: JSON,
            answer: br#"{"object":"response.input_tokens","input_tokens":51}"#,
            usage: NONE,
            source: UsageSource::Reported,
            cost: "0",
        },
        Case {
            path: "/v1/rerank",
            content_type: JSON,
            body: r#"{"model":"chat","query":"q","documents":["a","b"]}"#,
            answer_type: JSON,
            answer: br#"{"results":[{"index":1,"relevance_score":0.9}],"meta":{"billed_units":{"search_units":1}}}"#,
            usage: Usage { units: Units { search_units: 1, ..Units::NONE }, ..NONE },
            source: UsageSource::Reported,
            cost: "0.002",
        },
        Case {
            path: "/v1/rerank",
            content_type: JSON,
            body: r#"{"model":"chat","query":"q","documents":[{"text":"a"}]}"#,
            answer_type: JSON,
            answer: br#"{"model":"gpt-5-mini","usage":{"total_tokens":38,"prompt_tokens":38},"results":[]}"#,
            usage: Usage { input_uncached: 38, ..NONE },
            source: UsageSource::Reported,
            cost: "0.000038",
        },
    ]
}

fn pictures() -> [Case; 4] {
    [
        Case {
            path: "/v1/images/generations",
            content_type: JSON,
            body: r#"{"model":"chat","prompt":"a cat"}"#,
            answer_type: JSON,
            answer: br#"{"data":[{"b64_json":"eA=="}],"usage":{"input_tokens":8,"output_tokens":1000,"total_tokens":1008}}"#,
            usage: Usage {
                input_uncached: 8,
                output_image: 1_000,
                units: Units { images: 1, ..Units::NONE },
                ..NONE
            },
            source: UsageSource::Reported,
            cost: "0.010008",
        },
        Case {
            path: "/v1/images/generations",
            content_type: JSON,
            body: r#"{"model":"chat","prompt":"a cat","stream":true,"partial_images":1}"#,
            answer_type: EVENTS,
            answer: b"event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"eA==\"}\n\n\
                      event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"eA==\",\"usage\":{\"input_tokens\":8,\"output_tokens\":100,\"total_tokens\":108}}\n\n",
            usage: Usage { input_uncached: 8, output_image: 100, ..NONE },
            source: UsageSource::Reported,
            cost: "0.001008",
        },
        Case {
            path: "/v1/images/variations",
            content_type: FORM,
            body: PICTURE,
            answer_type: JSON,
            answer: br#"{"created":1,"data":[{"url":"https://example.com/1"},{"url":"https://example.com/2"}],"usage":{"input_tokens":290,"input_tokens_details":{"image_tokens":290},"output_tokens":50,"total_tokens":340}}"#,
            usage: Usage {
                input_image: 290,
                output_image: 50,
                units: Units { images: 2, ..Units::NONE },
                ..NONE
            },
            source: UsageSource::Reported,
            cost: "0.00079",
        },
        Case {
            path: "/v1/images/edits",
            content_type: FORM,
            body: PICTURE,
            answer_type: JSON,
            answer: br#"{"data":[{"b64_json":"eA=="}],"usage":{"input_tokens":300,"input_tokens_details":{"text_tokens":10,"image_tokens":290},"output_tokens":50,"total_tokens":350}}"#,
            usage: Usage {
                input_uncached: 10,
                input_image: 290,
                output_image: 50,
                units: Units { images: 1, ..Units::NONE },
                ..NONE
            },
            source: UsageSource::Reported,
            cost: "0.0008",
        },
    ]
}

fn sounds() -> [Case; 4] {
    [
        Case {
            path: "/v1/audio/speech",
            content_type: JSON,
            body: r#"{"model":"chat","input":"Hi","voice":"alloy","stream_format":"sse"}"#,
            answer_type: EVENTS,
            answer: b"data: {\"type\":\"speech.audio.delta\",\"audio\":\"eA==\"}\n\n\
                      data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":4,\"output_tokens\":30,\"total_tokens\":34}}\n\n",
            usage: Usage { input_uncached: 4, output_audio: 30, ..NONE },
            source: UsageSource::Reported,
            cost: "0.000304",
        },
        Case {
            path: "/v1/audio/transcriptions",
            content_type: FORM,
            body: SOUND,
            answer_type: JSON,
            answer: br#"{"text":"hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":5,"total_tokens":19}}"#,
            usage: Usage { input_uncached: 4, input_audio: 10, output_text: 5, ..NONE },
            source: UsageSource::Reported,
            cost: "0.000064",
        },
        Case {
            path: "/v1/audio/transcriptions",
            content_type: FORM,
            body: SOUND,
            answer_type: JSON,
            answer: br#"{"text":"hi","usage":{"type":"duration","seconds":90}}"#,
            usage: Usage { units: Units { audio_millis: 90_000, ..Units::NONE }, ..NONE },
            source: UsageSource::Reported,
            cost: "0.009",
        },
        Case {
            path: "/v1/audio/translations",
            content_type: FORM,
            body: SOUND,
            answer_type: JSON,
            answer: br#"{"task":"translate","duration":60.0,"text":"hi"}"#,
            usage: Usage { units: Units { audio_millis: 60_000, ..Units::NONE }, ..NONE },
            source: UsageSource::Reported,
            cost: "0.006",
        },
    ]
}

fn answer(content_type: &'static str, body: &'static [u8]) -> Script {
    Script::exact(Exact {
        status: 200,
        headers: vec![("content-type".into(), content_type.into())],
        pieces: vec![Piece::new(body)],
        framing: Framing::Length,
    })
}

/// The body as the provider must get it: the model's own name where the alias stood, once.
fn forwarded(body: &str) -> String {
    let renamed = body.replacen("\"model\":\"chat\"", "\"model\":\"gpt-5-mini\"", 1);
    renamed.replacen("name=\"model\"\r\n\r\nchat\r\n", "name=\"model\"\r\n\r\ngpt-5-mini\r\n", 1)
}

#[tokio::test]
async fn each_call_passes_and_is_counted_as_its_provider_counts() {
    let cases = completions().into_iter().chain(free_and_ranked()).chain(pictures()).chain(sounds());
    for case in cases {
        let provider = scripted(answer(case.answer_type, case.answer)).await;
        let gateway = Gateway::start(Setup::new([&provider]));
        let ask = Ask::post(case.path, case.body).with("content-type", case.content_type);
        let got = gateway.send(&ask).await;
        let path = case.path;
        assert_eq!((got.status, &got.body[..]), (200, case.answer), "{path}");
        assert_eq!(got.header("content-type"), case.answer_type, "{path}");
        let [call] = &provider.book().calls()[..] else { panic!("{path}: not one call") };
        assert_eq!(call.path, path);
        assert_eq!(std::str::from_utf8(&call.body), Ok(&*forwarded(case.body)), "{path}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!((row.usage, row.usage_source), (case.usage, case.source), "{path}");
        assert_eq!(row.cost.map(|cost| cost.to_string()).as_deref(), Some(case.cost), "{path}");
        assert!(row.flags.names().next().is_none(), "{path}: {:?}", row.flags);
    }
}

#[tokio::test]
async fn sound_passes_byte_for_byte_and_is_charged_by_what_was_to_be_spoken() {
    let sound: &[u8] = b"ID3\x04\0\xff\xfb\"usage\":{\"input_tokens\":9}\r\n\xff";
    let body = r#"{"model":"chat","input":"h\u00e9llo","voice":"alloy"}"#;
    let provider = scripted(answer("audio/mpeg", sound)).await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let got = gateway.send(&Ask::post("/v1/audio/speech", body)).await;
    assert_eq!((got.status, &got.body[..], got.header("content-type")), (200, sound, "audio/mpeg"));
    let ledger = gateway.stop().await;
    let row: &Entry = ledger.only(End::Completed);
    assert_eq!((row.usage.units.characters, row.usage_source), (5, UsageSource::Estimated));
    let spoken = row.meters.iter().find(|meter| meter.meter.as_str() == "character").expect("charged");
    assert_eq!((spoken.quantity, spoken.cost.to_string()), (5, "0.000075".to_owned()));
}

#[tokio::test]
async fn a_form_that_two_could_read_differently_never_leaves() {
    let forms = [
        SOUND.replace("name=\"file\"; filename=\"a.mp3\"", "name=\"model\""),
        SOUND.replace("------B--", "------C--"),
        SOUND.replace("\r\n", "\n"),
        SOUND.replace("\r\n\r\nchat", "\r\nContent-Transfer-Encoding: base64\r\n\r\nchat"),
        SOUND.replace("name=\"model\"", "name=\"other\""),
    ];
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    for form in forms {
        let ask = Ask::post("/v1/audio/transcriptions", Bytes::from(form.clone())).with("content-type", FORM);
        let got = gateway.send(&ask).await;
        assert_eq!((got.status, got.header("x-tollgate-error")), (400, "invalid_request"), "{form}");
    }
    assert_eq!(provider.book().totals().calls, 0);
    gateway.stop().await;
}
