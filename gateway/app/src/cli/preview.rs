//! What an order would do, for people: who moves where, what the receivers have left, who is left behind.

use anyhow::Result;
use serde_json::{Value, json};

use super::output::{self, Format};

const MOVES: [&str; 9] = [
    "team",
    "project",
    "model",
    "from",
    "to",
    "requests_per_minute",
    "tokens_per_minute",
    "price_per_hour",
    "price_per_hour_after",
];
const RECEIVERS: [&str; 10] = [
    "target",
    "requests_per_minute",
    "requests_per_minute_after",
    "tokens_per_minute",
    "tokens_per_minute_after",
    "capacity_tokens_per_minute",
    "in_flight",
    "in_flight_after",
    "max_concurrency",
    "fits",
];
const HOMES: [&str; 3] = ["team", "project", "model"];

/// Prints a preview. CSV is the moves alone.
pub(super) fn show(preview: &Value, format: Format) -> Result<()> {
    if format == Format::Json {
        return output::record(preview, format);
    }
    let total = json!({
        "team": "total",
        "price_per_hour": preview["price_per_hour"],
        "price_per_hour_after": preview["price_per_hour_after"],
    });
    output::rows(&items(&preview["moves"]), &MOVES, Some(&total), format)?;
    if format == Format::Csv {
        return Ok(());
    }
    let tables: [(&str, &str, &[&str]); 3] = [
        ("receivers", "what the receivers have, and would have", &RECEIVERS),
        ("homeless", "who would have no permitted target left; refused without --force", &HOMES),
        ("stays", "who would stay", &HOMES),
    ];
    for (member, title, columns) in tables {
        if preview[member].as_array().is_some_and(|rows| !rows.is_empty()) {
            output::write(format!("\n{title}\n").as_bytes())?;
            output::rows(&items(&preview[member]), columns, None, format)?;
        }
    }
    Ok(())
}

fn items(rows: &Value) -> Value {
    json!({ "items": rows })
}
