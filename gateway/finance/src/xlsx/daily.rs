//! The report: a line per team, day, project, model, provider, region and currency.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rust_xlsxwriter::Worksheet;
use tollgate_accounting::ledger::{Entry, Kind, UsageGroup};
use tollgate_domain::{Name, UsageSource};

use super::sheet::{Column, Content, Sheet, Shown};
use crate::{ExportError, table::Cell};

/// Lines of a workbook at most: they are held in memory until every row has been read.
const MOST_LINES: usize = 250_000;

/// The columns of a team's sheet.
pub(super) const COLUMNS: &[Column] = &[
    ("date", Shown::Day, 11),
    ("team", Shown::Text, 16),
    ("cost_center", Shown::Text, 12),
    ("project", Shown::Text, 18),
    ("model", Shown::Text, 22),
    ("provider", Shown::Text, 12),
    ("region", Shown::Text, 14),
    ("requests", Shown::Count, 10),
    ("refusals", Shown::Count, 10),
    ("input_tokens", Shown::Count, 14),
    ("cached_input_tokens", Shown::Count, 14),
    ("cache_write_tokens", Shown::Count, 14),
    ("output_tokens", Shown::Count, 14),
    ("reasoning_tokens", Shown::Count, 14),
    ("estimated_requests", Shown::Count, 12),
    ("unpriced_requests", Shown::Count, 12),
    ("cost", Shown::Amount, 16),
    ("currency", Shown::Text, 9),
    ("cost_exact", Shown::Text, 22),
];

/// By what lines of a team are told apart, in the order in which they are sorted.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    day: Date,
    project: Name,
    model: Name,
    provider: Option<Name>,
    region: Option<Name>,
    cost_center: Option<Name>,
    currency: Name,
}

/// What a line sums.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) usage: UsageGroup,
    pub(super) estimated: u64,
}

/// The lines of one team.
pub(super) type Lines = BTreeMap<Place, Line>;

/// The report under construction.
pub(super) struct Daily {
    zone: TimeZone,
    lines: usize,
    most_lines: usize,
    report: Report,
}

/// The whole report.
#[derive(Default)]
pub(super) struct Report {
    pub(super) teams: BTreeMap<Name, Lines>,
    /// Every price entry that was applied.
    pub(super) prices: BTreeSet<Name>,
    /// The ledger's numbers of the first and the last row.
    pub(super) seqs: Option<(u64, u64)>,
    pub(super) rows: u64,
}

impl Daily {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, lines: 0, most_lines: MOST_LINES, report: Report::default() }
    }

    /// Counts a row.
    pub(super) fn count(&mut self, entry: &Entry) -> Result<(), ExportError> {
        let report = &mut self.report;
        report.rows += 1;
        report.seqs = Some(match report.seqs {
            Some((first, last)) => (first.min(entry.seq), last.max(entry.seq)),
            None => (entry.seq, entry.seq),
        });
        for meter in &entry.meters {
            if !report.prices.contains(&meter.price_id) {
                report.prices.insert(meter.price_id.clone());
            }
        }
        let lines = match report.teams.get_mut(entry.identity.team.name()) {
            Some(lines) => lines,
            None => report.teams.entry(entry.identity.team.name().clone()).or_default(),
        };
        let before = lines.len();
        let line = lines.entry(place(entry, &self.zone)).or_insert_with(|| Line {
            usage: UsageGroup::empty(Vec::new(), entry.currency.clone()),
            estimated: 0,
        });
        line.usage.count(entry);
        let is_request = matches!(entry.kind, Kind::Usage | Kind::Probe);
        line.estimated += u64::from(is_request && entry.usage_source != UsageSource::Reported);
        self.lines += lines.len() - before;
        if self.lines > self.most_lines {
            return Err(ExportError::TooLong(format!(
                "more than {} lines of days, projects, models and regions, which is no report for a workbook; choose a shorter range, or export Parquet or CSV",
                self.most_lines
            )));
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Report {
        self.report
    }
}

/// Where a row is counted. A refusal has no model here: the name is what the client made up, and
/// nothing bounds how many it makes up.
fn place(entry: &Entry, zone: &TimeZone) -> Place {
    let at = Timestamp::from_millisecond(entry.started_at.get()).unwrap_or_default();
    let place = entry.place.as_ref();
    Place {
        day: zone.to_datetime(at).date(),
        project: entry.identity.project.name().clone(),
        model: if entry.kind == Kind::Refusal { "".into() } else { entry.model.name().clone() },
        provider: place.map(|place| place.provider.clone()),
        region: place.map(|place| place.region.name().clone()),
        cost_center: entry.identity.cost_center.clone(),
        currency: entry.currency.clone(),
    }
}

/// Writes the lines of a team.
pub(super) fn fill(mut sheet: Sheet, team: &str, lines: &Lines) -> Result<Worksheet, ExportError> {
    for (place, Line { usage, estimated }) in lines {
        let text = |text: &str| {
            let cell = if text.is_empty() { Cell::Null } else { Cell::Text(text.to_owned().into()) };
            Content::Cell(cell)
        };
        let count = |count: u64| Content::Cell(Cell::Count(count));
        sheet.row([
            Content::Day(place.day),
            text(team),
            text(place.cost_center.as_deref().unwrap_or_default()),
            text(&place.project),
            text(&place.model),
            text(place.provider.as_deref().unwrap_or_default()),
            text(place.region.as_deref().unwrap_or_default()),
            count(usage.requests),
            count(usage.refusals),
            count(usage.input_tokens),
            count(usage.cached_input_tokens),
            count(usage.cache_write_tokens),
            count(usage.output_tokens),
            count(usage.reasoning_tokens),
            count(*estimated),
            count(usage.unpriced_requests),
            Content::Cell(Cell::Amount(usage.cost)),
            text(&place.currency),
            text(usage.cost.to_text().as_str()),
        ])?;
    }
    Ok(sheet.finish()?)
}
