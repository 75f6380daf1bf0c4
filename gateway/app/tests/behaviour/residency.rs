//! An answer that was made elsewhere than declared, and a model that changes silently, reach people;
//! objectives reach monitoring.

use anyhow::{Result, ensure};
use serde_json::json;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::stage::{Stage, chat, text, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_show_is_told_in_the_row_the_metrics_and_an_alert() -> Result<()> {
    // The provider says that it stands in `east`, of the zone `us`.
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.regions.push_str("  - { name: frankfurt, zone: eu }\n");
        config.upstreams = config.upstreams.replace(
            "name: azure-east, dialect: azure-openai, region: east",
            "name: azure-east, dialect: azure-openai, region: frankfurt",
        );
        config.models = config.models.replace(
            "{ name: azure-gpt-5-mini,",
            "{ name: azure-gpt-5-mini, objectives: { success: 99.9% },",
        );
    })?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let admin = stage.gateway.admin();
    let reply = caller.chat(&chat("azure-gpt-5-mini", false)).await?;
    ensure!(reply.status.is_success(), "{}", text(&reply.body));
    let row = admin.row(reply.request_id()).await?;
    ensure!((&row["region"], &row["zone"]) == (&json!("frankfurt"), &json!("us")), "{row}");
    ensure!(row["flags"] == json!(["zone_differs"]), "{row}");

    let other = Behaviour { served_model: Some("gpt-5-mini-2099-01-01".to_owned()), ..Behaviour::default() };
    stage.east.behave(other);
    caller.chat(&chat("azure-gpt-5-mini", false)).await?;
    until("both are told", async || Ok(admin.list("alerts").await?.len() == 2)).await?;
    let alerts = admin.list("alerts").await?;
    let of = |kind: &str| alerts.iter().find(|alert| alert["kind"] == kind).cloned().unwrap_or_default();
    let violation = of("residency_violation");
    ensure!(
        (&violation["upstream"], &violation["declared"], &violation["zone"])
            == (&json!("azure-east"), &json!("eu"), &json!("us")),
        "{violation}"
    );
    ensure!(of("model_changed")["to"] == "gpt-5-mini-2099-01-01", "{alerts:?}");

    let samples = [
        "tollgate_residency_violations_total{upstream=\"azure-east\"} 2",
        "tollgate_served_model_changes_total{",
        "tollgate_slo_burn_rate{objective=\"model/azure-gpt-5-mini/success\",view=\"client\",window=\"5m\"} 0",
    ];
    until("all have their samples", async || {
        let shown = text(&admin.root("/metrics").await?.body);
        Ok(samples.iter().all(|sample| shown.contains(sample)))
    })
    .await?;
    let objectives = admin.list("objectives").await?;
    ensure!(objectives[0]["client"][0]["all"] == 2, "{objectives:?}");
    stage.close().await
}
