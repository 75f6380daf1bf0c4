//! Operators look before they leap, end what hangs, and move a region's requests to another.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollgate_simulator::Behaviour;
use tollgate_test_support::{Admin, Caller, ConfigText};

use crate::{
    load::open_stream,
    stage::{Stage, chat, text, until},
};

/// Requests by project: anywhere, in `us` only, in `eu` only.
const LOAD: [(&str, usize); 3] = [("anywhere", 1_600), ("american", 300), ("european", 100)];
const CLIENTS: usize = 16;

/// Four regions in three zones before the two providers: the model prefers `east`; behind it `west` and
/// `south` share a level; `north` is the last.
fn four_regions(config: &mut ConfigText) {
    let upstream = |name: &str, like: &str| {
        let line = config.upstreams.lines().find(|line| line.contains(&format!("name: openai-{like},")));
        let line =
            line.expect("it stands there").replace(&format!("openai-{like}"), &format!("openai-{name}"));
        line.replace(&format!("region: {like}"), &format!("region: {name}")) + "\n"
    };
    let more = upstream("south", "west") + &upstream("north", "west");
    config.upstreams.push_str(&more);
    config.regions.push_str("  - { name: south, zone: ca }\n  - { name: north, zone: eu }\n");
    let target = |region: &str, priority: u32| {
        format!("{{ upstream: openai-{region}, model: gpt-5-mini, priority: {priority} }}")
    };
    let targets = [target("east", 1), target("west", 2), target("south", 2), target("north", 3)].join(", ");
    config.models = format!("models:\n  - {{ name: gpt-5-mini, balance: weighted, targets: [{targets}] }}\n");
    let zones = ["[us, ca, eu]", "[us]", "[eu]"];
    config.teams = "teams:\n  - name: retail\n    projects:\n".to_owned();
    for ((project, _), zones) in LOAD.iter().zip(zones) {
        config.teams.push_str(&format!(
            "      - {{ name: {project}, zones: {zones}, models: [gpt-5-mini], keys: [{{ name: prod, secret: {} }}] }}\n",
            key_of(project)
        ));
    }
}

fn key_of(project: &str) -> String {
    format!("key-of-the-project-{project}")
}

/// Every project's requests, in an order that is always the same.
async fn send_load(caller: &Caller) -> Result<()> {
    let mut order: Vec<(usize, &str)> = LOAD
        .iter()
        .flat_map(|(project, count)| (0..*count).map(|n| (n * 100_003 % 9_973, *project)))
        .collect();
    order.sort_unstable();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let mine: Vec<&str> =
            order.iter().skip(client).step_by(CLIENTS).map(|(_, project)| *project).collect();
        let caller = caller.clone();
        clients.spawn(async move {
            for project in mine {
                let reply = caller.with_key(key_of(project)).chat(&chat("gpt-5-mini", false)).await?;
                ensure!(reply.status.is_success(), "{project}: {} {}", reply.status, reply.json());
            }
            Ok(())
        });
    }
    clients.join_all().await.into_iter().collect()
}

/// Requests by project and upstream, once the ledger has `count` in all.
async fn served(admin: &Admin, count: usize) -> Result<BTreeMap<(String, String), u64>> {
    let mut by_place = BTreeMap::new();
    until("the ledger has every row", async || {
        let usage = admin.usage("project,upstream").await?;
        by_place.clear();
        for group in usage["items"].as_array().context("it has items")? {
            let name = |field: &str| group[field].as_str().unwrap_or_default().to_owned();
            by_place.insert((name("project"), name("upstream")), group["requests"].as_u64().unwrap_or(0));
        }
        Ok(by_place.values().sum::<u64>() == count as u64)
    })
    .await?;
    Ok(by_place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_is_within_ten_per_cent_of_what_a_drain_then_moves() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), four_regions)?;
    let (caller, admin) = (stage.gateway.caller(ConfigText::KEY), stage.gateway.admin());
    let total: usize = LOAD.iter().map(|(_, count)| count).sum();
    send_load(&caller).await?;
    let before = served(&admin, total).await?;

    let preview = admin.post("/regions/east/drain", &json!({ "preview": true })).await?;
    ensure!(preview["homeless"] == json!([]), "{preview}");
    let mut foreseen: BTreeMap<(String, String), u64> = BTreeMap::new();
    for moved in preview["moves"].as_array().context("it has moves")? {
        let to = moved["to"].as_str().context("everybody has a home")?;
        let upstream = to.rsplit_once('@').context("it is MODEL@UPSTREAM")?.1.to_owned();
        let project = moved["project"].as_str().unwrap_or_default().to_owned();
        *foreseen.entry((project, upstream)).or_default() += moved["requests"].as_u64().unwrap_or(0);
    }

    admin.act("regions", "east", "drain", "storm").await?;
    send_load(&caller).await?;
    let after = served(&admin, 2 * total).await?;
    let happened: BTreeMap<(String, String), u64> = after
        .into_iter()
        .map(|(place, count)| (place.clone(), count - before.get(&place).unwrap_or(&0)))
        // Who was not in the region goes on as before.
        .filter(|(place, count)| *count > 0 && before.get(place) != Some(count))
        .collect();
    println!("foreseen {foreseen:?}, happened {happened:?}");
    ensure!(foreseen.len() == 3, "anywhere goes to two, american to one, european stays: {foreseen:?}");
    ensure!(foreseen.keys().eq(happened.keys()), "foreseen {foreseen:?}, happened {happened:?}");
    for (place, count) in &happened {
        let difference = foreseen[place].abs_diff(*count);
        ensure!(difference * 10 <= *count, "{place:?}: foreseen {}, happened {count}", foreseen[place]);
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_home_is_not_taken_without_force() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), four_regions)?;
    let run = |arguments: &[&str]| stage.gateway.command(arguments);
    let refused = run(&["regions", "drain", "north", "--reason", "storm"])?;
    let told = text(&refused.stderr);
    ensure!(refused.status.code() == Some(1), "{}", refused.status);
    ensure!(told.contains("no_permitted_home") && told.contains("project retail/european"), "{told}");
    let european = stage.gateway.caller(key_of("european"));
    ensure!(european.chat(&chat("gpt-5-mini", false)).await?.status.is_success(), "nothing was changed");

    let preview = run(&["regions", "drain", "north", "--preview"])?;
    ensure!(preview.status.success(), "{}", text(&preview.stderr));
    ensure!(text(&preview.stdout).contains("no permitted target left"), "{}", text(&preview.stdout));

    ensure!(run(&["regions", "drain", "north", "--force"])?.status.success());
    let reply = european.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.error_code() == "no_healthy_upstream", "{} {}", reply.status, reply.json());
    let again = run(&["regions", "drain", "north", "--force"])?;
    ensure!(again.status.code() == Some(1) && text(&again.stderr).contains("draining already"));
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_fails_over_and_back_and_a_crash_in_between_changes_nothing() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), four_regions)?;
    let serves = async |stage: &Stage, project: &str| -> Result<String> {
        let reply = stage.gateway.caller(key_of(project)).chat(&chat("gpt-5-mini", false)).await?;
        ensure!(reply.status.is_success(), "{} {}", reply.status, reply.json());
        Ok(reply.header("x-tollgate-region").to_owned())
    };
    ensure!(serves(&stage, "anywhere").await? == "east");

    // Who may be served in `us` only cannot follow to `south`, and has `west` for a home.
    let over = ["failover", "--from", "east", "--to", "south", "--reason", "storm", "-o", "json"];
    let preview = stage.gateway.command(&[&over[..], &["--preview"]].concat())?;
    ensure!(preview.status.success(), "{}", text(&preview.stderr));
    let told: Value = serde_json::from_slice(&preview.stdout)?;
    ensure!(told["stays"][0]["project"] == "american" && told["homeless"] == json!([]), "{told}");
    ensure!(serves(&stage, "anywhere").await? == "east", "a preview changes nothing");

    let done = stage.gateway.command(&over)?;
    ensure!(done.status.success(), "{}", text(&done.stderr));
    let view: Value = serde_json::from_slice(&done.stdout)?;
    ensure!(view["failover"]["to"] == "south" && view["failover"]["state"] == "moved", "{view}");
    let listed = text(&stage.gateway.command(&["regions", "list", "-o", "csv"])?.stdout);
    ensure!(listed.contains("east,") && listed.contains("south 100.0%"), "{listed}");
    for _ in 0..2 {
        ensure!(serves(&stage, "anywhere").await? == "south");
        ensure!(serves(&stage, "american").await? == "east");
        stage.gateway.kill()?;
        stage.gateway.restart()?;
    }
    for (line, words) in [
        (&["failover", "--from", "east", "--to", "east"][..], "itself"),
        (&["failover", "--from", "east", "--to", "soth"], "did you mean"),
        (&["failover", "--from", "east", "--to", "west", "--ramp", "48h"], "a day"),
        (&["failover", "--from", "east", "--to", "south"], "already"),
        (&["failback", "west"], "not failed over"),
    ] {
        let refused = stage.gateway.command(line)?;
        ensure!(refused.status.code() == Some(1), "{line:?}: {}", refused.status);
        ensure!(text(&refused.stderr).contains(words), "{line:?}: {}", text(&refused.stderr));
    }
    let back = stage.gateway.command(&["failback", "east", "--reason", "over"])?;
    ensure!(back.status.success(), "{}", text(&back.stderr));
    ensure!(serves(&stage, "anywhere").await? == "east");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_region_is_empty_at_its_deadline() -> Result<()> {
    // A stream of minutes.
    let pause = std::time::Duration::from_millis(50);
    let behaviour = Behaviour { chunks: 4_000, chunk_pause: pause, ..Behaviour::default() };
    let mut stage = Stage::set(behaviour)?;
    let admin = stage.gateway.admin();
    let opened = open_stream(&stage.gateway.caller(ConfigText::KEY)).await?;
    admin.post("/regions/east/disable", &json!({ "deadline": "1s", "reason": "leak" })).await?;
    let reply = opened.rest().await?;
    ensure!(!reply.is_complete_stream(), "a cut stream never looks complete");
    let said = String::from_utf8_lossy(&reply.body).into_owned();
    ensure!(said.contains("out of service"), "{said}");
    let row = admin.rows("", 1).await?.remove(0);
    ensure!(row["end"] == "upstream_failed" && row["error_code"] == "upstream_truncated", "{row}");
    stage.close().await
}
