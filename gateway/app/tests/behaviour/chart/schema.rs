//! As much of JSON Schema as the chart's schema uses. A word that is unknown here is a fault.

use serde_json::Value;

/// Where a value breaks its schema.
pub(super) fn faults(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let Some(words) = schema.as_object() else {
        return if schema == &Value::Bool(true) {
            Vec::new()
        } else {
            vec![format!("{path} is not allowed")]
        };
    };
    let mut faults = Vec::new();
    for (word, wanted) in words {
        let keeps = match word.as_str() {
            "$schema" | "title" => true,
            "type" => is_of(value, wanted.as_str().unwrap_or_default()),
            "enum" => wanted.as_array().is_some_and(|allowed| allowed.contains(value)),
            "minimum" => value.as_f64() >= wanted.as_f64(),
            "minLength" => {
                value.as_str().is_some_and(|text| text.len() as u64 >= wanted.as_u64().unwrap_or(1))
            }
            "required" => wanted
                .as_array()
                .into_iter()
                .flatten()
                .all(|name| name.as_str().is_some_and(|name| value.get(name).is_some())),
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    faults.extend(self::faults(wanted, item, &format!("{path}[]")));
                }
                true
            }
            "properties" => {
                for (name, of_field) in wanted.as_object().into_iter().flatten() {
                    if let Some(field) = value.get(name) {
                        faults.extend(self::faults(of_field, field, &format!("{path}.{name}")));
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = &schema["properties"];
                let mut fields = value.as_object().into_iter().flatten();
                wanted == &Value::Bool(true) || fields.all(|(name, _)| known.get(name).is_some())
            }
            _ => false,
        };
        if !keeps {
            faults.push(format!("{path}: {word} {wanted}"));
        }
    }
    faults
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}
