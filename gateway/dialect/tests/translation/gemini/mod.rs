//! Generated content on either side.

mod replies;
mod requests_from;
mod requests_to;
mod streams;

use serde_json::Value;

/// The members of one body with those of another.
fn with(base: &Value, more: Value) -> Value {
    let mut members = base.clone();
    members.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
    members
}
