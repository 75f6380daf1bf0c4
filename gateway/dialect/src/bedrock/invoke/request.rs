//! Requests of InvokeModel: where each vendor has its output cap.

use std::ops::Range;

use crate::{
    bedrock::request::{cap_within, heed, insert},
    head::{Fields, Head, Malformed, end_user},
    peek::{Extent, members},
    splice::{Splices, quoted},
};

/// The names of the output cap among the outermost members, of all vendors.
const CAPS: [&str; 6] = [
    "max_tokens",
    "max_tokens_to_sample",
    "max_completion_tokens",
    "max_gen_len",
    "maxTokens",
    "max_new_tokens",
];

/// Objects that hold it, and its names in them.
const CONFIGS: [(&str, &[&str]); 2] =
    [("inferenceConfig", &["maxTokens", "max_new_tokens"]), ("textGenerationConfig", &["maxTokenCount"])];

/// The names of how many answers are asked for.
const CHOICES: [&str; 3] = ["n", "num_generations", "numResults"];

/// Where models take their output cap, by a piece of their ids; the first one that fits counts. A model
/// that is not here, an embedding one say, gets no cap.
const PLACES: [(&str, &[&str]); 13] = [
    ("anthropic.claude", &["max_tokens"]),
    ("amazon.nova-micro", &["inferenceConfig", "maxTokens"]),
    ("amazon.nova-lite", &["inferenceConfig", "maxTokens"]),
    ("amazon.nova-pro", &["inferenceConfig", "maxTokens"]),
    ("amazon.nova-premier", &["inferenceConfig", "maxTokens"]),
    ("amazon.nova-2-", &["inferenceConfig", "maxTokens"]),
    ("amazon.titan-text", &["textGenerationConfig", "maxTokenCount"]),
    ("meta.llama", &["max_gen_len"]),
    ("mistral.", &["max_tokens"]),
    ("cohere.command", &["max_tokens"]),
    ("ai21.jamba", &["max_tokens"]),
    ("deepseek.", &["max_tokens"]),
    ("openai.gpt-oss", &["max_completion_tokens"]),
];

/// The same by a member that only one vendor's bodies have, for models whose id tells nothing, as those
/// of profiles that an account made itself.
const PLACES_BY_MEMBER: [(&str, &[&str]); 3] = [
    ("anthropic_version", &["max_tokens"]),
    ("inferenceConfig", &["inferenceConfig", "maxTokens"]),
    ("textGenerationConfig", &["textGenerationConfig", "maxTokenCount"]),
];

/// Reads what any vendor's body may say of its output.
pub(crate) fn peek(head: &mut Head, body: &[u8]) -> Result<Extent, Malformed> {
    let mut fields = Fields::new(body);
    members(body, |name, span| {
        if let Some(cap) = known(&CAPS, name) {
            heed(head, fields.whole_number(cap, span)?, 0);
        } else if let Some(choices) = known(&CHOICES, name) {
            head.choices = fields.whole_number(choices, span)?.map_or(1, |member| member.value.max(1));
        } else if let Some((config, names)) = CONFIGS.iter().find(|(known, _)| known.as_bytes() == name) {
            fields.once(config)?;
            cap_within(head, body, span, config, names)?;
        } else if name == b"model" {
            head.model = fields.text("model", span)?;
        } else if name == b"metadata" {
            let raw = fields.raw(&span);
            // Anything but an object is the vendor's to refuse.
            let _ = members(raw, |name, value| {
                if name == b"user_id" {
                    head.end_user = end_user(&raw[value]);
                }
                Ok(())
            });
        }
        Ok(())
    })
}

/// Reads the caps in what a conversation hands on to its model beside its own configuration.
pub(crate) fn further_caps(head: &mut Head, body: &[u8], span: Range<usize>) -> Result<(), Malformed> {
    const OBJECT: &str = "additionalModelRequestFields";
    cap_within(head, body, span.clone(), OBJECT, &CAPS)?;
    let raw = &body[span.clone()];
    let mut configs = Vec::new();
    // Anything but an object was refused just now, but for `null`, which has no members.
    let _ = members(raw, |name, value| {
        if let Some((config, names)) = CONFIGS.iter().find(|(known, _)| known.as_bytes() == name) {
            configs.push((*config, *names, span.start + value.start..span.start + value.end));
        }
        Ok(())
    });
    configs.into_iter().try_for_each(|(config, names, span)| cap_within(head, body, span, config, names))
}

fn known(names: &[&'static str], name: &[u8]) -> Option<&'static str> {
    names.iter().find(|known| known.as_bytes() == name).copied()
}

/// Splices the edits in: the model where the body names one too, and the cap where its vendor has it.
pub(crate) fn edit(head: &Head, body: &[u8], model: Option<&str>, cap: Option<u64>, splices: &mut Splices) {
    if let (Some(model), Some(given)) = (model, &head.model)
        && given.value != model
    {
        splices.replace(given.span.clone(), quoted(model));
    }
    let Some(cap) = cap else { return };
    if let Some(way) = model.and_then(of_model).or_else(|| of_body(body)) {
        insert(body, head.body_end, way, cap, splices);
    }
}

fn of_model(model: &str) -> Option<&'static [&'static str]> {
    PLACES.iter().find(|(piece, _)| model.contains(piece)).map(|(_, way)| *way)
}

fn of_body(body: &[u8]) -> Option<&'static [&'static str]> {
    let mut way = None;
    // The body was scanned before, and nothing stops this visit.
    let _ = members(body, |name, _| {
        let place = PLACES_BY_MEMBER.iter().find(|(known, _)| known.as_bytes() == name);
        way = way.or(place.map(|(_, way)| *way));
        Ok(())
    });
    way
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::{
        bedrock::request::{edited, peek},
        codec::Edits,
        wire::Operation,
    };

    const INVOKE: Operation = Operation::InvokeModel;

    fn edit(model: &str, body: &str) -> String {
        let body = Bytes::from(body.to_owned());
        let head = peek(INVOKE, &body).expect("a fair body");
        let edits = Edits { model: Some(model), output_cap: Some(9), ..Edits::default() };
        String::from_utf8(edited(INVOKE, &head, &body, &edits).to_vec()).expect("text")
    }

    #[test]
    fn the_cap_goes_where_the_models_vendor_has_it() {
        let cases = [
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", r#"{"a":1}"#, r#"{"a":1,"max_tokens":9}"#),
            ("amazon.nova-micro-v1:0", "{}", r#"{"inferenceConfig":{"maxTokens":9}}"#),
            (
                "amazon.titan-text-express-v1",
                r#"{"inputText":"a","textGenerationConfig":{"topP":1}}"#,
                r#"{"inputText":"a","textGenerationConfig":{"topP":1,"maxTokenCount":9}}"#,
            ),
            ("meta.llama3-3-70b-instruct-v1:0", r#"{"prompt":"a"}"#, r#"{"prompt":"a","max_gen_len":9}"#),
            ("meta.llama3-3-70b-instruct-v1:0", r#"{"max_gen_len":null}"#, r#"{"max_gen_len":9}"#),
            ("openai.gpt-oss-120b-1:0", "{}", r#"{"max_completion_tokens":9}"#),
            ("amazon.titan-embed-text-v2:0", r#"{"inputText":"a"}"#, r#"{"inputText":"a"}"#),
            ("cohere.embed-v4:0", r#"{"texts":["a"]}"#, r#"{"texts":["a"]}"#),
            (
                "arn:aws:bedrock:eu-central-1:1:application-inference-profile/x",
                r#"{"anthropic_version":"bedrock-2023-05-31"}"#,
                r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9}"#,
            ),
            ("arn:aws:bedrock:eu-central-1:1:application-inference-profile/x", "{}", "{}"),
        ];
        for (model, body, want) in cases {
            assert_eq!(edit(model, body), want, "{model}");
        }
    }

    #[test]
    fn a_cap_of_any_vendor_is_heeded_and_left_as_it_is() {
        for body in [
            r#"{"max_tokens":5}"#,
            r#"{"prompt":"a","max_gen_len":5}"#,
            r#"{"inferenceConfig":{"max_new_tokens":5}}"#,
            r#"{"textGenerationConfig":{"maxTokenCount":5,"stopSequences":[]}}"#,
            r#"{"max_tokens":5,"max_completion_tokens":4}"#,
        ] {
            let head = peek(INVOKE, body.as_bytes()).expect("a fair body");
            assert_eq!(head.output_cap.map(|cap| cap.value), Some(5), "{body}");
            assert_eq!(edit("us.anthropic.claude-sonnet-5", body), body);
        }
    }

    #[test]
    fn a_body_without_a_byte_passes_and_any_other_is_json() {
        assert_eq!(edit("anthropic.claude-sonnet-5", ""), "");
        assert!(peek(INVOKE, b"hello").is_err());
        assert!(peek(INVOKE, br#"{"max_tokens":1,"max_tokens":2}"#).is_err());
    }

    #[test]
    fn choices_the_end_user_and_a_model_in_the_body_are_seen() {
        let body = br#"{"n":3,"metadata":{"user_id":"u"},"model":"a"}"#;
        let head = peek(Operation::InvokeModelStream, body).expect("a fair body");
        assert_eq!((head.choices, head.end_user.as_deref(), head.stream), (3, Some("u"), true));
        let edited = edit("arn:a/b", r#"{"model":"a"}"#);
        assert_eq!(edited, r#"{"model":"arn:a/b"}"#);
    }
}
