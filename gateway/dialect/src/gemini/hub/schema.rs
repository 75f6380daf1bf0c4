//! The API's own schemas (a subset of OpenAPI 3.0) as JSON schemas.
//!
//! Members keep their order and numbers their spelling, since a model reads both.
//! <https://ai.google.dev/api/caching#Schema>

use serde_json::{Value, value::RawValue};

use crate::hub::{Object, Rules, Untranslatable, as_text};

/// Schemas that are nested deeper than this are refused; the API's own bound is lower.
const DEEPEST: u32 = 64;

/// Writes the schema as a JSON schema.
pub(super) fn to_json_schema(raw: &RawValue, at: &str) -> Result<Box<RawValue>, Untranslatable> {
    let mut out = String::with_capacity(raw.get().len());
    schema(raw, at, DEEPEST, &mut out)?;
    Ok(RawValue::from_string(out).expect("a schema is written as valid JSON"))
}

fn schema(raw: &RawValue, at: &str, depth: u32, out: &mut String) -> Result<(), Untranslatable> {
    let depth = depth.checked_sub(1).ok_or_else(|| Untranslatable::malformed(at, "is nested too deeply"))?;
    let mut object = Object::read_by(Rules::Proto, raw, at)?;
    let nullable = object.flag("nullable")?.unwrap_or(false);
    // The order in which members are to be written is a wish that only this API knows.
    object.ignore(&["propertyOrdering"]);
    object.take_if("format", |format| format == "\"enum\"");
    object.take_if("type", |kind| kind.eq_ignore_ascii_case("\"TYPE_UNSPECIFIED\""));
    let mut begun = Begun::new(out, '{');
    for (name, value) in object.into_members().filter(|(_, value)| value.get() != "null") {
        begun.member(renamed(&name), out);
        member(&name, value, &format!("{at}.{name}"), (nullable, depth), out)?;
    }
    out.push('}');
    Ok(())
}

/// Members that have another name in JSON schemas.
fn renamed(name: &str) -> &str {
    match name {
        "example" => "examples",
        "defs" => "$defs",
        "ref" => "$ref",
        same => same,
    }
}

/// The value of a member of a schema that may be nothing or may not.
fn member(
    name: &str,
    value: &RawValue,
    at: &str,
    (nullable, depth): (bool, u32),
    out: &mut String,
) -> Result<(), Untranslatable> {
    match name {
        "type" => push_kind(&kind(value, at)?, nullable, out),
        "enum" => push_enum(value, nullable, out),
        "example" => out.push_str(&format!("[{}]", value.get())),
        "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
            // Whole numbers of 64 bits come as text.
            out.push_str(as_text(value).as_deref().filter(|text| is_whole(text)).unwrap_or(value.get()));
        }
        "items" => schema(value, at, depth, out)?,
        "additionalProperties" if value.get().starts_with('{') => schema(value, at, depth, out)?,
        "anyOf" if nullable => schemas(value, at, depth, Some(r#"{"type":"null"}"#), out)?,
        "anyOf" | "prefixItems" => schemas(value, at, depth, None, out)?,
        "properties" | "defs" | "$defs" => named_schemas(value, at, depth, out)?,
        _ => out.push_str(value.get()),
    }
    Ok(())
}

fn schemas(
    raw: &RawValue,
    at: &str,
    depth: u32,
    last: Option<&str>,
    out: &mut String,
) -> Result<(), Untranslatable> {
    let all: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| Untranslatable::malformed(at, "must be an array"))?;
    let mut begun = Begun::new(out, '[');
    for (place, one) in all.into_iter().enumerate() {
        begun.next(out);
        schema(one, &format!("{at}[{place}]"), depth, out)?;
    }
    if let Some(last) = last {
        begun.next(out);
        out.push_str(last);
    }
    out.push(']');
    Ok(())
}

/// Schemas by names that are the client's own.
fn named_schemas(raw: &RawValue, at: &str, depth: u32, out: &mut String) -> Result<(), Untranslatable> {
    let mut begun = Begun::new(out, '{');
    for (name, one) in Object::read(raw, at)?.into_members() {
        begun.member(&name, out);
        schema(one, &format!("{at}.{name}"), depth, out)?;
    }
    out.push('}');
    Ok(())
}

/// The commas of an object or an array that is being written.
struct Begun(bool);

impl Begun {
    fn new(out: &mut String, bracket: char) -> Self {
        out.push(bracket);
        Self(false)
    }

    fn next(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.0, true) {
            out.push(',');
        }
    }

    fn member(&mut self, name: &str, out: &mut String) {
        self.next(out);
        out.push_str(&Value::from(name).to_string());
        out.push(':');
    }
}

/// The name of a type as JSON schemas have it.
fn kind(raw: &RawValue, at: &str) -> Result<String, Untranslatable> {
    let name = as_text(raw).ok_or_else(|| Untranslatable::malformed(at, "must be the name of a type"))?;
    let name = name.to_ascii_lowercase();
    match &*name {
        "string" | "number" | "integer" | "boolean" | "array" | "object" | "null" => Ok(name),
        _ => Err(Untranslatable::malformed(at, "is not known")),
    }
}

fn push_kind(kind: &str, nullable: bool, out: &mut String) {
    if nullable && kind != "null" {
        out.push_str(&format!("[\"{kind}\",\"null\"]"));
    } else {
        out.push_str(&format!("\"{kind}\""));
    }
}

/// What may be nothing has nothing among its values.
fn push_enum(raw: &RawValue, nullable: bool, out: &mut String) {
    match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
        Ok(mut values) if nullable && values.iter().all(|value| value.get() != "null") => {
            values.push(RawValue::NULL);
            let values: Vec<&str> = values.into_iter().map(RawValue::get).collect();
            out.push_str(&format!("[{}]", values.join(",")));
        }
        _ => out.push_str(raw.get()),
    }
}

fn is_whole(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

/// True for a JSON schema that says of every object that it has all its members and no others: the ones
/// that other vendors' strict modes take.
pub(super) fn is_closed(schema: &RawValue) -> bool {
    serde_json::from_str::<Value>(schema.get()).is_ok_and(|schema| is_closed_value(&schema))
}

fn is_closed_value(schema: &Value) -> bool {
    let Some(members) = schema.as_object() else { return true };
    if let Some(properties) = members.get("properties").and_then(Value::as_object) {
        let required = members.get("required").and_then(Value::as_array);
        let is_required = |name: &String| {
            required.is_some_and(|required| required.iter().any(|known| known.as_str() == Some(name)))
        };
        let is_shut = members.get("additionalProperties") == Some(&Value::Bool(false));
        if !is_shut || !properties.keys().all(is_required) || !properties.values().all(is_closed_value) {
            return false;
        }
    } else if members.get("type").and_then(Value::as_str) == Some("object") {
        return false;
    }
    let below = ["items", "anyOf", "prefixItems", "$defs"].into_iter().filter_map(|name| members.get(name));
    below.into_iter().all(|below| match below {
        Value::Array(all) => all.iter().all(is_closed_value),
        Value::Object(named) if members.get("$defs") == Some(below) => named.values().all(is_closed_value),
        one => is_closed_value(one),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(schema: &str) -> Result<String, String> {
        let raw = RawValue::from_string(schema.to_owned()).expect("JSON");
        to_json_schema(&raw, "s").map(|made| made.get().to_owned()).map_err(|why| why.param().to_owned())
    }

    #[test]
    fn googles_schemas_become_json_schemas_in_the_order_of_their_members() {
        let cases = [
            (r#"{"type":"STRING"}"#, r#"{"type":"string"}"#),
            (r#"{"type":"STRING","nullable":true}"#, r#"{"type":["string","null"]}"#),
            (
                r#"{"type":"STRING","format":"enum","enum":["a"],"nullable":true}"#,
                r#"{"type":["string","null"],"enum":["a",null]}"#,
            ),
            (
                r#"{"type":"ARRAY","items":{"type":"INTEGER"},"min_items":"1","maxItems":2}"#,
                r#"{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":2}"#,
            ),
            (
                r#"{"type":"OBJECT","properties":{"z_b":{"type":"NUMBER","minimum":1.50},"a":{"anyOf":[{"type":"STRING"}],"nullable":true}},"required":["z_b"],"propertyOrdering":["a"]}"#,
                r#"{"type":"object","properties":{"z_b":{"type":"number","minimum":1.50},"a":{"anyOf":[{"type":"string"},{"type":"null"}]}},"required":["z_b"]}"#,
            ),
            (r#"{"type":"TYPE_UNSPECIFIED","example":7}"#, r#"{"examples":[7]}"#),
        ];
        for (schema, want) in cases {
            assert_eq!(made(schema).as_deref(), Ok(want), "{schema}");
        }
    }

    #[test]
    fn what_is_no_schema_is_named() {
        assert_eq!(made("7"), Err("s".to_owned()));
        assert_eq!(made(r#"{"type":"HOLOGRAM"}"#), Err("s.type".to_owned()));
        assert_eq!(made(r#"{"properties":{"a":1}}"#), Err("s.properties.a".to_owned()));
        let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(100), "}".repeat(100));
        assert!(made(&deep).is_err());
    }

    #[test]
    fn only_closed_schemas_are_fit_for_strict_modes() {
        let closed = |schema: &str| is_closed(&RawValue::from_string(schema.to_owned()).expect("JSON"));
        assert!(closed(r#"{"type":"string"}"#));
        assert!(!closed(r#"{"type":"object"}"#));
        assert!(closed(
            r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}"#
        ));
        assert!(!closed(r#"{"type":"object","properties":{"a":{}},"additionalProperties":false}"#));
        assert!(!closed(r#"{"type":"array","items":{"type":"object","properties":{"a":{}}}}"#));
    }
}
