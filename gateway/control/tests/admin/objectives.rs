//! Objectives are what the running configuration says.

use serde_json::{Value, json};

use crate::fixture::Gateway;

#[tokio::test]
async fn objectives_follow_the_configuration() {
    let gateway = Gateway::new();
    let nothing = gateway.get("/api/v1/objectives", "eyes").await.json();
    assert_eq!(nothing["items"], json!([]));
    assert_eq!(nothing["recovery"], json!({ "rto_ms": null, "rpo_ms": null }));
    gateway.edit_config(
        "models:\n  - name: gpt\n",
        "objectives: { rto: 5s, rpo: 0s }\nmodels:\n  - name: gpt\n    objectives: { first_token: { within: 2s, share: 95% } }\n",
    );
    gateway.edit_config(
        "      - name: search\n",
        "      - name: search\n        objectives: { success: 99.9% }\n",
    );
    gateway.reload();
    let told = gateway.get("/api/v1/objectives", "eyes").await.json();
    let windows: Value = ["5m", "1h", "6h"]
        .map(|window| json!({ "window": window, "good": 0, "all": 0, "burn_rate": null }))
        .into_iter()
        .collect();
    let model = json!({
        "name": "model/gpt/first_token", "aim": "first_token", "goal": "95%", "within_ms": 2000, "model": "gpt",
        "client": windows, "upstream": windows,
    });
    assert_eq!(told["items"][0], model);
    let project = &told["items"][1];
    assert_eq!(project["name"], "project/retail/search/success");
    assert_eq!((&project["goal"], &project["team"]), (&json!("99.9%"), &json!("retail")));
    assert_eq!(told["recovery"], json!({ "rto_ms": 5000, "rpo_ms": 0 }));
}
