//! What a provider says it was used for, by day and model, whatever file it says it in.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::civil::Date;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tollgate_domain::{Money, Name};

use super::{anthropic, azure, openai, table, written::Amount};

/// The forms in which invoices come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Pages of OpenAI's costs API, and of its usage API for the tokens.
    OpenAi,
    /// Pages of Anthropic's cost report, and of its usage report for the tokens.
    Anthropic,
    /// A cost details file of Azure Cost Management, actual or amortised.
    Azure,
    /// A CSV file with the columns `date`, `model`, `cost` and `currency`.
    Csv,
}

impl Format {
    /// Every form.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Azure, Self::Csv];

    /// The name that commands and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Azure => "azure",
            Self::Csv => "csv",
        }
    }

    /// The ledger's name of the provider that invoices in this form; none when anyone might.
    #[must_use]
    pub fn provider(self) -> Option<Name> {
        (self != Self::Csv).then(|| self.as_str().into())
    }

    /// The form that a file is in, by how it begins.
    #[must_use]
    pub fn of(file: &[u8]) -> Self {
        let begin = &file[..file.len().min(16 << 10)];
        let has =
            |word: &str| begin.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()));
        match table::without_mark(file).trim_ascii_start().first() {
            Some(b'{' | b'[') if has("\"starting_at\"") => Self::Anthropic,
            Some(b'{' | b'[') => Self::OpenAi,
            _ if has("MeterCategory") || has("CostInBillingCurrency") => Self::Azure,
            _ => Self::Csv,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == name);
        found.ok_or_else(|| format!("no invoice format {name:?}; one of: openai, anthropic, azure, csv"))
    }
}

/// A file that is no invoice of its form.
#[derive(Debug, thiserror::Error)]
pub enum InvoiceError {
    /// Columns are missing that nothing can stand in for.
    #[error("the file lacks {}; it has {}", list(missing), list(found))]
    MissingColumns {
        /// Those that are missing.
        missing: Vec<&'static str>,
        /// Those that are there.
        found: Vec<String>,
    },
    /// The file is neither of the reports that the form knows.
    #[error("{0}")]
    NotTheReport(&'static str),
    /// A line cannot be read.
    #[error("line {line}: {why}")]
    Line {
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The text is not the JSON of such a report.
    #[error("not {what}: {why}")]
    Json {
        /// What was expected.
        what: &'static str,
        /// What is wrong, with its place.
        why: String,
    },
    /// The report goes on in pages that the files do not have.
    #[error("the {0} report is not complete: its last page says that more follow; add them")]
    MorePages(&'static str),
}

/// A file of an invoice that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {fault}")]
pub struct FileError {
    /// The file's name.
    pub name: String,
    /// What is wrong with it.
    pub fault: InvoiceError,
}

/// One file of an invoice.
#[derive(Clone, Copy, Debug)]
pub struct InvoiceFile<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// Its form.
    pub format: Format,
    /// What is in it.
    pub content: &'a [u8],
}

fn list(names: &[impl AsRef<str>]) -> String {
    let shown: Vec<String> = names.iter().take(40).map(|name| format!("`{}`", name.as_ref())).collect();
    if shown.is_empty() { "no column".to_owned() } else { shown.join(", ") }
}

/// Which tokens a line is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Side {
    /// Input that is neither read from a cache nor written to one.
    Input,
    CachedInput,
    CacheWrite,
    Output,
    /// Tokens of every sort in one figure.
    All,
    /// No tokens: searches, capacity, credits.
    Other,
}

/// One line of an invoice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// The day in UTC, by which all three providers bill.
    pub(super) day: Date,
    /// The model as it is written; none when the file does not tell.
    pub(super) model: Option<String>,
    pub(super) side: Side,
    /// What it cost; none in reports of usage alone.
    pub(super) cost: Option<Amount>,
    pub(super) tokens: Option<u64>,
    /// The key, project or workspace at the provider.
    pub(super) scope: Option<String>,
}

/// Everything that invoices say, summed by day and model.
#[derive(Clone, Debug, Default)]
pub struct Invoice {
    pub(super) cells: BTreeMap<(Date, Option<String>), Billed>,
    /// Lines that were read.
    pub(super) lines: u64,
    /// Lines about other things than models: an Azure file tells of a whole subscription.
    pub(super) other_lines: u64,
    /// The most decimal places of any amount.
    pub(super) places: u32,
    pub(super) files: Vec<FileDigest>,
}

/// Which file it was, so that it can be found again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FileDigest {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// What a provider says of a day and a model.
#[derive(Clone, Debug, Default)]
pub(super) struct Billed {
    pub(super) lines: u64,
    pub(super) costs: BTreeMap<Name, Money>,
    pub(super) sides: BTreeMap<Side, BilledSide>,
    pub(super) scopes: BTreeMap<String, Money>,
}

/// One sort of tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BilledSide {
    pub(super) cost: Money,
    /// Tokens beside costs.
    billed: Option<u64>,
    /// Tokens of a report of usage, which is about the same ones.
    reported: Option<u64>,
}

impl BilledSide {
    pub(super) fn tokens(&self) -> Option<u64> {
        self.reported.or(self.billed)
    }
}

/// What reading a file told beside its lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// Lines about other things than models.
    pub(super) other_lines: u64,
    /// A report in pages, and whether its last page is among them.
    pub(super) pages: Option<(&'static str, bool)>,
}

impl Invoice {
    /// Reads files that together are one invoice: further pages, or usage beside costs.
    ///
    /// # Errors
    /// A file is not of its form, or pages are missing.
    pub fn read(files: &[InvoiceFile<'_>]) -> Result<Self, FileError> {
        let mut invoice = Self::default();
        let mut complete: BTreeMap<&str, bool> = BTreeMap::new();
        for file in files {
            let fail = |fault| FileError { name: file.name.to_owned(), fault };
            let told = invoice.add(file.format, file.content).map_err(fail)?;
            invoice.other_lines += told.other_lines;
            let sha256 = hex::encode(Sha256::digest(file.content));
            invoice.files.push(FileDigest { name: file.name.to_owned(), sha256 });
            if let Some((report, last)) = told.pages {
                *complete.entry(report).or_default() |= last;
            }
        }
        match (complete.into_iter().find(|(_, last)| !last), files.last()) {
            (Some((report, _)), Some(file)) => {
                Err(FileError { name: file.name.to_owned(), fault: InvoiceError::MorePages(report) })
            }
            _ => Ok(invoice),
        }
    }

    fn add(&mut self, format: Format, content: &[u8]) -> Result<Told, InvoiceError> {
        let content = table::without_mark(content);
        let mut take = |line| self.take(line);
        match format {
            Format::OpenAi => openai::read(content, &mut take),
            Format::Anthropic => anthropic::read(content, &mut take),
            Format::Azure => azure::read(content, &mut take),
            Format::Csv => table::read(content, &mut take),
        }
    }

    fn take(&mut self, line: Line) {
        self.lines += 1;
        let cell = self.cells.entry((line.day, line.model)).or_default();
        cell.lines += 1;
        let side = cell.sides.entry(line.side).or_default();
        let Some(cost) = line.cost else {
            add(&mut side.reported, line.tokens);
            return;
        };
        self.places = self.places.max(cost.places);
        add(&mut side.billed, line.tokens);
        side.cost += cost.money;
        *cell.costs.entry(cost.currency).or_default() += cost.money;
        if let Some(scope) = line.scope {
            *cell.scopes.entry(scope).or_default() += cost.money;
        }
    }

    /// The first and the last day.
    #[must_use]
    pub fn days(&self) -> Option<(Date, Date)> {
        Some((self.cells.keys().next()?.0, self.cells.keys().next_back()?.0))
    }
}

impl Billed {
    /// Adds what the file says of the same model under another name.
    pub(super) fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        for (currency, cost) in &other.costs {
            *self.costs.entry(currency.clone()).or_default() += *cost;
        }
        for (scope, cost) in &other.scopes {
            *self.scopes.entry(scope.clone()).or_default() += *cost;
        }
        for (side, theirs) in &other.sides {
            let ours = self.sides.entry(*side).or_default();
            ours.cost += theirs.cost;
            add(&mut ours.billed, theirs.billed);
            add(&mut ours.reported, theirs.reported);
        }
    }
}

fn add(sum: &mut Option<u64>, tokens: Option<u64>) {
    if let Some(tokens) = tokens {
        *sum = Some(sum.unwrap_or_default().saturating_add(tokens));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_form() {
        let cases = [
            ("{\"object\":\"page\"}", Format::OpenAi),
            ("\u{feff} [{\"data\":[{\"starting_at\":\"x\"}]}]", Format::Anthropic),
            ("\u{feff}Date,MeterCategory", Format::Azure),
            ("date,costInBillingCurrency", Format::Azure),
            ("date,model,cost,currency", Format::Csv),
            ("", Format::Csv),
        ];
        for (file, format) in cases {
            assert_eq!(Format::of(file.as_bytes()), format, "{file}");
        }
    }
}
