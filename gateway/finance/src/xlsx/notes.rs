//! The last sheet: which rows the figures come from, and how they were made.

use jiff::tz::TimeZone;
use rust_xlsxwriter::{Format, Worksheet, XlsxError};
use tollgate_accounting::ledger::{RowQuery, rfc3339};

use super::{XlsxDetail, daily::Report};

/// What holds for every workbook.
const METHOD: [(&str, &str); 8] = [
    ("view", "what providers charge, by the gateway's own price book; no mark-up and no allocation"),
    ("cost", "a number, for calculating: a workbook keeps 15 digits of it"),
    ("cost_exact", "the same amount to the last digit, as text; sums of it are the ledger's"),
    (
        "totals",
        "formulas over the teams' sheets with their values; amounts of different currencies are never added",
    ),
    ("requests", "requests that were let in; refusals are only counted, without a model"),
    ("estimated_requests", "requests whose tokens the provider did not report"),
    ("unpriced_requests", "requests of models without a price: their cost is unknown and adds nothing"),
    (
        "corrections",
        "adjustments add their amounts to the day on which the ledger counts them, and no request",
    ),
];

/// Writes the sheet.
pub(super) fn fill(
    sheet: &mut Worksheet,
    query: &RowQuery,
    zone: &TimeZone,
    detail: XlsxDetail,
    report: &Report,
) -> Result<(), XlsxError> {
    let open = || "open".to_owned();
    let ledger = report.seqs.map_or("no rows".to_owned(), |(from, to)| format!("{from} to {to}"));
    let teams: Vec<&str> = query.teams.iter().map(|team| team.as_str()).collect();
    let mut notes = vec![
        ("from (inclusive)", query.from.map_or_else(open, rfc3339)),
        ("to (exclusive)", query.to.map_or_else(open, rfc3339)),
        ("calendar", zone.iana_name().unwrap_or("UTC").to_owned()),
        ("teams", if teams.is_empty() { "all".to_owned() } else { teams.join(", ") }),
        ("ledger rows", report.rows.to_string()),
        ("ledger range (seq)", ledger),
        ("software", concat!("Tollgate ", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    if detail == XlsxDetail::Requests {
        notes.push(("Requests", "the ledger's rows, newest first; instants are in UTC".to_owned()));
    }
    notes.extend(METHOD.iter().map(|(name, note)| (*name, (*note).to_owned())));
    notes.extend(report.prices.iter().map(|price| ("price entry", price.to_string())));
    let bold = Format::new().set_bold();
    sheet.set_column_width(0, 22)?;
    sheet.set_column_width(1, 100)?;
    sheet.write_string_with_format(0, 0, "note", &bold)?;
    sheet.write_string_with_format(0, 1, "value", &bold)?;
    sheet.set_freeze_panes(1, 0)?;
    for (row, (name, note)) in (1..).zip(&notes) {
        sheet.write_string(row, 0, *name)?;
        sheet.write_string(row, 1, note)?;
    }
    Ok(())
}
