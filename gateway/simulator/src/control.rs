//! Steering over HTTP: `/_sim/…` of a simulator that is a process of its own.
//!
//! - `POST /_sim/script`: a [`Script`] or a list of them, put into the queue
//! - `POST /_sim/always`: a [`Script`] for every call that none of the queue takes; `null` ends it
//! - `POST /_sim/behaviour`: the whole [`Behaviour`]; members left out take their defaults
//! - `GET /_sim/book`: `{"totals": …, "calls": […]}`
//!
//! These calls do not stand in the book.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Plan;
use crate::server::Shared;
use crate::{Behaviour, Incoming, Script};

/// The answer to a control call; none when the path is not one.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming) -> Option<Plan> {
    let path = incoming.path.split('?').next().unwrap_or_default();
    let name = path.strip_prefix("/_sim/")?;
    let done = match (incoming.method.as_str(), name) {
        ("POST", "script") => serde_json::from_slice(&incoming.body).map(|scripts| queue(shared, scripts)),
        ("POST", "always") => serde_json::from_slice(&incoming.body).map(|script| stand(shared, script)),
        ("POST", "behaviour") => {
            serde_json::from_slice(&incoming.body).map(|behaviour| behave(shared, behaviour))
        }
        ("GET", "book") => Ok(json!({ "totals": shared.book.totals(), "calls": shared.book.calls() })),
        _ => return Some(reply(404, &json!({ "error": "unknown control path" }))),
    };
    Some(match done {
        Ok(told) => reply(200, &told),
        Err(error) => reply(400, &json!({ "error": error.to_string() })),
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Script>),
    One(Box<Script>),
}

fn queue(shared: &Shared, scripts: OneOrMany) -> Value {
    let scripts = match scripts {
        OneOrMany::Many(scripts) => scripts,
        OneOrMany::One(script) => vec![*script],
    };
    let queued = scripts.len();
    scripts.into_iter().for_each(|script| shared.push_script(script));
    json!({ "queued": queued })
}

fn stand(shared: &Shared, script: Option<Script>) -> Value {
    let told = json!({ "always": script });
    shared.stand(script);
    told
}

fn behave(shared: &Shared, behaviour: Behaviour) -> Value {
    let told = json!(behaviour);
    *shared.behaviour.write() = behaviour.into();
    told
}

fn reply(status: u16, body: &Value) -> Plan {
    let headers = vec![("content-type".into(), "application/json".into())];
    let mut plan = Plan { status, headers, ..Plan::default() };
    plan.push(std::time::Duration::ZERO, |out| out.extend_from_slice(body.to_string().as_bytes()));
    plan
}
