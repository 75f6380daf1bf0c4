//! `GET /objectives`: what is promised, and at which pace what may fail is used up.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};
use tollgate_proxy::{Standing, Subject, View};

use super::AdminState;
use crate::config::file::Percent;

pub(super) async fn list(State(state): State<Arc<AdminState>>) -> Json<Value> {
    let standings = state.live.objectives.standings(state.now().wall);
    let items: Vec<Value> = standings.iter().map(item).collect();
    let recovery = state.reloader.running().document.file.objectives;
    let millis = |span: Option<crate::config::file::Span>| span.map(|span| span.0.as_millis());
    Json(json!({
        "items": items,
        "next": null,
        "recovery": { "rto_ms": millis(recovery.rto), "rpo_ms": millis(recovery.rpo) },
    }))
}

fn item(standing: &Standing) -> Value {
    let objective = &standing.objective;
    let mut item = json!({
        "name": objective.name(),
        "aim": objective.aim.as_str(),
        "goal": Percent { millionths: objective.goal }.to_string(),
        "within_ms": objective.aim.within().map(|within| within.as_millis()),
    });
    match &objective.subject {
        Subject::Model(model) => item["model"] = json!(model),
        Subject::Project(team, project) => {
            item["team"] = json!(team);
            item["project"] = json!(project);
        }
    }
    for view in View::ALL {
        let of_view = standing.measured.iter().filter(|(measured, ..)| *measured == view);
        let windows = of_view.map(|(_, window, counts)| {
            json!({
                "window": window.as_str(),
                "good": counts.good,
                "all": counts.all,
                "burn_rate": objective.burn_permille(*counts).map(decimal),
            })
        });
        item[view.as_str()] = windows.collect();
    }
    item
}

/// Thousandths as a decimal text.
fn decimal(permille: u64) -> String {
    format!("{}.{:03}", permille / 1_000, permille % 1_000)
}
