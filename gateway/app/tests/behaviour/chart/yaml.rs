//! YAML as values, and back.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// One document.
pub(super) fn parse(text: &str) -> Result<Value> {
    serde_saphyr::from_str(text).with_context(|| format!("no YAML:\n{text}"))
}

/// Every document of a file, empty ones left out.
pub(super) fn documents(text: &str) -> Result<Vec<Value>> {
    let parts = text.split("\n---\n").map(|part| part.trim_start_matches("---\n"));
    parts.filter(|part| !part.trim().is_empty()).map(parse).collect()
}

/// In block style, keys in their order of the alphabet, as Helm writes it.
pub(super) fn write(value: &Value) -> String {
    let mut lines = Vec::new();
    block(value, 0, &mut lines);
    lines.join("\n")
}

fn block(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = " ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            for (name, field) in sorted {
                match is_nested(field) {
                    true => {
                        lines.push(format!("{indent}{}:", scalar(&Value::from(name.as_str()))));
                        let deeper = if field.is_array() { depth } else { depth + 2 };
                        block(field, deeper, lines);
                    }
                    false => lines.push(format!(
                        "{indent}{}: {}",
                        scalar(&Value::from(name.as_str())),
                        scalar(field)
                    )),
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let begin = lines.len();
                block(item, depth + 2, lines);
                if let Some(first) = lines.get_mut(begin) {
                    first.replace_range(depth..depth + 2, "- ");
                }
            }
        }
        other => lines.push(format!("{indent}{}", scalar(other))),
    }
}

fn is_nested(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

/// Text stands without quotes where it can be nothing else.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter))
        && !matches!(
            text.to_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n"
        );
    if is_plain { text.clone() } else { value.to_string() }
}
