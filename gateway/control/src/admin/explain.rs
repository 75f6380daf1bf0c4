//! `GET /explain/{code}`: what an error code means and what to do about it.

use axum::Json;
use serde_json::{Value, json};

use super::{params::Segment, problem::Problem};
use crate::codes::{self, ErrorCode};

/// All codes.
pub(super) async fn list() -> Json<Value> {
    let items: Vec<Value> = codes::all().map(page).collect();
    Json(json!({ "items": items, "next": null }))
}

/// One code's page.
pub(super) async fn one(Segment(code): Segment) -> Result<Json<Value>, Problem> {
    let found = codes::find(&code).ok_or_else(|| {
        let near = codes::nearest(&code).map(|near| format!("; did you mean {}?", near.code));
        Problem::not_found(format!("there is no error code {code:?}{}", near.unwrap_or_default()))
    })?;
    Ok(Json(page(found)))
}

fn page(code: &ErrorCode) -> Value {
    json!({
        "code": code.code,
        // A failure inside a stream that has begun has no status of its own.
        "status": (code.status != 0).then_some(code.status),
        "meaning": code.meaning,
        "remedy": code.remedy,
    })
}
