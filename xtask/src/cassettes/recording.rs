//! One recorded exchange, as its JSON file tells it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::Uri;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A recorded exchange.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Recording {
    /// `dialect/file`, without the ending; not in the file itself.
    #[serde(skip)]
    pub(super) name: String,
    pub(super) dialect: String,
    pub(super) request: Request,
    pub(super) response: Response,
    pub(super) usage_expected: Option<Usage>,
    /// A second count that the same answer states, often by a total alone.
    pub(super) usage_alternative: Option<Stated>,
}

/// What the client sent.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Request {
    pub(super) method: String,
    #[serde(deserialize_with = "uri")]
    pub(super) url: Uri,
    #[serde(default)]
    pub(super) headers: Map<String, Value>,
    pub(super) body: Value,
    encoding: Option<String>,
}

/// What the provider answered.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Response {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: Map<String, Value>,
    body: String,
    encoding: Option<String>,
}

/// Token counts; what the answer did not state is zero.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(super) struct Usage {
    #[serde(deserialize_with = "null_is_zero")]
    pub(super) input_tokens: u64,
    #[serde(deserialize_with = "null_is_zero")]
    pub(super) cached_input_tokens: u64,
    #[serde(deserialize_with = "null_is_zero")]
    pub(super) cache_write_tokens: u64,
    #[serde(deserialize_with = "null_is_zero")]
    pub(super) output_tokens: u64,
    #[serde(deserialize_with = "null_is_zero")]
    pub(super) reasoning_tokens: u64,
    #[serde(deserialize_with = "null_is_zero")]
    pub(super) audio_input_tokens: u64,
    #[serde(deserialize_with = "null_is_zero")]
    pub(super) audio_output_tokens: u64,
}

/// Token counts of which only the stated ones count.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Stated {
    input_tokens: Option<u64>,
    cached_input_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    output_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    audio_input_tokens: Option<u64>,
    audio_output_tokens: Option<u64>,
}

impl Stated {
    /// Does `usage` say the same, as far as anything is stated?
    pub(super) fn is_told_by(&self, usage: &Usage) -> bool {
        [
            (self.input_tokens, usage.input_tokens),
            (self.cached_input_tokens, usage.cached_input_tokens),
            (self.cache_write_tokens, usage.cache_write_tokens),
            (self.output_tokens, usage.output_tokens),
            (self.reasoning_tokens, usage.reasoning_tokens),
            (self.audio_input_tokens, usage.audio_input_tokens),
            (self.audio_output_tokens, usage.audio_output_tokens),
        ]
        .into_iter()
        .all(|(stated, told)| stated.is_none_or(|stated| stated == told))
    }
}

fn null_is_zero<'de, D: serde::Deserializer<'de>>(value: D) -> Result<u64, D::Error> {
    Ok(Option::<u64>::deserialize(value)?.unwrap_or(0))
}

fn uri<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Uri, D::Error> {
    String::deserialize(value)?.parse().map_err(serde::de::Error::custom)
}

/// Reads `dir/<dialect>/*.json`, in order of their names.
pub(super) fn read_all(dir: &Path, only: Option<&str>) -> Result<Vec<Recording>> {
    let mut recordings = Vec::new();
    for dialect in sorted_entries(dir)?.iter().filter(|path| path.is_dir()) {
        for file in
            sorted_entries(dialect)?.iter().filter(|path| path.extension().is_some_and(|e| e == "json"))
        {
            let relative = file.strip_prefix(dir).unwrap_or(file).with_extension("");
            let name = relative.to_string_lossy().into_owned();
            if only.is_none_or(|part| name.contains(part)) {
                recordings.push(read(file, name)?);
            }
        }
    }
    Ok(recordings)
}

fn read(file: &Path, name: String) -> Result<Recording> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let recording: Recording =
        serde_json::from_str(&text).with_context(|| format!("{} is no recording", file.display()))?;
    Ok(Recording { name, ..recording })
}

fn sorted_entries(dir: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut paths = fs::read_dir(dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

impl Request {
    /// The body's bytes, where it is no JSON but was recorded as bytes.
    pub(super) fn form(&self) -> Option<Vec<u8>> {
        let text = self.body.as_str().filter(|_| self.encoding.as_deref() == Some("base64"))?;
        BASE64_STANDARD.decode(text).ok()
    }
}

impl Response {
    /// The body's length as it stands in the file.
    pub(super) fn length(&self) -> usize {
        self.body.len()
    }

    /// The body's bytes, as the provider sent them.
    pub(super) fn bytes(&self) -> Result<Bytes> {
        match self.encoding.as_deref() {
            None => Ok(Bytes::from(self.body.clone())),
            Some("base64") => {
                Ok(BASE64_STANDARD.decode(&self.body).context("bad base64 in the answer")?.into())
            }
            Some(other) => anyhow::bail!("unknown body encoding {other}"),
        }
    }
}

/// Recorded headers as pairs in lower case; a header that came several times is several pairs.
pub(super) fn header_pairs(headers: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    headers
        .iter()
        .flat_map(|(name, value)| {
            let values =
                value.as_array().map_or_else(|| vec![text(value)], |all| all.iter().map(text).collect());
            values.into_iter().map(|value| (name.to_ascii_lowercase(), value))
        })
        .collect()
}
