//! A request of Converse into the hub form.

use serde_json::value::RawValue;

use super::read_blocks::{cache_point, read_blocks};
use crate::{
    hub::{
        Given, HubChoice, HubEffort, HubFormat, HubRequest, HubRole, HubThinking, HubTool, HubTurn, Object,
        Untranslatable,
    },
    wire::Operation,
};

/// Objects with one member whose usual value every other dialect means anyway.
const USUAL: &[(&str, &str, &str)] =
    &[("performanceConfig", "latency", "standard"), ("serviceTier", "type", "default")];

pub(super) fn read(operation: Operation, bytes: &[u8]) -> Result<HubRequest, Untranslatable> {
    let mut body = Object::body(bytes)?;
    let mut request = HubRequest {
        stream: operation == Operation::ConverseStream,
        include_usage: true,
        ..HubRequest::default()
    };
    // But for the end user they are for the logs of the client's own account.
    if let Some(mut metadata) = body.object("requestMetadata")? {
        request.end_user = metadata.text("user_id")?.map(|id| Given::new("requestMetadata.user_id", id));
    }
    read_blocks(&mut body, "system", &mut request.system)?;
    let messages =
        body.items("messages")?.ok_or_else(|| Untranslatable::malformed("messages", "is missing"))?;
    for message in messages {
        read_message(message?, &mut request)?;
    }
    read_inference(&mut body, &mut request)?;
    if let Some(mut config) = body.object("toolConfig")? {
        for tool in config.items("tools")?.into_iter().flatten() {
            read_tool(tool?, &mut request)?;
        }
        read_choice(&mut config, &mut request)?;
        request.leftover.extend(config.left());
    }
    read_output(&mut body, &mut request)?;
    read_fields(&mut body, &mut request)?;
    body.take_if("additionalModelResponseFieldPaths", |paths| paths == "[]");
    for (name, member, usual) in USUAL {
        drop_usual(&mut body, name, member, usual, &mut request)?;
    }
    request.leftover.extend(body.left());
    Ok(request)
}

fn drop_usual(
    body: &mut Object<'_>,
    name: &str,
    member: &str,
    usual: &str,
    request: &mut HubRequest,
) -> Result<(), Untranslatable> {
    let Some(mut given) = body.object(name)? else { return Ok(()) };
    let quoted = format!("\"{usual}\"");
    given.take_if(member, |value| value == quoted);
    request.leftover.extend(given.left());
    Ok(())
}

fn read_message(mut message: Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let role = match &*message.needed_text("role")? {
        "user" => HubRole::User,
        "assistant" => HubRole::Assistant,
        "system" => HubRole::System,
        _ => return Err(Untranslatable::malformed(message.path("role"), "is not known")),
    };
    let at: Box<str> = message.at().into();
    let mut blocks = Vec::new();
    read_blocks(&mut message, "content", &mut blocks)?;
    request.leftover.extend(message.left());
    request.turns.push(HubTurn { at, role, blocks });
    Ok(())
}

fn read_inference(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(mut config) = body.object("inferenceConfig")? else { return Ok(()) };
    request.output_cap = config.count("maxTokens")?;
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    let path = config.path("stopSequences");
    if let Some(raw) = config.take("stopSequences") {
        let list: Vec<String> = serde_json::from_str(raw.get())
            .map_err(|_| Untranslatable::malformed(&*path, "must be an array of strings"))?;
        request.stop = (!list.is_empty()).then(|| Given::new(path, list));
    }
    request.leftover.extend(config.left());
    Ok(())
}

/// A tool of the client's; one of the provider's own is left over. A mark for the cache stands behind the
/// tool that it is for.
fn read_tool(mut tool: Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    if let Some(mark) = cache_point(&mut tool)?
        && let Some(last) = request.tools.last_mut()
    {
        last.cache_mark = Some(mark);
    }
    if let Some(mut spec) = tool.object("toolSpec")? {
        let schema = schema(&mut spec, request)?;
        request.tools.push(HubTool {
            at: spec.at().into(),
            name: spec.needed_text("name")?,
            description: spec.text("description")?,
            schema,
            strict: spec.flag("strict")?,
            cache_mark: None,
        });
        request.leftover.extend(spec.left());
    }
    request.leftover.extend(tool.left());
    Ok(())
}

fn schema(spec: &mut Object<'_>, request: &mut HubRequest) -> Result<Option<Box<RawValue>>, Untranslatable> {
    let Some(mut input) = spec.object("inputSchema")? else { return Ok(None) };
    let path = input.path("json");
    let schema = input.take("json");
    if let Some(raw) = schema {
        Object::read(raw, &path)
            .map_err(|_| Untranslatable::malformed(path, "must be a JSON schema, which is an object"))?;
    }
    request.leftover.extend(input.left());
    Ok(schema.map(ToOwned::to_owned))
}

fn read_choice(config: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(mut choice) = config.object("toolChoice")? else { return Ok(()) };
    let at = choice.at().to_owned();
    let made = if let Some(mut tool) = choice.object("tool")? {
        Some(HubChoice::Named(tool.needed_text("name")?))
    } else if choice.take("any").is_some() {
        Some(HubChoice::Required)
    } else {
        choice.take("auto").map(|_| HubChoice::Auto)
    };
    request.choice = made.map(|made| Given::new(at, made));
    request.leftover.extend(choice.left());
    Ok(())
}

fn read_output(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(mut config) = body.object("outputConfig")? else { return Ok(()) };
    read_effort(&mut config, request)?;
    if let Some(mut format) = config.object("textFormat")? {
        let at = format.at().to_owned();
        format.take_if("type", |kind| kind == "\"json_schema\"");
        if let Some(mut structure) = format.object("structure")?
            && let Some(mut form) = structure.object("jsonSchema")?
        {
            let path = form.path("schema");
            // It is JSON inside a text here.
            let schema = RawValue::from_string(form.needed_text("schema")?)
                .map_err(|_| Untranslatable::malformed(&*path, "is no JSON"))?;
            let (name, description) = (form.text("name")?, form.text("description")?);
            let form_of = HubFormat::Schema { name, description, schema, strict: Some(true) };
            request.format = Some(Given::new(at, form_of));
            request.leftover.extend(form.left());
        }
        request.leftover.extend(format.left());
    }
    request.leftover.extend(config.left());
    Ok(())
}

/// The effort, which stands here or among the model's own members.
fn read_effort(config: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let path = config.path("effort");
    let Some(name) = config.text("effort")? else { return Ok(()) };
    let effort =
        HubEffort::from_name(&name).ok_or_else(|| Untranslatable::malformed(&*path, "is not known"))?;
    let thinking = match request.thinking.take().map(|given| given.value) {
        Some(kept @ (HubThinking::Off | HubThinking::Budget(_))) => kept,
        Some(HubThinking::Adaptive(_)) => HubThinking::Adaptive(Some(effort)),
        Some(HubThinking::Effort(_)) | None => HubThinking::Effort(effort),
    };
    request.thinking = Some(Given::new(path, thinking));
    Ok(())
}

/// Members of the model's own: those that mean the same to others are known, each other one is left over.
fn read_fields(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(mut fields) = body.object("additionalModelRequestFields")? else { return Ok(()) };
    request.top_k = fields.number("top_k")?;
    if let Some(mut inference) = fields.object("inferenceConfig")? {
        request.top_k = inference.number("topK")?.or(request.top_k.take());
        request.leftover.extend(inference.left());
    }
    if let Some(mut given) = fields.object("thinking")? {
        read_thinking(&mut given, request)?;
        // Whether thoughts are shown; they are wherever an upstream tells them.
        given.ignore(&["display"]);
        request.leftover.extend(given.left());
    }
    if let Some(mut config) = fields.object("output_config")? {
        read_effort(&mut config, request)?;
        request.leftover.extend(config.left());
    }
    request.leftover.extend(fields.left());
    Ok(())
}

fn read_thinking(given: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let effort = match request.thinking.take().map(|given| given.value) {
        Some(HubThinking::Effort(effort)) => Some(effort),
        _ => None,
    };
    let path = given.path("budget_tokens");
    let thinking = match &*given.needed_text("type")? {
        "disabled" => HubThinking::Off,
        "adaptive" => HubThinking::Adaptive(effort),
        "enabled" => HubThinking::Budget(
            given.count("budget_tokens")?.ok_or_else(|| Untranslatable::malformed(path, "is missing"))?,
        ),
        _ => return Err(Untranslatable::malformed(given.path("type"), "is not known")),
    };
    request.thinking = Some(Given::new(given.at(), thinking));
    Ok(())
}
