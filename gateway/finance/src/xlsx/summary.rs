//! The first sheet: what each team used and what it cost, and the totals of each currency.
//!
//! Totals are formulas over the sheets of the teams, so that a reader who changes or filters them sees
//! what follows; their values stand beside them for readers that do not calculate.

use std::collections::BTreeMap;

use rust_xlsxwriter::{Format, Formula, Worksheet, XlsxError, utility::column_number_to_name};
use tollgate_domain::{Money, Name};

use super::{
    daily::{self, Lines},
    sheet::{Shown, nearest},
};

/// The figures that are summed, by their columns in a team's sheet.
const SUMMED: [&str; 9] = [
    "requests",
    "refusals",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "unpriced_requests",
    "cost",
];

/// What a team used in one currency.
#[derive(Default)]
struct Sums {
    counts: [u64; SUMMED.len() - 1],
    cost: Money,
}

/// The summary under construction.
#[derive(Default)]
pub(super) struct Summary {
    rows: Vec<Row>,
    totals: BTreeMap<Name, Sums>,
}

struct Row {
    team: Name,
    sheet: String,
    currency: Name,
    lines: usize,
    sums: Sums,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        for (sum, more) in self.counts.iter_mut().zip(other.counts) {
            *sum = sum.saturating_add(more);
        }
        self.cost += other.cost;
    }
}

impl Summary {
    /// Adds a team, whose lines stand in the sheet of this name.
    pub(super) fn add(&mut self, team: &Name, sheet: &str, lines: &Lines) {
        let mut currencies: BTreeMap<Name, Sums> = BTreeMap::new();
        for line in lines.values() {
            let usage = &line.usage;
            let counts = [
                usage.requests,
                usage.refusals,
                usage.input_tokens,
                usage.cached_input_tokens,
                usage.cache_write_tokens,
                usage.output_tokens,
                usage.reasoning_tokens,
                usage.unpriced_requests,
            ];
            let sums = Sums { counts, cost: usage.cost };
            currencies.entry(usage.currency.clone()).or_default().add(&sums);
        }
        for (currency, sums) in currencies {
            self.totals.entry(currency.clone()).or_default().add(&sums);
            let (team, sheet) = (team.clone(), sheet.to_owned());
            self.rows.push(Row { team, sheet, currency, lines: lines.len(), sums });
        }
    }

    /// Writes the sheet.
    pub(super) fn fill(&self, sheet: &mut Worksheet) -> Result<(), XlsxError> {
        let bold = Format::new().set_bold();
        let headings = ["team"].into_iter().chain(SUMMED).chain(["currency", "cost_exact"]);
        for (at, heading) in (0..).zip(headings) {
            sheet.write_string_with_format(0, at, heading, &bold)?;
            sheet.set_column_width(at, if at == 0 { 18 } else { 16 })?;
        }
        sheet.set_freeze_panes(1, 1)?;
        for (at, row) in (1..).zip(&self.rows) {
            let formula = |column: &str| over_lines(row, column);
            write(sheet, at, (&row.team, &row.currency), &row.sums, (&Format::new(), &formula))?;
        }
        let teams = self.rows.len() as u32;
        for (at, (currency, sums)) in (teams + 1..).zip(&self.totals) {
            let formula = |column: &str| over_teams(teams, column, currency);
            write(sheet, at, ("Total", currency), sums, (&bold, &formula))?;
        }
        if teams > 0 {
            sheet.autofilter(0, 0, teams, SUMMED.len() as u16 + 2)?;
        }
        Ok(())
    }
}

fn write(
    sheet: &mut Worksheet,
    row: u32,
    (name, currency): (&str, &str),
    sums: &Sums,
    (format, formula): (&Format, &dyn Fn(&str) -> String),
) -> Result<(), XlsxError> {
    sheet.write_string_with_format(row, 0, name, format)?;
    let counts = sums.counts.iter().map(|count| (count.to_string(), Shown::Count));
    let values = counts.chain([(nearest(sums.cost).to_string(), Shown::Amount)]);
    for ((at, column), (value, shown)) in (1..).zip(SUMMED).zip(values) {
        let format = format.merge(&shown.format());
        sheet.write_formula_with_format(row, at, Formula::new(formula(column)).set_result(value), &format)?;
    }
    let at = SUMMED.len() as u16 + 1;
    sheet.write_string_with_format(row, at, currency, format)?;
    sheet.write_string_with_format(row, at + 1, sums.cost.to_text().as_str(), format)?;
    Ok(())
}

/// The sum of a column of a team's sheet in one currency.
fn over_lines(row: &Row, column: &str) -> String {
    let range = |column: &str| {
        let letter = letter_of(daily::COLUMNS.iter().map(|column| column.0), column);
        format!("'{}'!${letter}$2:${letter}${}", row.sheet.replace('\'', "''"), row.lines + 1)
    };
    format!("=SUMIFS({},{},\"{}\")", range(column), range("currency"), quoted(&row.currency))
}

/// The sum of a column of this sheet in one currency.
fn over_teams(teams: u32, column: &str, currency: &str) -> String {
    let range = |column: &str| {
        let letter = letter_of(["team"].into_iter().chain(SUMMED).chain(["currency"]), column);
        format!("${letter}$2:${letter}${}", teams + 1)
    };
    format!("=SUMIFS({},{},\"{}\")", range(column), range("currency"), quoted(currency))
}

fn letter_of(mut names: impl Iterator<Item = &'static str>, name: &str) -> String {
    let at = names.position(|known| known == name).expect("only columns of the table are summed");
    column_number_to_name(at as u16)
}

/// A text as it stands between the quotes of a formula.
fn quoted(text: &str) -> String {
    text.replace('"', "\"\"")
}
