//! Invoices as CSV: the generic form, and what all CSV files have in common.
//!
//! The generic form has the columns `date` (a day in UTC), `model`, `cost` and `currency`, and may have
//! `tokens`, or `input_tokens`, `cached_input_tokens`, `cache_write_tokens` and `output_tokens`, and
//! `key`. Where a line tells several sorts of tokens, its cost is that of all of them.

use std::collections::BTreeMap;

use csv::StringRecord;

use super::{
    invoice::{InvoiceError, Line, Side, Told},
    written::{Amount, day},
};

/// A file without the mark that spreadsheets put before UTF-8.
pub(super) fn without_mark(file: &[u8]) -> &[u8] {
    file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file)
}

/// Reads the generic form.
pub(super) fn read(file: &[u8], take: &mut dyn FnMut(Line)) -> Result<Told, InvoiceError> {
    let mut table = Table::open(file)?;
    let [date, model, cost, currency] = table.require([&["date"], &["model"], &["cost"], &["currency"]])?;
    let key = table.column(&["key"]);
    let tokens: Vec<(usize, Side)> =
        TOKENS.iter().filter_map(|(name, side)| Some((table.column(&[name])?, *side))).collect();
    while let Some(row) = table.next()? {
        let line = Line {
            day: row.day(date)?,
            model: Some(row.text(model).to_owned()).filter(|model| !model.is_empty()),
            side: Side::All,
            cost: Some(row.amount(cost, row.text(currency))?),
            tokens: None,
            scope: key.map(|key| row.text(key).to_owned()).filter(|key| !key.is_empty()),
        };
        for (column, side) in &tokens {
            if let Some(tokens) = row.whole(*column)? {
                take(Line { side: *side, cost: None, tokens: Some(tokens), scope: None, ..line.clone() });
            }
        }
        take(line);
    }
    Ok(Told::default())
}

const TOKENS: [(&str, Side); 5] = [
    ("tokens", Side::All),
    ("input_tokens", Side::Input),
    ("cached_input_tokens", Side::CachedInput),
    ("cache_write_tokens", Side::CacheWrite),
    ("output_tokens", Side::Output),
];

/// A CSV file whose columns are found by name, however they are spelt.
pub(super) struct Table<'a> {
    reader: csv::Reader<&'a [u8]>,
    columns: BTreeMap<String, usize>,
    named: Vec<String>,
    record: StringRecord,
}

impl<'a> Table<'a> {
    pub(super) fn open(file: &'a [u8]) -> Result<Self, InvoiceError> {
        let mut reader = csv::Reader::from_reader(file);
        let headers = reader.headers().map_err(|error| fault(&error))?.clone();
        let named: Vec<String> = headers.iter().map(|name| name.trim().to_owned()).collect();
        let columns = named.iter().enumerate().rev().map(|(at, name)| (plain(name), at)).collect();
        Ok(Self { reader, columns, named, record: StringRecord::new() })
    }

    /// The column that has one of these names; the earlier name wins.
    pub(super) fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.columns.get(&plain(name)).copied())
    }

    /// The columns of these names, each of which may have several.
    ///
    /// # Errors
    /// Some are missing; all of those are named.
    pub(super) fn require<const N: usize>(
        &self,
        wanted: [&[&'static str]; N],
    ) -> Result<[usize; N], InvoiceError> {
        let missing: Vec<&str> =
            wanted.iter().filter(|names| self.column(names).is_none()).map(|names| names[0]).collect();
        if !missing.is_empty() {
            let found = self.named.iter().filter(|name| !name.is_empty()).cloned().collect();
            return Err(InvoiceError::MissingColumns { missing, found });
        }
        Ok(wanted.map(|names| self.column(names).expect("none is missing")))
    }

    /// The next row; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, InvoiceError> {
        if !self.reader.read_record(&mut self.record).map_err(|error| fault(&error))? {
            return Ok(None);
        }
        Ok(Some(Row { record: &self.record, named: &self.named }))
    }
}

/// Only what tells names apart: exports differ in case, spaces and underscores.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn fault(error: &csv::Error) -> InvoiceError {
    let line = error.position().map_or(1, csv::Position::line);
    let why = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields, but the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        _ => error.to_string(),
    };
    InvoiceError::Line { line, why }
}

/// One row of a file.
pub(super) struct Row<'a> {
    record: &'a StringRecord,
    named: &'a [String],
}

impl Row<'_> {
    pub(super) fn text(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default().trim()
    }

    pub(super) fn day(&self, column: usize) -> Result<jiff::civil::Date, InvoiceError> {
        day(self.text(column)).ok_or_else(|| self.fault(column, "no date"))
    }

    pub(super) fn amount(&self, column: usize, currency: &str) -> Result<Amount, InvoiceError> {
        if currency.is_empty() {
            return Err(self.line("no currency".to_owned()));
        }
        Amount::read(self.text(column), 0, currency).ok_or_else(|| self.fault(column, "no amount"))
    }

    /// A whole number; none where nothing stands.
    fn whole(&self, column: usize) -> Result<Option<u64>, InvoiceError> {
        match self.text(column) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| self.fault(column, "no whole number")),
        }
    }

    pub(super) fn fault(&self, column: usize, what: &str) -> InvoiceError {
        let shown: String = self.text(column).chars().take(40).collect();
        let name = self.named.get(column).map_or("", String::as_str);
        self.line(format!("column `{name}` has {what}: {shown:?}"))
    }

    fn line(&self, why: String) -> InvoiceError {
        InvoiceError::Line { line: self.record.position().map_or(1, csv::Position::line), why }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(file: &str) -> Result<Vec<Line>, InvoiceError> {
        let mut lines = Vec::new();
        read(without_mark(file.as_bytes()), &mut |line| lines.push(line))?;
        Ok(lines)
    }

    #[test]
    fn a_file_may_have_a_mark_quotes_and_other_line_ends_and_columns() {
        let file = "\u{feff}Currency,\"Model\",COST,Date,Region,Input Tokens\r\n\
            usd,\"gpt, \"\"mini\"\"\",1.50,2026-11-05,eu,10\r\n\
            USD,,-0.25,2026-11-06,,\r\n";
        let lines = lines(file).expect("read");
        assert_eq!(lines.len(), 3);
        assert_eq!((lines[0].side, lines[0].tokens, &lines[0].cost), (Side::Input, Some(10), &None));
        assert_eq!(lines[1].model.as_deref(), Some("gpt, \"mini\""));
        assert_eq!(lines[1].cost, Amount::read("1.50", 0, "USD"));
        assert_eq!((&lines[2].model, lines[2].tokens), (&None, None));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_its_line() {
        let cases = [
            ("", "lacks `date`, `model`, `cost`, `currency`; it has no column"),
            ("date,model,price\n", "lacks `cost`, `currency`; it has `date`, `model`, `price`"),
            (
                "date,model,cost,currency\n2026-11-05,m,1,USD\n05.11.,m,1,USD\n",
                "line 3: column `date` has no date",
            ),
            (
                "date,model,cost,currency\n2026-11-05,m,\"1,5\",USD\n",
                "line 2: column `cost` has no amount: \"1,5\"",
            ),
            ("date,model,cost,currency\n2026-11-05,m,1,\n", "line 2: no currency"),
            ("date,model,cost,currency\n2026-11-05,m\n", "line 2: 2 fields, but the header has 4"),
            (
                "date,model,cost,currency,tokens\n2026-11-05,m,1,USD,-3\n",
                "column `tokens` has no whole number",
            ),
        ];
        for (file, told) in cases {
            let error = lines(file).expect_err(file).to_string();
            assert!(error.contains(told), "{file}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..12)) {
            let mut file = b"date,model,cost,currency,tokens\n".to_vec();
            file.extend(rows.join(&b','));
            let _ = read(&file, &mut |_| {});
            let _ = read(&file[32..], &mut |_| {});
        }

        #[test]
        fn a_written_row_is_read_back(model in "[a-z\",\\r\\n é-]{1,20}", pico in any::<i64>(), tokens in any::<u64>()) {
            let cost = tollgate_domain::Money::from_pico(pico.into());
            let mut file = csv::Writer::from_writer(Vec::new());
            file.write_record(["date", "model", "cost", "currency", "tokens"]).expect("written");
            file.write_record(["2026-11-05", &model, &cost.to_string(), "EUR", &tokens.to_string()]).expect("written");
            let mut lines = Vec::new();
            read(&file.into_inner().expect("flushed"), &mut |line| lines.push(line)).expect("read");
            prop_assert_eq!(lines[0].tokens, Some(tokens));
            prop_assert_eq!(lines[1].model.as_deref().unwrap_or_default(), model.trim());
            prop_assert_eq!(lines[1].cost.as_ref().map(|cost| cost.money), Some(cost));
        }
    }
}
