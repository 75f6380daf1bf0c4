//! The web console in a headless browser, against the real binary before simulated providers.
//!
//! Screenshots of every view, light and dark, wide and narrow, are written below the target folder:
//! `console-screenshots/`. Nothing compares them; a person looks at them.

mod browser;
mod history;
mod large;
mod stage;

use anyhow::{Context as _, Result, ensure};
use tollgate_test_support::assess;

use stage::Stage;

const VIEWS: [&str; 10] = [
    "view.overview",
    "view.requests",
    "view.regions",
    "view.costs",
    "view.budgets",
    "view.projects",
    "view.keys",
    "view.my-project",
    "view.config",
    "view.audit",
];

/// Every view opens, in both themes and at both widths, without an error, a request to elsewhere, a
/// sideways scroll or a serious finding of axe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_opens_cleanly() -> Result<()> {
    let stage = Stage::set()?;
    stage.send_traffic().await?;
    assess(&stage.browse("views", &[]).await?, &VIEWS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_do_their_work_with_mouse_and_keyboard() -> Result<()> {
    let stage = Stage::set()?;
    stage.send_traffic().await?;
    let request = stage.request_with_failover().await?;
    let expected = [
        "sign_in",
        "cookie",
        "light_page",
        "keyboard",
        "drain_and_undo",
        "failover_preview",
        "request_drawer",
        "find_by_id",
        "export_is_what_is_shown",
        "back_button",
        "sign_out",
    ];
    assess(&stage.browse("work", &[("REQUEST", &request)]).await?, &expected)
}

/// What people come for, each within so many clicks: with a mouse, by keys alone, and 320 pixels wide.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_have_their_answers_within_a_few_clicks() -> Result<()> {
    let stage = Stage::set()?;
    stage.send_traffic().await?;
    let request = stage.request_with_failover().await?;
    let variables = [("REQUEST", request.as_str()), ("KEY", "key-of-retail-search")];
    let checks = stage.browse("tasks", &variables).await?;
    for check in &checks {
        eprintln!("{}: {}", check.name, check.detail);
    }
    let tasks = [
        "cost_by_team",
        "cause_of_a_jump",
        "forecast_by_team",
        "export_a_period",
        "close_a_month",
        "who_is_sick",
        "drain_and_undo",
        "breakers_and_error_budget",
        "what_changed",
        "why_this_request",
        "create_a_key",
        "copy_a_snippet",
        "own_usage_and_limits",
        "compare_two_models",
    ];
    let names: Vec<String> = ["mouse", "keys", "narrow"]
        .iter()
        .flat_map(|form| tasks.iter().map(move |task| format!("{form}.{task}")))
        .collect();
    assess(&checks, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_views_follow_what_happens_and_say_when_they_do_not() -> Result<()> {
    let stage = Stage::set()?;
    assess(
        &stage.browse("live", &[("DATA", stage.gateway.data_url()), ("KEY", "key-of-retail-search")]).await?,
        &[
            "rows_come_by_themselves",
            "figures_move",
            "stale_and_back",
            "one_stream_for_the_page",
            "hidden_page_is_silent",
        ],
    )
}

/// Whatever it is broken down by, the rows and the foot of the cost page are the sums of the export.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cost_page_shows_the_sums_of_the_export() -> Result<()> {
    let stage = Stage::set_new()?;
    stage.send_traffic().await?;
    let wanted = stage.exported_sums()?;
    let expected = ["by_team", "by_project_and_model", "by_region_and_upstream", "by_key"];
    assess(&stage.browse("totals", &[("WANTED", &wanted)]).await?, &expected)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_sees_what_it_may_and_nothing_else() -> Result<()> {
    let stage = Stage::set()?;
    stage.send_traffic().await?;
    assess(&stage.browse("roles", &[]).await?, &["admin", "operator", "finance", "viewer", "team_lead"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_has_its_states() -> Result<()> {
    let stage = Stage::set()?;
    assess(
        &stage.browse("states", &[]).await?,
        &["loading", "empty", "error", "stale", "forbidden", "signed_out", "partial"],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_text_is_text_and_foreign_pages_are_kept_out() -> Result<()> {
    let stage = Stage::set()?;
    stage.send_hostile_traffic().await?;
    assess(
        &stage.browse("hostile", &[]).await?,
        &[
            "every_text_of_the_api_is_text",
            "nothing_runs",
            "no_frame",
            "no_forged_change",
            "no_script_from_a_link",
        ],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_prints_a_link_that_signs_in_once() -> Result<()> {
    let mut stage = Stage::set_new()?;
    let log = stage.gateway.log();
    let link = log
        .lines()
        .find_map(|line| line.split_once("within 15 minutes: "))
        .context("a link is printed")?
        .1
        .to_owned();
    ensure!(link.starts_with(&format!("{}/sign-in#", stage.gateway.admin_url())), "{link}");
    assess(&stage.browse("link", &[("LINK", &link)]).await?, &["signs_in", "leaves_no_trace", "only_once"])?;
    let audit = stage.gateway.admin().get("/audit").await?.to_string();
    ensure!(
        audit.contains(r#""action":"sign_in""#)
            && !audit.contains(link.rsplit('#').next().unwrap_or_default()),
        "{audit}"
    );

    stage.restart().await?;
    ensure!(stage.gateway.log().matches("within 15 minutes").count() == 1, "no link at a later start");
    Ok(())
}

/// How long each view took is told, and decides nothing: the machine of a test is not the reader's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_organisation_is_shown_like_a_small_one() -> Result<()> {
    let stage = Stage::set_large()?;
    let checks = stage.browse("large", &[]).await?;
    for check in &checks {
        eprintln!("{}: {}", check.name, check.detail);
    }
    assess(&checks, &VIEWS)
}
