//! The close of a month over the admin API.

use serde_json::{Value, json};
use tollgate_accounting::ledger::LedgerStore;

use crate::fixture::Gateway;

/// A month that has ended wherever this runs.
const MONTH: &str = "2026-06";

fn gateway() -> Gateway {
    let gateway = Gateway::new();
    gateway.add_row("retail", "2026-06-05T10:00:00Z", "1.255");
    gateway.add_row("hr", "2026-06-30T23:59:59Z", "2.25");
    gateway
}

async fn close(gateway: &Gateway, who: &str, body: &Value) -> crate::fixture::Answer {
    gateway.call("POST", "/api/v1/close", who, &body.to_string()).await
}

#[tokio::test]
async fn a_month_is_closed_once_and_its_statements_are_for_those_who_see_their_team() {
    let gateway = gateway();
    let order = json!({ "month": MONTH, "without_reconciliation": "the provider sends no invoice" });
    for who in ["eyes", "ops", "retail-lead"] {
        assert_eq!(close(&gateway, who, &order).await.problem().0, 403, "{who}");
    }
    let closed = close(&gateway, "money", &order).await.json();
    assert_eq!((&closed["closed_by"], &closed["rows"]), (&json!("money"), &json!(2)), "{closed}");
    let file = gateway.data_file("statements/2026-06/team-retail.json").expect("the statement's file");
    let listed = gateway.get("/api/v1/statements", "root").await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed}");
    let own = gateway.get("/api/v1/statements", "retail-lead").await.json();
    assert_eq!(
        (&own["items"][0]["id"], own["items"].as_array().map(Vec::len)),
        (&json!("2026-06.retail"), Some(1))
    );
    let one = gateway.get("/api/v1/statements/2026-06.retail", "retail-lead").await;
    assert_eq!(one.text, file.trim_end(), "as it was sealed");
    assert_eq!(one.json()["totals"][0], json!({ "currency": "USD", "exact": "1.255", "amount": "1.26" }));
    assert_eq!(gateway.get("/api/v1/statements/2026-06.hr", "retail-lead").await.problem().0, 404);
    assert_eq!(gateway.get("/api/v1/statements", "eyes").await.problem().0, 403);
    let again = close(&gateway, "money", &order).await;
    assert_eq!(again.problem(), (409, "conflict".into()));
    assert!(again.text.contains("2026-06 is closed already"), "{}", again.text);
    assert_eq!(gateway.store.audit.lock().iter().filter(|entry| entry.action == "month.close").count(), 1);
}

#[tokio::test]
async fn what_is_no_order_or_cannot_be_closed_changes_nothing() {
    let gateway = gateway();
    let why = "without_reconciliation";
    let cases = [
        (json!({}), 400, "is no month"),
        (json!({ "month": "June", why: "x" }), 400, "\\\"June\\\" is no month"),
        (json!({ "month": MONTH }), 400, "send `invoices`"),
        (json!({ "month": MONTH, why: "  " }), 400, "a reason is needed"),
        (json!({ "month": MONTH, why: "x", "invoices": [{ "files": [] }] }), 400, "exclude each other"),
        (json!({ "month": MONTH, "invoices": [{ "files": [] }] }), 400, "no file"),
        (json!({ "month": MONTH, "acept": "x" }), 400, "unknown field `acept`"),
        (json!({ "month": "2126-06", why: "x" }), 409, "2126-06 has not ended"),
        (json!({ "month": "2026-07", why: "x" }), 409, "2026-06 has rows and is not closed"),
    ];
    for (body, status, told) in cases {
        let answer = close(&gateway, "money", &body).await;
        assert_eq!(answer.problem().0, status, "{body}: {}", answer.text);
        assert!(answer.text.contains(told), "{body}: {}", answer.text);
    }
    assert_eq!(gateway.store.closings().expect("read"), []);
    assert!(gateway.store.audit.lock().is_empty() && gateway.data_file("statements").is_none());
}

#[tokio::test]
async fn an_invoice_that_differs_is_told_and_can_be_accepted() {
    let gateway = gateway();
    let bill = "date,model,cost,currency\n2026-06-05,gpt-5,41.255,USD\n2026-06-30,gpt-5,2.25,USD\n";
    let files = json!([{ "name": "june.csv", "content": bill }]);
    let mut order = json!({ "month": MONTH, "invoices": [{ "files": files }] });
    let refused = close(&gateway, "money", &order).await;
    assert_eq!(refused.problem(), (409, "not_reconciled".into()));
    assert_eq!(refused.json()["errors"], json!(["2026-06-05 gpt-5: undecided, 40 USD"]));
    assert_eq!(gateway.store.closings().expect("read"), []);
    order["accept"] = json!("they have promised a credit note");
    let closed = close(&gateway, "money", &order).await.json();
    assert_eq!(closed["accepted"], "they have promised a credit note", "{closed}");
    assert_eq!(closed["reconciliations"][0]["totals"][0]["difference"], "40");
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_closed() {
    let gateway = gateway();
    gateway.fill_disk();
    let order = json!({ "month": MONTH, "without_reconciliation": "x" });
    assert_eq!(close(&gateway, "money", &order).await.problem(), (503, "ledger_unavailable".into()));
    assert_eq!(gateway.store.closings().expect("read"), []);
}
