//! `generationConfig` into the hub form.

use serde_json::{Number, value::RawValue};

use super::schema;
use crate::hub::{Given, HubEffort, HubFormat, HubRequest, HubThinking, Object, Untranslatable, as_text};

pub(super) fn read(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(mut config) = body.object("generationConfig")? else { return Ok(()) };
    let says_something = |given: &Given<Number>| given.value.as_f64() != Some(0.0);
    request.output_cap = config.count("maxOutputTokens")?;
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    request.top_k = config.number("topK")?;
    request.seed = config.number("seed")?;
    request.presence_penalty = config.number("presencePenalty")?.filter(says_something);
    request.frequency_penalty = config.number("frequencyPenalty")?.filter(says_something);
    request.stop = stop(&mut config)?;
    read_format(&mut config, request)?;
    read_thinking(&mut config, request)?;
    drop_defaults(&mut config);
    request.leftover.extend(config.left());
    Ok(())
}

fn stop(config: &mut Object<'_>) -> Result<Option<Given<Vec<String>>>, Untranslatable> {
    let path = config.path("stopSequences");
    let Some(raw) = config.take("stopSequences") else { return Ok(None) };
    let list = as_text(raw).map(|one| vec![one]).or_else(|| serde_json::from_str(raw.get()).ok());
    let list = list.ok_or_else(|| Untranslatable::malformed(&*path, "must be an array of strings"))?;
    Ok((!list.is_empty()).then(|| Given::new(path, list)))
}

/// The form of the answer; a media type that is neither plain text nor JSON is left over.
fn read_format(config: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let at = config.path("responseMimeType");
    match config.text("responseMimeType")?.as_deref() {
        None | Some("" | "text/plain") => {}
        Some("application/json") => request.format = Some(Given::new(at, HubFormat::Json)),
        Some(_) => request.leftover.push(Given::new(at, RawValue::NULL.to_owned())),
    }
    let path = config.path("responseJsonSchema");
    if let Some(raw) = config.take("responseJsonSchema") {
        Object::read(raw, &path)
            .map_err(|_| Untranslatable::malformed(&*path, "must be a JSON schema, which is an object"))?;
        request.format = Some(Given::new(path, of_schema(raw.to_owned())));
    }
    let path = config.path("responseSchema");
    if let Some(raw) = config.take("responseSchema") {
        let schema = schema::to_json_schema(raw, &path)?;
        request.format = Some(Given::new(path, of_schema(schema)));
    }
    Ok(())
}

/// This API keeps to every schema; strict modes of others take only those that are closed.
fn of_schema(schema: Box<RawValue>) -> HubFormat {
    let strict = Some(schema::is_closed(&schema));
    HubFormat::Schema { name: None, description: None, schema, strict }
}

fn read_thinking(config: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(mut given) = config.object("thinkingConfig")? else { return Ok(()) };
    // Whether thoughts are shown; they are wherever an upstream tells them. Who asks for them and says no
    // more has the model think as it sees fit.
    let path = given.path("includeThoughts");
    if given.flag("includeThoughts")? == Some(true) {
        request.thinking = Some(Given::new(path, HubThinking::Adaptive(None)));
    }
    if let Some(budget) = given.number("thinkingBudget")? {
        let thinking = match (budget.value.as_i64(), budget.value.as_u64()) {
            (Some(-1), _) => HubThinking::Adaptive(None),
            (_, Some(0)) => HubThinking::Off,
            (_, Some(tokens)) => HubThinking::Budget(tokens),
            _ => return Err(Untranslatable::malformed(&*budget.at, "must be a whole number of at least -1")),
        };
        request.thinking = Some(Given::new(budget.at, thinking));
    }
    let path = given.path("thinkingLevel");
    if let Some(level) = given.text("thinkingLevel")? {
        let level = level.to_ascii_lowercase();
        if level != "thinking_level_unspecified" {
            let effort = HubEffort::from_name(&level)
                .ok_or_else(|| Untranslatable::malformed(&*path, "is not known"))?;
            request.thinking = Some(Given::new(path, HubThinking::Effort(effort)));
        }
    }
    request.leftover.extend(given.left());
    Ok(())
}

/// Members whose value is what every other dialect does anyway, and how closely to look at pictures,
/// which is a hint that others do not have.
fn drop_defaults(config: &mut Object<'_>) {
    let defaults: &[(&str, &[&str])] = &[
        ("candidateCount", &["1", "\"1\""]),
        ("responseLogprobs", &["false"]),
        ("responseModalities", &["[\"TEXT\"]", "[\"text\"]", "[]"]),
        ("enableEnhancedCivicAnswers", &["false"]),
        ("audioTimestamp", &["false"]),
    ];
    for (name, values) in defaults {
        config.take_if(name, |value| values.contains(&value));
    }
    config.ignore(&["mediaResolution"]);
}
