//! What came in: the call as it stood on the wire, and the few members of its body that an answer needs.

mod place;
mod text;

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use place::Place;
use text::Text;

/// The protocol that a call came by.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What a path calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI's older text completions.
    Completions,
    /// OpenAI responses.
    Responses,
    /// OpenAI embeddings.
    Embeddings,
    /// OpenAI moderations.
    Moderations,
    /// Documents by relevance, as Cohere has it.
    Rerank,
    /// OpenAI images, generated or edited.
    Images,
    /// OpenAI text to speech.
    Speech,
    /// OpenAI speech to text.
    Transcriptions,
    /// OpenAI's list of models.
    Models,
    /// Anthropic messages.
    Messages,
    /// Anthropic's token count.
    CountTokens,
    /// Gemini's generated content, in one piece or as a stream.
    Generate,
    /// Gemini's token count.
    CountContents,
    /// Gemini's embedding of one content.
    EmbedContent,
    /// Gemini's embeddings of several contents.
    BatchEmbedContents,
    /// Bedrock's Converse.
    Converse,
    /// The same as a stream.
    ConverseStream,
    /// Bedrock's call of a model in its vendor's words.
    Invoke,
    /// The same as a stream.
    InvokeStream,
    /// Cohere's embeddings.
    Embed,
    /// `HEAD /`, with which Anthropic's tools probe a host.
    Probe,
    /// Nothing that a provider has.
    Unknown,
}

/// A call as it came in, whole.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The protocol.
    pub protocol: Protocol,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names (lower case) and values in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// What the path calls.
    pub operation: Operation,
    /// Whether the path is one of Azure's.
    pub azure: bool,
    /// The model of the body, or the deployment or model in the path.
    pub model: Option<String>,
    /// Whether the body or the path asks for a stream.
    pub stream: bool,
}

impl Incoming {
    /// Places a call: what its path and its body's head say.
    pub(crate) fn new(
        protocol: Protocol,
        method: &str,
        path: &str,
        headers: Vec<(String, String)>,
        body: Bytes,
    ) -> Self {
        let place = Place::of(method, path.split('?').next().unwrap_or_default());
        let head: Head<'_> = serde_json::from_slice(&body).unwrap_or_default();
        let model = place.named.map(Cow::into_owned).or_else(|| head.model.map(Cow::into_owned));
        let stream = place.stream || head.stream.unwrap_or(false);
        Self {
            protocol,
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            operation: place.operation,
            azure: place.azure,
            model,
            stream,
            body,
        }
    }
}

#[derive(Default, Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    stream: Option<bool>,
}

/// The members of a body that an answer needs, for all dialects at once.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked<'a> {
    #[serde(borrow, default)]
    pub(crate) messages: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) input: Option<Text<'a>>,
    #[serde(borrow, default)]
    prompt: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) documents: Option<Text<'a>>,
    #[serde(borrow, default)]
    system: Option<Text<'a>>,
    #[serde(borrow, default)]
    instructions: Option<Text<'a>>,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    max_completion_tokens: Option<u64>,
    #[serde(default)]
    pub(crate) max_output_tokens: Option<u64>,
    #[serde(default)]
    pub(crate) n: Option<u32>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    pub(crate) tools: Option<Vec<Value>>,
    #[serde(default)]
    tool_choice: Option<Value>,
    #[serde(default, rename = "inferenceConfig")]
    inference_config: Option<InferenceConfig>,
    #[serde(default, rename = "toolConfig")]
    tool_config: Option<ToolConfig>,
    #[serde(borrow, default)]
    pub(crate) encoding_format: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) dimensions: Option<usize>,
    #[serde(borrow, default)]
    contents: Option<Text<'a>>,
    #[serde(borrow, default, rename = "systemInstruction")]
    system_instruction: Option<Text<'a>>,
    #[serde(default, rename = "generationConfig")]
    generation_config: Option<GenerationConfig>,
    #[serde(borrow, default)]
    content: Option<Text<'a>>,
    #[serde(default, rename = "outputDimensionality")]
    pub(crate) output_dimensionality: Option<usize>,
    /// The text of a call of Titan's embeddings.
    #[serde(borrow, default, rename = "inputText")]
    input_text: Option<Text<'a>>,
    /// The texts of a call of Cohere's.
    #[serde(borrow, default)]
    pub(crate) texts: Option<Text<'a>>,
    #[serde(default)]
    pub(crate) output_dimension: Option<usize>,
    #[serde(borrow, default)]
    pub(crate) requests: Option<Vec<EmbedAsked<'a>>>,
}

/// One of several contents to be embedded.
#[derive(Debug, Deserialize)]
pub(crate) struct EmbedAsked<'a> {
    #[serde(borrow, default)]
    content: Text<'a>,
    #[serde(default, rename = "outputDimensionality")]
    pub(crate) output_dimensionality: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    #[serde(default)]
    max_output_tokens: Option<u64>,
    #[serde(default)]
    candidate_count: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// What caps a conversation of Bedrock's.
#[derive(Debug, Default, Deserialize)]
struct InferenceConfig {
    #[serde(default, rename = "maxTokens")]
    max_tokens: Option<u64>,
}

/// The tools of a conversation of Bedrock's, or which of its tools Gemini is to call.
#[derive(Debug, Default, Deserialize)]
struct ToolConfig {
    #[serde(default)]
    tools: Vec<Value>,
    #[serde(default, rename = "functionCallingConfig")]
    calling: Option<Value>,
    #[serde(default, rename = "toolChoice")]
    choice: Option<Value>,
}

impl Asked<'_> {
    /// Input tokens: a quarter of the bytes of all message text, rounded up, and each number of a
    /// token list.
    pub(crate) fn input_tokens(&self) -> u64 {
        let parts = [
            &self.messages,
            &self.input,
            &self.prompt,
            &self.system,
            &self.instructions,
            &self.contents,
            &self.system_instruction,
            &self.content,
            &self.input_text,
            &self.texts,
        ];
        let requests = self.requests.iter().flatten().map(|one| &one.content);
        let (bytes, numbers) = parts
            .into_iter()
            .flatten()
            .chain(requests)
            .fold((0, 0), |(bytes, numbers), text| (bytes + text.bytes, numbers + text.numbers));
        bytes.div_ceil(4) + numbers
    }

    /// The cap on output tokens, whatever the dialect calls it.
    pub(crate) fn output_cap(&self) -> Option<u64> {
        let of_gemini = self.generation_config.as_ref().and_then(|config| config.max_output_tokens);
        let of_bedrock = self.inference_config.as_ref().and_then(|config| config.max_tokens);
        let named = self.max_completion_tokens.or(self.max_tokens).or(self.max_output_tokens);
        named.or(of_gemini).or(of_bedrock)
    }

    /// How many answers are asked for.
    pub(crate) fn choices(&self) -> u32 {
        let of_gemini = self.generation_config.as_ref().and_then(|config| config.candidate_count);
        self.n.or(of_gemini).unwrap_or(1).clamp(1, 128)
    }

    pub(crate) fn include_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or(false)
    }

    /// The tool to call: the first one offered, when the last text says "use a tool" or the choice
    /// is forced.
    pub(crate) fn tool(&self) -> Option<&Value> {
        let config = self.tool_config.as_ref();
        let first = self.tools.as_deref().or_else(|| Some(config?.tools.as_slice()))?.first()?;
        let first = first.pointer("/functionDeclarations/0").unwrap_or(first);
        let choice = config.and_then(|config| config.choice.as_ref());
        let forced = match &self.tool_choice {
            None => choice.is_some_and(|choice| choice.get("auto").is_none()),
            Some(Value::String(choice)) => choice == "required",
            Some(Value::Object(choice)) => {
                !matches!(choice.get("type").and_then(Value::as_str), Some("auto" | "none"))
            }
            _ => false,
        };
        let mode = config.and_then(|config| config.calling.as_ref()?.get("mode"));
        let forced = forced || mode.and_then(Value::as_str) == Some("ANY");
        let last = self.messages.as_ref().or(self.input.as_ref()).or(self.contents.as_ref());
        let wanted = last.is_some_and(|text| text.last.contains("use a tool"));
        (forced || wanted).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_measured_and_the_last_one_known() {
        let asked: Asked<'_> = serde_json::from_str(
            r#"{"messages":[{"role":"system","content":"12345678"},
                {"role":"user","content":[{"type":"text","text":"please"},{"type":"text","text":"use a tool\n"}]}],
                "tools":[{"type":"function","function":{"name":"f"}}]}"#,
        )
        .expect("a body");
        assert_eq!(asked.input_tokens(), (8 + 6 + 11u64).div_ceil(4));
        assert!(asked.tool().is_some());
    }

    #[test]
    fn inputs_of_embeddings_are_counted() {
        let cases = [
            (r#"{"input":"abcde"}"#, 1, false, 2),
            (r#"{"input":["ab","cd","e"]}"#, 3, false, 2),
            (r#"{"input":[1,2,3]}"#, 3, true, 3),
            (r#"{"input":[[1,2],[3]]}"#, 2, false, 3),
        ];
        for (body, items, is_token_list, tokens) in cases {
            let asked: Asked<'_> = serde_json::from_str(body).expect(body);
            let input = asked.input.as_ref().expect(body);
            assert_eq!(
                (input.items, input.is_token_list, asked.input_tokens()),
                (items, is_token_list, tokens),
                "{body}"
            );
        }
    }
}
