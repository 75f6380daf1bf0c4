//! A messages request into the hub form.

use serde_json::value::RawValue;

use crate::hub::{
    Given, HubBlock, HubChoice, HubEffort, HubFormat, HubMedia, HubRequest, HubRole, HubSource, HubThinking,
    HubTool, HubTurn, Items, Object, Sealed, Untranslatable, as_text,
};

pub(super) fn read(bytes: &[u8]) -> Result<HubRequest, Untranslatable> {
    let mut body = Object::body(bytes)?;
    // The model is the route's business, and a cache hint changes no answer.
    body.ignore(&["model", "cache_control"]);
    let mut request = HubRequest {
        output_cap: body.count("max_tokens")?,
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.number("top_k")?,
        stop: stop(&mut body)?,
        stream: body.flag("stream")?.unwrap_or(false),
        include_usage: true,
        ..HubRequest::default()
    };
    read_content(&mut body, "system", &mut request.system)?;
    let messages =
        body.items("messages")?.ok_or_else(|| Untranslatable::malformed("messages", "is missing"))?;
    for message in messages {
        read_message(message?, &mut request)?;
    }
    for tool in body.items("tools")?.into_iter().flatten() {
        read_tool(tool?, &mut request)?;
    }
    read_choice(&mut body, &mut request)?;
    read_thinking(&mut body, &mut request)?;
    read_output_config(&mut body, &mut request)?;
    if let Some(mut metadata) = body.object("metadata")? {
        request.end_user = metadata.text("user_id")?.map(|id| Given::new("metadata.user_id", id));
    }
    body.take_if("service_tier", |tier| matches!(tier, "\"auto\"" | "\"standard_only\""));
    body.take_if("mcp_servers", |servers| servers == "[]");
    request.leftover.extend(body.left());
    Ok(request)
}

fn stop(body: &mut Object<'_>) -> Result<Option<Given<Vec<String>>>, Untranslatable> {
    const AT: &str = "stop_sequences";
    let Some(raw) = body.take(AT) else { return Ok(None) };
    let list: Vec<String> = serde_json::from_str(raw.get())
        .map_err(|_| Untranslatable::malformed(AT, "must be an array of strings"))?;
    Ok((!list.is_empty()).then(|| Given::new(AT, list)))
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
    read_content(&mut message, "content", &mut blocks)?;
    request.leftover.extend(message.left());
    request.turns.push(HubTurn { at, role, blocks });
    Ok(())
}

/// A string, or an array of blocks.
fn read_content(
    object: &mut Object<'_>,
    name: &str,
    blocks: &mut Vec<HubBlock>,
) -> Result<(), Untranslatable> {
    let path = object.path(name);
    let Some(raw) = object.take(name) else { return Ok(()) };
    if let Some(text) = as_text(raw) {
        blocks.push(HubBlock::Text(text));
        return Ok(());
    }
    let items = Items::read(raw, &path)
        .map_err(|_| Untranslatable::malformed(path, "must be a string or an array of blocks"))?;
    for block in items {
        read_block(block?, blocks)?;
    }
    Ok(())
}

fn read_block(mut block: Object<'_>, blocks: &mut Vec<HubBlock>) -> Result<(), Untranslatable> {
    let at: Box<str> = block.at().into();
    let kind = block.needed_text("type")?;
    let read = match &*kind {
        "text" => HubBlock::Text(block.needed_text("text")?),
        "image" => {
            let source = source(&mut block)?;
            HubBlock::Image(HubMedia { at, source, name: None })
        }
        "document" => document(&mut block, at)?,
        "thinking" => HubBlock::Reasoning {
            text: block.text("thinking")?.unwrap_or_default(),
            proof: block.text("signature")?.and_then(Sealed::from_kept),
        },
        "redacted_thinking" => match Sealed::from_kept(block.needed_text("data")?) {
            Some(sealed) => HubBlock::Redacted(sealed),
            None => return Err(Untranslatable::malformed(block.path("data"), "is empty")),
        },
        "tool_use" => HubBlock::ToolUse {
            id: block.needed_text("id")?,
            name: block.needed_text("name")?,
            input: block.take("input").map_or_else(String::new, |input| input.get().to_owned()),
        },
        "tool_result" => {
            let id = block.needed_text("tool_use_id")?;
            let is_error = block.flag("is_error")?.unwrap_or(false);
            let mut result = Vec::new();
            read_content(&mut block, "content", &mut result)?;
            HubBlock::ToolResult { at, id, blocks: result, is_error }
        }
        _ => HubBlock::Foreign(Given::new(at, kind.into())),
    };
    blocks.push(read);
    if let Some(mark) = cache_mark(&mut block)? {
        blocks.push(HubBlock::CacheMark(mark));
    }
    Ok(())
}

/// A cache mark with its lifetime in seconds, where the client says.
fn cache_mark(object: &mut Object<'_>) -> Result<Option<Option<u32>>, Untranslatable> {
    let Some(mut mark) = object.object("cache_control")? else { return Ok(None) };
    Ok(Some(match mark.text("ttl")?.as_deref() {
        Some("1h") => Some(3_600),
        Some("5m") => Some(300),
        _ => None,
    }))
}

fn source(block: &mut Object<'_>) -> Result<HubSource, Untranslatable> {
    let path = block.path("source");
    let mut source = block.object("source")?.ok_or_else(|| Untranslatable::malformed(path, "is missing"))?;
    Ok(match &*source.needed_text("type")? {
        "base64" => {
            let media_type = source.needed_text("media_type")?;
            let base64 = source.needed_text("data")?;
            HubSource::inline((&media_type, source.path("media_type")), (base64, source.path("data")))?
        }
        "text" => HubSource::Text(source.needed_text("data")?),
        "url" => HubSource::Url(source.needed_text("url")?),
        "file" => HubSource::File(source.needed_text("file_id")?),
        _ => return Err(Untranslatable::malformed(source.path("type"), "is not known")),
    })
}

fn document(block: &mut Object<'_>, at: Box<str>) -> Result<HubBlock, Untranslatable> {
    let source = source(block)?;
    let name = block.text("title")?;
    if let Some(mut citations) = block.object("citations")?
        && citations.flag("enabled")?.unwrap_or(false)
    {
        return Ok(HubBlock::Foreign(Given::new(at, "a document to be cited".into())));
    }
    if block.text("context")?.is_some() {
        return Ok(HubBlock::Foreign(Given::new(at, "a document with context".into())));
    }
    Ok(HubBlock::Document(HubMedia { at, source, name }))
}

fn read_tool(mut tool: Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let at: Box<str> = tool.at().into();
    if tool.text("type")?.is_some_and(|kind| kind != "custom") {
        // A tool that the provider runs itself.
        request.leftover.push(Given::new(at, RawValue::NULL.to_owned()));
        return Ok(());
    }
    let path = tool.path("input_schema");
    let schema = tool.take("input_schema");
    if let Some(raw) = schema {
        Object::read(raw, &path)
            .map_err(|_| Untranslatable::malformed(path, "must be a JSON schema, which is an object"))?;
    }
    request.tools.push(HubTool {
        name: tool.needed_text("name")?,
        description: tool.text("description")?,
        schema: schema.map(ToOwned::to_owned),
        strict: tool.flag("strict")?,
        cache_mark: cache_mark(&mut tool)?,
        at,
    });
    request.leftover.extend(tool.left());
    Ok(())
}

fn read_choice(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    const AT: &str = "tool_choice";
    let Some(mut choice) = body.object(AT)? else { return Ok(()) };
    let made = match &*choice.needed_text("type")? {
        "auto" => HubChoice::Auto,
        "any" => HubChoice::Required,
        "none" => HubChoice::Nothing,
        "tool" => HubChoice::Named(choice.needed_text("name")?),
        _ => return Err(Untranslatable::malformed("tool_choice.type", "is not known")),
    };
    request.choice = Some(Given::new(AT, made));
    let path = choice.path("disable_parallel_tool_use");
    let alone = choice.flag("disable_parallel_tool_use")?;
    request.parallel_tools = alone.filter(|alone| *alone).map(|_| Given::new(path, false));
    Ok(())
}

fn read_thinking(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    const AT: &str = "thinking";
    let Some(mut given) = body.object(AT)? else { return Ok(()) };
    let thinking = match &*given.needed_text("type")? {
        "disabled" => HubThinking::Off,
        "adaptive" => HubThinking::Adaptive(None),
        "enabled" => HubThinking::Budget(
            given
                .count("budget_tokens")?
                .ok_or_else(|| Untranslatable::malformed("thinking.budget_tokens", "is missing"))?,
        ),
        _ => return Err(Untranslatable::malformed("thinking.type", "is not known")),
    };
    request.thinking = Some(Given::new(AT, thinking));
    Ok(())
}

fn read_output_config(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(mut config) = body.object("output_config")? else { return Ok(()) };
    if let Some(name) = config.text("effort")? {
        let effort = HubEffort::from_name(&name)
            .ok_or_else(|| Untranslatable::malformed("output_config.effort", "is not known"))?;
        let thinking = match request.thinking.take().map(|given| given.value) {
            Some(kept @ (HubThinking::Off | HubThinking::Budget(_))) => kept,
            Some(HubThinking::Adaptive(_)) => HubThinking::Adaptive(Some(effort)),
            Some(HubThinking::Effort(_)) | None => HubThinking::Effort(effort),
        };
        request.thinking = Some(Given::new("output_config.effort", thinking));
    }
    if let Some(mut format) = config.object("format")? {
        let missing = || Untranslatable::malformed("output_config.format.schema", "is missing");
        let schema = format.take("schema").ok_or_else(missing)?.to_owned();
        let form = HubFormat::Schema { name: None, description: None, schema, strict: Some(true) };
        request.format = Some(Given::new("output_config.format", form));
    }
    request.leftover.extend(config.left());
    Ok(())
}
