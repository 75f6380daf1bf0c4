//! Who asks for responses gets them, also where the target has chat completions only or speaks another
//! dialect; and who asks for something else may be served by a target that has responses only.

use serde_json::{Value, json};
use tollgate_accounting::ledger::End;
use tollgate_dialect::{Apis, Dialect};
use tollgate_proxy::InjectUsage;
use tollgate_simulator::{At, Fault, Refusal, Script, Simulator};

use crate::harness::{Answer, Ask, Gateway, Setup, TargetSetup, ledger::outcomes, provider, scripted};

/// What a client asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Client {
    Chat,
    Responses,
    Messages,
}

use Client::{Chat, Messages, Responses};

/// What a target speaks.
type Target = (Dialect, Apis);

const CLAUDE: Target = (Dialect::Anthropic, Apis::Both);
const CHAT_ONLY: Target = (Dialect::OpenAi, Apis::ChatCompletions);
const RESPONSES_ONLY: Target = (Dialect::OpenAi, Apis::Responses);

const WAYS: [(Client, Target); 4] =
    [(Responses, CLAUDE), (Responses, CHAT_ONLY), (Chat, RESPONSES_ONLY), (Messages, RESPONSES_ONLY)];

fn speaking((dialect, apis): Target, simulator: &Simulator) -> TargetSetup {
    TargetSetup { dialect, apis, ..simulator.into() }
}

fn mixed(targets: Vec<TargetSetup>) -> Setup {
    Setup { mixed: true, ..Setup::new(targets) }
}

impl Client {
    fn ask(self, stream: bool) -> Ask {
        self.ask_with(stream, "")
    }

    /// The same with more members, each with a comma before it.
    fn ask_with(self, stream: bool, more: &str) -> Ask {
        let messages = r#"[{"role":"user","content":"Hi."}]"#;
        match self {
            Chat => Ask::chat().body(format!(
                r#"{{"model":"chat","stream":{stream},"stream_options":{{"include_usage":true}},"messages":{messages}{more}}}"#
            )),
            Responses => {
                Ask::post("/v1/responses", format!(r#"{{"model":"chat","stream":{stream},"input":"Hi."{more}}}"#))
            }
            Messages => Ask::messages().body(format!(
                r#"{{"model":"chat","max_tokens":64,"stream":{stream},"messages":{messages}{more}}}"#
            )),
        }
    }

    fn end_mark(self) -> &'static str {
        match self {
            Chat => "data: [DONE]",
            Responses => "event: response.completed",
            Messages => "event: message_stop",
        }
    }

    /// The visible text and the usage (input, output) of an answer.
    fn read(self, answer: &Answer, stream: bool) -> (String, u64, u64) {
        let usage = |usage: &Value| {
            let names = if self == Chat {
                ["prompt_tokens", "completion_tokens"]
            } else {
                ["input_tokens", "output_tokens"]
            };
            let [input, output] = names.map(|name| usage[name].as_u64().expect("a count"));
            (input, output)
        };
        if !stream {
            let body = answer.json();
            let text = match self {
                Chat => "/choices/0/message/content",
                Responses => "/output/0/content/0/text",
                Messages => "/content/0/text",
            };
            let (input, output) = usage(&body["usage"]);
            let text = body.pointer(text).and_then(Value::as_str).expect("a text").to_owned();
            return (text, input, output);
        }
        let (text, told) = match self {
            Chat => ("/choices/0/delta/content", "/usage"),
            Responses => ("/delta", "/response/usage"),
            Messages => ("/delta/text", "/usage"),
        };
        let (mut said, mut counts) = (String::new(), (0, 0));
        for event in events(answer) {
            said.push_str(event.pointer(text).and_then(Value::as_str).unwrap_or_default());
            counts = event.pointer(told).filter(|told| !told.is_null()).map_or(counts, usage);
        }
        (said, counts.0, counts.1)
    }
}

fn events(answer: &Answer) -> Vec<Value> {
    let data = answer.text().lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

fn is_counted(answer: &Answer) -> bool {
    events(answer).iter().enumerate().all(|(place, event)| event["sequence_number"] == place)
}

#[tokio::test]
async fn answers_and_streams_come_as_they_were_asked_for_and_are_metered_by_the_upstreams_figures() {
    for (client, target) in WAYS {
        for stream in [false, true] {
            let provider = provider().await;
            let gateway = Gateway::start(mixed(vec![speaking(target, &provider)]));
            let answer = gateway.send(&client.ask(stream)).await;
            assert_eq!(answer.status, 200, "{client:?} {target:?}: {}", answer.text());
            assert_eq!(
                answer.text().matches(client.end_mark()).count(),
                usize::from(stream),
                "{}",
                answer.text()
            );
            assert!(!(stream && client == Responses) || is_counted(&answer), "{}", answer.text());
            let (text, input, output) = client.read(&answer, stream);
            assert!(!text.is_empty(), "{}", answer.text());
            let told = provider.book().totals().told;
            assert_eq!((input, output), (told.input_tokens, told.output_tokens), "{client:?} {target:?}");
            let ledger = gateway.stop().await;
            let row = ledger.only(End::Completed);
            assert_eq!((row.usage.input_tokens(), row.usage.output_tokens()), (input, output));
        }
    }
}

#[tokio::test]
async fn the_upstream_is_asked_the_way_that_it_has() {
    let cases = [
        (Responses, CLAUDE, "/v1/messages"),
        (Responses, CHAT_ONLY, "/v1/chat/completions"),
        (Chat, RESPONSES_ONLY, "/v1/responses"),
        (Messages, RESPONSES_ONLY, "/v1/responses"),
        (Messages, (Dialect::OpenAi, Apis::Both), "/v1/chat/completions"),
    ];
    for (client, target, path) in cases {
        let provider = provider().await;
        let gateway = Gateway::start(mixed(vec![speaking(target, &provider)]));
        assert_eq!(gateway.send(&client.ask(true)).await.status, 200);
        let call = provider.book().calls().pop().expect("a call");
        assert_eq!(call.path, path, "{client:?} {target:?}");
        let body: Value = serde_json::from_slice(&call.body).expect("JSON");
        assert_eq!(body.get("store"), (path == "/v1/responses").then_some(&json!(false)), "{body}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_refuses_to_be_asked_for_usage_is_not_asked() {
    for (inject_usage, asked) in [(InjectUsage::Always, true), (InjectUsage::Never, false)] {
        let provider = provider().await;
        let target = TargetSetup { inject_usage, ..speaking(CHAT_ONLY, &provider) };
        let gateway = Gateway::start(mixed(vec![target]));
        assert_eq!(gateway.send(&Responses.ask(true)).await.status, 200);
        let call = provider.book().calls().pop().expect("a call");
        let body: Value = serde_json::from_slice(&call.body).expect("JSON");
        assert_eq!(body.get("stream_options").is_some(), asked, "{body}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn where_the_target_has_what_is_asked_for_bytes_pass_as_they_are() {
    let cases = [
        (Responses, Apis::Both, "/v1/responses"),
        (Responses, Apis::Responses, "/v1/responses"),
        (Chat, Apis::ChatCompletions, "/v1/chat/completions"),
    ];
    for (client, apis, path) in cases {
        let provider = provider().await;
        let sent = "{ \"id\":\"x\", \"output\":[ ],\"choices\":[ ], \"usage\":{\"input_tokens\":1,\"output_tokens\":1,\"prompt_tokens\":1,\"completion_tokens\":1}}\n";
        provider.script(Script::json(200, sent));
        let gateway = Gateway::start(mixed(vec![speaking((Dialect::OpenAi, apis), &provider)]));
        let answer = gateway.send(&client.ask(false)).await;
        assert_eq!((answer.status, answer.text()), (200, sent));
        let call = provider.book().calls().pop().expect("a call");
        assert_eq!(call.path, path);
        let asked = String::from_utf8(client.ask(false).body.to_vec()).expect("text");
        let got = String::from_utf8(call.body.to_vec()).expect("text");
        assert_eq!(got, asked.replace(r#""model":"chat""#, r#""model":"gpt-5-mini""#));
        gateway.stop().await;
    }
}

#[tokio::test]
async fn failover_leaves_a_responses_target_before_content_and_the_client_sees_one_clean_answer() {
    let failures = [Script::refusal(Refusal::ServerError), Script::usual().then(Fault::ErrorEvent(0))];
    for failure in failures {
        for second in [CLAUDE, CHAT_ONLY] {
            let (failing, answering) = (scripted(failure.clone()).await, provider().await);
            let first = (Dialect::OpenAi, Apis::Both);
            let gateway =
                Gateway::start(mixed(vec![speaking(first, &failing), speaking(second, &answering)]));
            let answer = gateway.send(&Responses.ask(true)).await;
            assert_eq!(
                (answer.status, answer.header("x-tollgate-attempts")),
                (200, "2"),
                "{}",
                answer.text()
            );
            let kinds: Vec<String> = events(&answer)
                .iter()
                .map(|event| event["type"].as_str().expect("a type").to_owned())
                .collect();
            let count = |kind: &str| kinds.iter().filter(|known| *known == kind).count();
            assert_eq!((count("response.created"), count("response.completed"), count("error")), (1, 1, 0));
            assert!(is_counted(&answer), "{}", answer.text());
            let (text, input, output) = Responses.read(&answer, true);
            assert!(!text.is_empty());
            let told = answering.book().totals().told;
            assert_eq!((input, output), (told.input_tokens, told.output_tokens), "of the one that answered");
            let ledger = gateway.stop().await;
            let row = ledger.only(End::Completed);
            assert_eq!((outcomes(row).len(), outcomes(row)[1]), (2, "ok"));
            assert_eq!(row.usage.output_tokens(), told.output_tokens);
        }
    }
}

#[tokio::test]
async fn an_answer_says_what_was_asked_and_that_it_is_not_kept() {
    let provider = provider().await;
    let gateway = Gateway::start(mixed(vec![speaking(CLAUDE, &provider)]));
    let more = r#","instructions":"Be kind.","store":true,"temperature":0.50,"metadata":{"a":"b"},"tool_choice":"none""#;
    let plain = gateway.send(&Responses.ask_with(false, more)).await.json();
    let streamed = gateway.send(&Responses.ask_with(true, more)).await;
    let streamed = events(&streamed).last().expect("a terminal event")["response"].clone();
    for response in [&plain, &streamed] {
        assert_eq!((&response["object"], &response["status"]), (&json!("response"), &json!("completed")));
        assert_eq!((&response["instructions"], &response["store"]), (&json!("Be kind."), &json!(false)));
        assert_eq!((&response["temperature"], &response["metadata"]), (&json!(0.5), &json!({"a": "b"})));
        assert_eq!(response["tool_choice"], "none");
    }
    // Nobody has it, so that nobody can go on with it.
    let id = plain["id"].as_str().expect("an id");
    let answer =
        gateway.send(&Responses.ask_with(false, &format!(r#","previous_response_id":"{id}""#))).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (404, "response_not_found"));
    assert!(answer.text().contains("store"), "it tells what to look at: {}", answer.text());
    gateway.stop().await;
}

#[tokio::test]
async fn what_only_a_server_with_responses_can_do_is_not_asked_of_another() {
    let provider = provider().await;
    let gateway = Gateway::start(mixed(vec![speaking(CHAT_ONLY, &provider)]));
    for path in ["/v1/responses/compact", "/v1/responses/input_tokens"] {
        let answer = gateway.send(&Ask::post(path, r#"{"model":"chat","input":"Hi."}"#)).await;
        assert_eq!(
            (answer.status, answer.header("x-tollgate-error")),
            (501, "unsupported_operation"),
            "{path}"
        );
    }
    let cases = [
        (r#","truncation":"auto""#, "truncation"),
        (r#","tools":[{"type":"web_search"}]"#, "tools[0]"),
        (r#","top_logprobs":3"#, "top_logprobs"),
    ];
    for (more, param) in cases {
        let answer = gateway.send(&Responses.ask_with(false, more)).await;
        assert_eq!(
            (answer.status, answer.header("x-tollgate-error")),
            (400, "unsupported_parameter"),
            "{more}"
        );
        assert_eq!(answer.json()["error"]["param"], param);
    }
    assert_eq!(provider.book().totals().calls, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_tool_that_the_target_cannot_have_is_left_out_where_the_route_permits_it() {
    let provider = provider().await;
    let may_drop = vec!["tools"];
    let setup = mixed(vec![speaking(CLAUDE, &provider)]);
    let gateway = Gateway::start(Setup { may_drop, max_output_tokens: Some(32_000), ..setup });
    let more = r#","tools":[{"type":"function","name":"shell","strict":false,"parameters":{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"}}},"required":["command"],"additionalProperties":false}},{"type":"custom","name":"apply_patch","format":{"type":"grammar","syntax":"lark","definition":"x"}},{"type":"local_shell"}],"tool_choice":"required","parallel_tool_calls":false,"store":false,"include":["reasoning.encrypted_content"],"reasoning":{"effort":"medium","summary":"auto"},"prompt_cache_key":"k""#;
    let answer = gateway.send(&Responses.ask_with(true, more)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-dropped"), "tools[1],tools[2]");
    let last = events(&answer).pop().expect("a terminal event");
    assert_eq!(
        (&last["type"], &last["response"]["output"][0]["name"]),
        (&json!("response.completed"), &json!("shell"))
    );
    let call = provider.book().calls().pop().expect("a call");
    let body: Value = serde_json::from_slice(&call.body).expect("JSON");
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_that_dies_says_so_and_has_no_end_mark() {
    for (client, target) in WAYS {
        for death in [Fault::Close(At::Chunk(2)), Fault::ErrorEvent(2), Fault::EndEarly(2)] {
            let dying = scripted(Script::usual().then(death)).await;
            let gateway = Gateway::start(mixed(vec![speaking(target, &dying)]));
            let answer = gateway.send(&client.ask(true)).await;
            assert_eq!(answer.status, 200);
            assert!(!answer.text().contains(client.end_mark()), "{}", answer.text());
            let last = events(&answer).pop().expect("an event");
            let said = if client == Responses { &last["message"] } else { &last["error"]["message"] };
            assert!(said.as_str().is_some_and(|said| !said.is_empty()), "{client:?} {target:?}: {last}");
            assert!(client != Responses || is_counted(&answer), "{}", answer.text());
            gateway.stop().await;
        }
    }
}

#[tokio::test]
async fn an_upstreams_refusal_of_the_request_keeps_its_words() {
    for (client, target) in WAYS {
        let refusing = scripted(Script::refusal(Refusal::ContextLength)).await;
        let gateway = Gateway::start(mixed(vec![speaking(target, &refusing)]));
        let answer = gateway.send(&client.ask(false)).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        let error = &answer.json()["error"];
        assert!(error["message"].as_str().is_some_and(|said| said.contains("token")), "{error}");
        gateway.stop().await;
    }
}
