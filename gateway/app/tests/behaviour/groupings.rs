//! However usage is asked for, by any dimensions, over any period, for anybody: the groups are the
//! sums of the exported rows, and together they are the same total.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_simulator::Keep;

use crate::{
    figures::Figures,
    ledger_file::{self, Row},
    mixed::{Mixed, scenario::Dice},
    stage::short_or_long,
};

const DIMENSIONS: [&str; 11] =
    ["team", "project", "key", "model", "upstream", "region", "zone", "day", "hour", "month", "tag:feature"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_grouping_sums_to_the_exported_rows() -> Result<()> {
    let requests = short_or_long(800, 3_000);
    let mut mixed = Mixed::start(Keep::Totals)?;
    mixed.run(0..requests, 64).await;
    mixed.settle(requests).await?;
    let rows: Vec<Row> = ledger_file::rows(&ledger_file::export(&mixed.gateway)?)?.collect::<Result<_>>()?;
    ensure!(rows.len() as u64 == requests, "{} rows", rows.len());

    let admin = mixed.gateway.admin();
    let mut dice = Dice(0x5eed_9809);
    for _ in 0..short_or_long(100, 500) {
        let question = Question::draw(&mut dice, &rows);
        let path = question.path();
        let answer = admin.get(&path).await?;
        question.check(&answer, &rows).with_context(|| path)?;
    }
    mixed.close().await
}

/// A question to `GET /usage`.
struct Question {
    by: Vec<&'static str>,
    filter: Option<(&'static str, String)>,
    from: Option<String>,
    to: Option<String>,
}

impl Question {
    fn draw(dice: &mut Dice, rows: &[Row]) -> Self {
        let by = DIMENSIONS.into_iter().filter(|_| dice.below(4) == 0).collect();
        let any = |dice: &mut Dice| &rows[dice.below(rows.len() as u64) as usize];
        let row = any(dice);
        let filter = match dice.below(5) {
            0 => Some(("team", row.team.clone())),
            1 => Some(("project", row.project.clone())),
            2 => Some(("key", row.key.clone())),
            _ => None,
        };
        // Instants of rows, so that edges fall upon them.
        let mut instants = [any(dice).started_at.clone(), any(dice).started_at.clone()];
        instants.sort_unstable();
        let [from, to] = instants;
        let (from, to) = match dice.below(4) {
            0 => (Some(from), None),
            1 => (None, Some(to)),
            2 if from < to => (Some(from), Some(to)),
            _ => (None, None),
        };
        Self { by, filter, from, to }
    }

    fn path(&self) -> String {
        let mut path = format!("/usage?by={}", self.by.join(","));
        let edges = [("from", self.from.as_ref()), ("to", self.to.as_ref())];
        let filter = self.filter.iter().map(|(name, value)| (*name, value));
        for (name, value) in edges.into_iter().filter_map(|(name, edge)| Some((name, edge?))).chain(filter) {
            path.push_str(&format!("&{name}={value}"));
        }
        path
    }

    fn asks_for(&self, row: &Row) -> bool {
        self.from.as_ref().is_none_or(|from| row.started_at >= *from)
            && self.to.as_ref().is_none_or(|to| row.started_at < *to)
            && self.filter.as_ref().is_none_or(|(name, value)| of(row, name) == *value)
    }

    fn check(&self, answer: &Value, rows: &[Row]) -> Result<()> {
        let mut wanted: BTreeMap<Vec<String>, Figures> = BTreeMap::new();
        let mut total = Figures::default();
        for row in rows.iter().filter(|row| self.asks_for(row)) {
            let group = self.by.iter().map(|dimension| of(row, dimension)).collect();
            wanted.entry(group).or_default().add(row)?;
            total.add(row)?;
        }
        let mut told = BTreeMap::new();
        let mut sum = Figures::default();
        for item in answer["items"].as_array().context("no items")? {
            let text = |dimension: &&str| item[*dimension].as_str().unwrap_or_default().to_owned();
            let figures = Figures::read(item)?;
            sum.join(&figures);
            told.insert(self.by.iter().map(text).collect::<Vec<_>>(), figures);
        }
        ensure!(told == wanted, "the answer has {told:#?}, the rows {wanted:#?}");
        let named = Figures::read(&answer["total"])?;
        ensure!(named == total && sum == total, "groups {sum:?}, total {named:?}, rows {total:?}");
        Ok(())
    }
}

/// A row's value of a dimension, worked out from the file.
fn of(row: &Row, dimension: &str) -> String {
    match dimension {
        "team" => row.team.clone(),
        "project" => row.project.clone(),
        "key" => row.key.clone(),
        "model" => row.model.clone(),
        "upstream" => row.upstream.clone(),
        "region" => row.region.clone(),
        "zone" => row.zone.clone(),
        "day" => row.started_at[..10].to_owned(),
        "month" => row.started_at[..7].to_owned(),
        "hour" => format!("{}:00:00+00:00", &row.started_at[..13]),
        _ => {
            let tags: Value = serde_json::from_str(&row.tags).unwrap_or_default();
            tags["feature"].as_str().unwrap_or_default().to_owned()
        }
    }
}
