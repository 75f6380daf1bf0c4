//! A sheet that holds one table: a header that stays in sight, a filter, real numbers and dates.
//!
//! Text is written as text whatever it begins with, so that no cell from outside is ever a formula.

use std::borrow::Cow;

use jiff::civil::Date;
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
use tollgate_domain::{Money, UnixMillis};

use crate::{ExportError, table::Cell};

/// Rows below the header that a sheet has room for.
pub(super) const MOST_ROWS: u32 = 1_048_575;
/// The longest text of a cell, in UTF-16 units.
const LONGEST_TEXT: usize = 32_767;
/// The day that a workbook numbers 0 (from March 1900 on).
const DAY_ZERO: Date = Date::constant(1899, 12, 30);
/// The number of 1 January 1970.
const UNIX_EPOCH: f64 = 25_569.0;
const MILLIS_OF_A_DAY: f64 = 86_400_000.0;

/// How a column is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    Text,
    Count,
    Amount,
    Day,
    Instant,
}

impl Shown {
    pub(super) fn format(self) -> Format {
        match self {
            Self::Text => Format::new(),
            Self::Count => Format::new().set_num_format("#,##0"),
            Self::Amount => Format::new().set_num_format("#,##0.00####"),
            Self::Day => Format::new().set_num_format("yyyy-mm-dd"),
            Self::Instant => Format::new().set_num_format("yyyy-mm-dd hh:mm:ss.000"),
        }
    }
}

/// A column: its name, how it is shown, its width in characters.
pub(super) type Column = (&'static str, Shown, u16);

/// What stands in one cell.
pub(super) enum Content<'a> {
    Cell(Cell<'a>),
    Day(Date),
}

/// A table under construction, row by row. What was written is in a temporary file.
pub(super) struct Sheet {
    worksheet: Worksheet,
    formats: Vec<Format>,
    rows: u32,
}

impl Sheet {
    /// A sheet of `workbook` with its header.
    pub(super) fn new(workbook: &mut Workbook, name: &str, columns: &[Column]) -> Result<Self, XlsxError> {
        let mut worksheet = workbook.new_worksheet_with_constant_memory()?;
        worksheet.set_name(name)?;
        worksheet.set_freeze_panes(1, 0)?;
        for (at, (_, _, width)) in (0..).zip(columns) {
            worksheet.set_column_width(at, *width)?;
        }
        let bold = Format::new().set_bold();
        for (at, (heading, _, _)) in (0..).zip(columns) {
            worksheet.write_string_with_format(0, at, *heading, &bold)?;
        }
        let formats = columns.iter().map(|(_, shown, _)| shown.format()).collect();
        Ok(Self { worksheet, formats, rows: 0 })
    }

    /// Adds a row: a cell for every column, in their order.
    pub(super) fn row<'a>(
        &mut self,
        cells: impl IntoIterator<Item = Content<'a>>,
    ) -> Result<(), ExportError> {
        if self.rows == MOST_ROWS {
            return Err(ExportError::TooLong(format!(
                "more than {MOST_ROWS} rows, which is what a sheet takes; choose a shorter range, or export Parquet or CSV"
            )));
        }
        self.rows += 1;
        for ((at, format), content) in (0..).zip(&self.formats).zip(cells) {
            write(&mut self.worksheet, (self.rows, at), content, format)?;
        }
        Ok(())
    }

    /// The finished sheet, with a filter over all of its rows.
    pub(super) fn finish(mut self) -> Result<Worksheet, XlsxError> {
        let last = self.formats.len() as u16 - 1;
        self.worksheet.autofilter(0, 0, self.rows, last)?;
        Ok(self.worksheet)
    }
}

fn write(
    worksheet: &mut Worksheet,
    (row, column): (u32, u16),
    content: Content<'_>,
    format: &Format,
) -> Result<(), XlsxError> {
    let number = match content {
        Content::Day(day) => f64::from(DAY_ZERO.until(day).map_or(0, |span| span.get_days())),
        Content::Cell(Cell::Null) => return Ok(()),
        Content::Cell(Cell::Text(text) | Cell::Foreign(text)) => {
            worksheet.write_string_with_format(row, column, fitting(text), format)?;
            return Ok(());
        }
        Content::Cell(Cell::Truth(truth)) => {
            worksheet.write_boolean_with_format(row, column, truth, format)?;
            return Ok(());
        }
        Content::Cell(Cell::Count(count)) => count as f64,
        Content::Cell(Cell::Amount(amount)) => nearest(amount),
        Content::Cell(Cell::Zero) => 0.0,
        Content::Cell(Cell::Instant(at)) => serial(at),
    };
    worksheet.write_number_with_format(row, column, number, format)?;
    Ok(())
}

/// The number of a workbook that is nearest to an amount. It is read from the amount's own digits, so
/// that one of up to 15 digits is shown as it is.
pub(super) fn nearest(amount: Money) -> f64 {
    amount.to_text().as_str().parse().expect("an amount's text is a number")
}

/// An instant in UTC as a workbook numbers it: days, and the part of a day.
fn serial(at: UnixMillis) -> f64 {
    at.get() as f64 / MILLIS_OF_A_DAY + UNIX_EPOCH
}

/// The text, cut where a cell ends.
fn fitting(text: Cow<'_, str>) -> Cow<'_, str> {
    let mut units = 0;
    let end = text.char_indices().find(|(_, letter)| {
        units += letter.len_utf16();
        units > LONGEST_TEXT
    });
    match end.map(|(at, _)| at) {
        Some(at) => Cow::Owned(text[..at].to_owned()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_letters_where_a_cell_ends() {
        let short = "é".repeat(LONGEST_TEXT);
        assert_eq!(fitting(short.as_str().into()), short);
        let wide = "𝄞".repeat(LONGEST_TEXT);
        assert_eq!(fitting(wide.into()).chars().count(), LONGEST_TEXT / 2);
    }

    #[test]
    fn an_amount_of_fifteen_digits_is_shown_as_it_is() {
        for text in ["0.000000000001", "123.456789012345", "-0.1", "999999.999999999"] {
            let amount: Money = text.parse().expect("an amount");
            assert_eq!(nearest(amount).to_string(), text);
        }
    }

    #[test]
    fn days_and_instants_are_numbered_as_a_workbook_does() {
        assert_eq!(DAY_ZERO.until(Date::constant(2026, 11, 24)).expect("a span").get_days(), 46_350);
        assert_eq!(serial(UnixMillis::new(43_200_000)), 25_569.5);
    }
}
