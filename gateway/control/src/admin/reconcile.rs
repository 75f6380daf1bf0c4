//! `POST /reconcile`: a provider's invoice against the ledger. It changes nothing.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use jiff::tz::TimeZone;
use serde::Deserialize;
use tollgate_domain::{Name, UnixMillis};
use tollgate_finance::{
    TimeRange,
    reconcile::{Format, Invoice, InvoiceFile, Terms, reconcile},
};

use super::{AdminState, answer, blocking, params::Files, problem::Problem};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: Option<String>,
    to: Option<String>,
    #[serde(flatten)]
    invoice: AskedInvoice,
}

/// An invoice as a caller sends it, and how it is to be read.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct AskedInvoice {
    files: Vec<AskedFile>,
    /// The provider by the ledger's name, where the form of the files does not tell.
    provider: Option<Name>,
    account: Option<Name>,
    keys: Vec<String>,
    models: BTreeMap<String, String>,
    tolerance: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedFile {
    name: String,
    format: Option<String>,
    content: String,
}

impl AskedInvoice {
    /// The invoice, and the terms on which days `from` to `to` are held against it.
    pub(super) fn read(&self, from: UnixMillis, to: UnixMillis) -> Result<(Invoice, Terms), Problem> {
        let invalid = |text: String| Problem::invalid(text);
        let files: Vec<InvoiceFile<'_>> = self.files.iter().map(AskedFile::read).collect::<Result<_, _>>()?;
        let Some(first) = files.first() else {
            return Err(Problem::invalid("no file: send `files` with `name` and `content`"));
        };
        if let Some(other) = files.iter().find(|file| file.format != first.format) {
            return Err(Problem::invalid(format!(
                "one invoice at a time: {} is of the form {}, {} of {}",
                first.name, first.format, other.name, other.format
            )));
        }
        let tolerance = self.tolerance.as_deref().map(str::parse).transpose();
        let terms = Terms {
            provider: self.provider.clone().or_else(|| first.format.provider()),
            account: self.account.clone(),
            keys: self.keys.clone(),
            models: self.models.clone(),
            tolerance: tolerance
                .map_err(|error: tollgate_finance::reconcile::ToleranceError| invalid(error.to_string()))?
                .unwrap_or_default(),
            ..Terms::of_days(from, to).map_err(|error| invalid(error.to_string()))?
        };
        Ok((Invoice::read(&files).map_err(|error| invalid(error.to_string()))?, terms))
    }
}

impl AskedFile {
    fn read(&self) -> Result<InvoiceFile<'_>, Problem> {
        let content = self.content.as_bytes();
        let format = match &self.format {
            Some(name) => name.parse().map_err(|error: String| Problem::invalid(error))?,
            None => Format::of(content),
        };
        Ok(InvoiceFile { name: &self.name, format, content })
    }
}

pub(super) async fn run(
    State(state): State<Arc<AdminState>>,
    Files(asked): Files<Asked>,
) -> Result<Response, Problem> {
    // Providers bill by days of UTC, whatever our calendar is.
    let now = state.now().wall;
    let range = TimeRange::parse(asked.from.as_deref(), asked.to.as_deref(), now, &TimeZone::UTC)?;
    let (Some(from), Some(to)) = (range.from, range.to) else {
        return Err(Problem::invalid("`from` and `to` are needed: an invoice is of some days"));
    };
    let report = blocking(move || {
        let (invoice, terms) = asked.invoice.read(from, to)?;
        Ok::<_, Problem>(reconcile(&*state.store, &invoice, &terms)?)
    });
    Ok(answer(&report.await??))
}
