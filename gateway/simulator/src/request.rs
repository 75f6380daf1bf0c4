//! What came in: the call as it stood on the wire, and the few members of its body that an answer needs.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

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

struct Place<'a> {
    operation: Operation,
    azure: bool,
    /// The deployment or model that the path names.
    named: Option<Cow<'a, str>>,
    /// The path asks for a stream.
    stream: bool,
}

impl<'a> Place<'a> {
    fn of(method: &str, path: &'a str) -> Self {
        if let Some((deployment, rest)) =
            path.strip_prefix("/openai/deployments/").and_then(|rest| rest.split_once('/'))
        {
            let operation = openai(method, rest);
            return Self { operation, azure: true, named: Some(Cow::Borrowed(deployment)), stream: false };
        }
        if let Some(place) = bedrock(method, path).or_else(|| gemini(method, path)) {
            return place;
        }
        let azure_rest = path.strip_prefix("/openai/v1/").or_else(|| path.strip_prefix("/openai/"));
        if let Some(rest) = azure_rest {
            return Self { operation: openai(method, rest), azure: true, named: None, stream: false };
        }
        let path = path.strip_prefix("/anthropic").unwrap_or(path);
        let operation = match (method, path) {
            ("POST", "/v1/messages") => Operation::Messages,
            ("POST", "/v1/messages/count_tokens") => Operation::CountTokens,
            ("GET" | "HEAD", "/") => Operation::Probe,
            _ => path.strip_prefix("/v1/").map_or(Operation::Unknown, |rest| openai(method, rest)),
        };
        Self { operation, azure: false, named: None, stream: false }
    }
}

/// Google hangs a verb on the model, under any version and any project.
fn gemini<'a>(method: &str, path: &'a str) -> Option<Place<'a>> {
    let (_, named) = path.rsplit_once("/models/")?;
    let (model, verb) = named.rsplit_once(':')?;
    let operation = match (method, verb) {
        ("POST", "generateContent" | "streamGenerateContent") => Operation::Generate,
        ("POST", "countTokens") => Operation::CountContents,
        ("POST", "embedContent") => Operation::EmbedContent,
        ("POST", "batchEmbedContents") => Operation::BatchEmbedContents,
        _ => return None,
    };
    let stream = verb == "streamGenerateContent";
    Some(Place { operation, azure: false, named: Some(Cow::Borrowed(model)), stream })
}

/// Amazon asks a model in one verb or another, with its id encoded.
fn bedrock<'a>(method: &str, path: &'a str) -> Option<Place<'a>> {
    let (model, verb) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let operation = match (method, verb) {
        ("POST", "converse") => Operation::Converse,
        ("POST", "converse-stream") => Operation::ConverseStream,
        _ => Operation::Unknown,
    };
    // Of what is encoded in a path, ids of models hold these two.
    let model = model.replace("%3A", ":").replace("%2F", "/");
    let stream = operation == Operation::ConverseStream;
    Some(Place { operation, azure: false, named: Some(Cow::Owned(model)), stream })
}

fn openai(method: &str, rest: &str) -> Operation {
    match (method, rest) {
        ("POST", "chat/completions") => Operation::Chat,
        ("POST", "responses") => Operation::Responses,
        ("POST", "completions") => Operation::Completions,
        ("POST", "embeddings") => Operation::Embeddings,
        ("POST", "moderations") => Operation::Moderations,
        ("POST", "rerank") => Operation::Rerank,
        ("POST", "images/generations" | "images/edits") => Operation::Images,
        ("POST", "audio/speech") => Operation::Speech,
        ("POST", "audio/transcriptions" | "audio/translations") => Operation::Transcriptions,
        ("GET", "models") => Operation::Models,
        _ => Operation::Unknown,
    }
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

/// The tools of a conversation of Bedrock's.
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

/// The text in a value: its size, and its last string.
#[derive(Debug, Default)]
pub(crate) struct Text<'a> {
    bytes: u64,
    numbers: u64,
    /// Elements of the outermost list; 1 for a value that is no list.
    pub(crate) items: usize,
    /// Whether the outermost list is a list of numbers.
    pub(crate) is_token_list: bool,
    is_number: bool,
    last: Cow<'a, str>,
}

impl<'a> Text<'a> {
    fn of(last: Cow<'a, str>) -> Self {
        Self { bytes: last.len() as u64, items: 1, last, ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.numbers += other.numbers;
        self.last = other.last;
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or lists and objects of it")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text::of(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text::of(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Text { numbers: 1, items: 1, is_number: true, ..Text::default() })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Text::default();
        while let Some(item) = list.next_element::<Text<'de>>()? {
            all.is_token_list |= item.is_number;
            all.items += 1;
            all.add(item);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut all = Text { items: 1, ..Text::default() };
        while let Some(member) = members.next_key::<Member>()? {
            match member {
                Member::Text => all.add(members.next_value()?),
                Member::Other => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(all)
    }
}

/// Whether a member of a message or of a part of it holds text.
#[derive(Deserialize)]
#[serde(field_identifier)]
enum Member {
    #[serde(
        rename = "content",
        alias = "text",
        alias = "arguments",
        alias = "output",
        alias = "input",
        alias = "parts"
    )]
    Text,
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_placed() {
        let cases = [
            ("POST", "/v1/chat/completions", Operation::Chat, false, None),
            ("POST", "/openai/deployments/prod/chat/completions", Operation::Chat, true, Some("prod")),
            ("POST", "/v1/completions", Operation::Completions, false, None),
            ("POST", "/openai/deployments/s/audio/speech", Operation::Speech, true, Some("s")),
            ("POST", "/openai/deployments/e/embeddings", Operation::Embeddings, true, Some("e")),
            ("POST", "/openai/v1/responses", Operation::Responses, true, None),
            ("POST", "/openai/responses", Operation::Responses, true, None),
            ("POST", "/model/a.b-v1%3A0/converse", Operation::Converse, false, Some("a.b-v1:0")),
            ("POST", "/model/arn%3Aa%2Fb/converse-stream", Operation::ConverseStream, false, Some("arn:a/b")),
            ("POST", "/v1/messages", Operation::Messages, false, None),
            ("POST", "/anthropic/v1/messages/count_tokens", Operation::CountTokens, false, None),
            ("GET", "/v1/models", Operation::Models, false, None),
            ("GET", "/v1/chat/completions", Operation::Unknown, false, None),
            ("HEAD", "/", Operation::Probe, false, None),
            ("POST", "/v1beta/models/g:generateContent", Operation::Generate, false, Some("g")),
            (
                "POST",
                "/v1/projects/p/locations/l/publishers/google/models/g:countTokens",
                Operation::CountContents,
                false,
                Some("g"),
            ),
            ("POST", "/v1beta/models/e:batchEmbedContents", Operation::BatchEmbedContents, false, Some("e")),
            ("POST", "/v1beta/models/g:dance", Operation::Unknown, false, None),
        ];
        for (method, path, operation, azure, deployment) in cases {
            let place = Place::of(method, path);
            assert_eq!(
                (place.operation, place.azure, place.named.as_deref()),
                (operation, azure, deployment),
                "{path}"
            );
        }
    }

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
