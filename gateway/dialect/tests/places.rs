//! Where an answer says that it was made: each dialect in its own way, most in none.

use tollgate_dialect::{Dialect, Operation};

const CHAT: &str = r#"{"model":"m","choices":[{"message":{"content":"Hi."}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;

/// What a plain answer names, its head being these fields.
fn plain(dialect: Dialect, operation: Operation, head: &[(&str, &str)], body: &str) -> Option<String> {
    let header = |name: &str| head.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let reported = dialect.codec().reply_with(operation, body.as_bytes(), &header);
    reported.place.map(String::from)
}

#[test]
fn a_region_in_the_head_is_the_place_of_answers_of_openais_family_alone() {
    let head = [("x-ms-region", "East US 2")];
    let named = Some("East US 2".to_owned());
    for dialect in [Dialect::OpenAi, Dialect::AzureOpenAi] {
        assert_eq!(plain(dialect, Operation::ChatCompletions, &head, CHAT), named, "{dialect:?}");
        assert_eq!(plain(dialect, Operation::ChatCompletions, &[], CHAT), None, "{dialect:?}");
        assert_eq!(plain(dialect, Operation::ChatCompletions, &[("x-ms-region", "")], CHAT), None);
        let header = |name: &str| (name == "x-ms-region").then_some("East US 2");
        let reader = dialect.codec().reader(Operation::ChatCompletions, false).headed(&header);
        let place = reader.reported().and_then(|reported| reported.place.as_deref());
        assert_eq!(place, named.as_deref(), "a stream of {dialect:?}");
    }
    assert_eq!(plain(Dialect::Gemini, Operation::GenerateContent, &head, "{}"), None);
}

#[test]
fn the_geography_in_the_usage_is_the_place_of_a_messages_answer() {
    let body = |more: &str| {
        format!(r#"{{"model":"m","content":[],"usage":{{"input_tokens":1,"output_tokens":1{more}}}}}"#)
    };
    let cases = [
        (r#","inference_geo":"us""#, Some("us")),
        (r#","iterations":[],"inference_geo":"us""#, Some("us")),
        (r#","inference_geo":"not_available""#, None),
        (r#","inference_geo":null"#, None),
        (r#","inference_geo":7"#, None),
        ("", None),
    ];
    for (more, want) in cases {
        let place = plain(Dialect::Anthropic, Operation::Messages, &[], &body(more));
        assert_eq!(place.as_deref(), want, "{more}");
    }
    let mut reader = Dialect::Anthropic.codec().reader(Operation::Messages, false);
    for event in [
        r#"{"type":"message_start","message":{"model":"m","usage":{"input_tokens":1,"inference_geo":"global"}}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
    ] {
        reader.event(format!("data: {event}\n\n").as_bytes());
    }
    assert_eq!(reader.reported().and_then(|reported| reported.place.as_deref()), Some("global"));
}

#[test]
fn the_model_that_a_router_has_invoked_tells_the_place_of_a_converse_answer() {
    let cases = [
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0", Some("us")),
        ("arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0", Some("eu-west-1")),
        ("amazon.nova-lite-v1:0", None),
    ];
    for (model, want) in cases {
        let body = format!(
            r#"{{"output":{{}},"usage":{{"inputTokens":1,"outputTokens":1}},"trace":{{"promptRouter":{{"invokedModelId":"{model}"}}}}}}"#
        );
        let place = plain(Dialect::Bedrock, Operation::Converse, &[], &body);
        assert_eq!(place.as_deref(), want, "{model}");
    }
}
