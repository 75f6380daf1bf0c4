//! A request for generated content into the hub form.

use serde_json::value::RawValue;

use super::{
    read_config,
    read_parts::{Conversation, read_parts},
    schema,
};
use crate::{
    hub::{Given, HubChoice, HubRequest, HubRole, HubTool, HubTurn, Object, Rules, Untranslatable},
    wire::Operation,
};

/// Members that change nothing in the answer: the model stands in the path, labels are for bills.
const TELL_NOTHING: &[&str] = &["model", "labels"];
/// Thresholds below which nothing is held back, as other vendors' models do of themselves.
const HOLDS_NOTHING_BACK: &[&str] = &["BLOCK_NONE", "OFF", "HARM_BLOCK_THRESHOLD_UNSPECIFIED"];

pub(super) fn read(operation: Operation, bytes: &[u8]) -> Result<HubRequest, Untranslatable> {
    let mut body = Object::body_by(Rules::Proto, bytes)?;
    body.ignore(TELL_NOTHING);
    let mut request = HubRequest {
        stream: operation == Operation::StreamGenerateContent,
        include_usage: true,
        ..HubRequest::default()
    };
    read_config::read(&mut body, &mut request)?;
    read_system(&mut body, &mut request)?;
    let contents =
        body.items("contents")?.ok_or_else(|| Untranslatable::malformed("contents", "is missing"))?;
    let mut conversation = Conversation::default();
    for content in contents {
        read_content(content?, &mut conversation, &mut request)?;
    }
    for tool in body.items("tools")?.into_iter().flatten() {
        read_tools(tool?, &mut request)?;
    }
    read_tool_config(&mut body, &mut request)?;
    read_safety(&mut body, &mut request)?;
    body.take_if("serviceTier", |tier| matches!(tier, "\"standard\"" | "\"SERVICE_TIER_STANDARD\""));
    body.take_if("store", |store| store == "false");
    request.leftover.extend(body.left());
    Ok(request)
}

fn read_system(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(mut system) = body.object("systemInstruction")? else { return Ok(()) };
    system.ignore(&["role"]);
    read_parts(&mut system, &mut Conversation::default(), &mut request.system)?;
    request.leftover.extend(system.left());
    Ok(())
}

fn read_content(
    mut content: Object<'_>,
    conversation: &mut Conversation,
    request: &mut HubRequest,
) -> Result<(), Untranslatable> {
    let at: Box<str> = content.at().into();
    let role = match content.text("role")?.as_deref() {
        None | Some("" | "user" | "function" | "tool") => HubRole::User,
        Some("model") => HubRole::Assistant,
        Some("system") => HubRole::System,
        Some(_) => return Err(Untranslatable::malformed(content.path("role"), "is not known")),
    };
    let mut blocks = Vec::new();
    read_parts(&mut content, conversation, &mut blocks)?;
    request.leftover.extend(content.left());
    request.turns.push(HubTurn { at, role, blocks });
    Ok(())
}

/// The functions among the tools; what the provider would do itself is left over.
fn read_tools(mut tool: Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    for function in tool.items("functionDeclarations")?.into_iter().flatten() {
        let mut function = function?;
        let made = HubTool {
            at: function.at().into(),
            name: function.needed_text("name")?,
            description: function.text("description")?,
            schema: parameters(&mut function)?,
            strict: None,
            cache_mark: None,
        };
        function.take_if("behavior", |behavior| behavior == "\"BLOCKING\"");
        request.tools.push(made);
        request.leftover.extend(function.left());
    }
    request.leftover.extend(tool.left());
    Ok(())
}

/// The schema of a function's arguments, in either of the API's forms.
fn parameters(function: &mut Object<'_>) -> Result<Option<Box<RawValue>>, Untranslatable> {
    let path = function.path("parametersJsonSchema");
    if let Some(raw) = function.take("parametersJsonSchema") {
        Object::read(raw, &path)
            .map_err(|_| Untranslatable::malformed(path, "must be a JSON schema, which is an object"))?;
        return Ok(Some(raw.to_owned()));
    }
    let path = function.path("parameters");
    function.take("parameters").map(|raw| schema::to_json_schema(raw, &path)).transpose()
}

fn read_tool_config(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(mut config) = body.object("toolConfig")? else { return Ok(()) };
    if let Some(mut calling) = config.object("functionCallingConfig")? {
        let at = calling.at().to_owned();
        let mode = calling.text("mode")?.unwrap_or_default().to_ascii_uppercase();
        let path = calling.path("allowedFunctionNames");
        let allowed: Vec<String> = match calling.take("allowedFunctionNames") {
            None => Vec::new(),
            Some(raw) => serde_json::from_str(raw.get())
                .map_err(|_| Untranslatable::malformed(path, "must be an array of strings"))?,
        };
        calling.take_if("streamFunctionCallArguments", |streams| streams == "false");
        let choice = match &*mode {
            "" | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED" => HubChoice::Auto,
            "NONE" => HubChoice::Nothing,
            "ANY" => match &*allowed {
                [only] => HubChoice::Named(only.clone()),
                _ => HubChoice::Required,
            },
            _ => return Err(Untranslatable::malformed(calling.path("mode"), "is not known")),
        };
        if mode == "VALIDATED" {
            request.tools.iter_mut().for_each(|tool| tool.strict = Some(true));
        }
        // No other dialect has a list of those that may be called: the others are not shown.
        if allowed.len() > usize::from(mode == "ANY") {
            request.tools.retain(|tool| allowed.contains(&tool.name));
        }
        request.choice = Some(Given::new(at, choice));
        request.leftover.extend(calling.left());
    }
    config.take_if("includeServerSideToolInvocations", |include| include == "false");
    request.leftover.extend(config.left());
    Ok(())
}

/// Filters that hold answers back are part of what was asked for; others have none to set.
fn read_safety(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    for setting in body.items("safetySettings")?.into_iter().flatten() {
        let mut setting = setting?;
        let at = setting.at().to_owned();
        let threshold = setting.text("threshold")?.unwrap_or_default();
        if !HOLDS_NOTHING_BACK.contains(&&*threshold) {
            request.leftover.push(Given::new(at, RawValue::NULL.to_owned()));
        }
    }
    Ok(())
}
