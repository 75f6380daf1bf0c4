//! Reports that come in pages of JSON: one page, a list of them, or one after the other.

use serde::Deserialize;

use super::invoice::InvoiceError;

/// A page, with buckets of time.
#[derive(Deserialize)]
pub(super) struct Page<B> {
    pub(super) data: Vec<B>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// Reads every page of a file. A number that stands for money must be raw text in `B`, so that no
/// digit of it is lost.
pub(super) fn read<'a, B: Deserialize<'a>>(
    file: &'a [u8],
    what: &'static str,
) -> Result<Vec<Page<B>>, InvoiceError> {
    let fault = |error: serde_json::Error| InvoiceError::Json { what, why: error.to_string() };
    if file.trim_ascii_start().first() == Some(&b'[') {
        return serde_json::from_slice(file).map_err(fault);
    }
    let pages = serde_json::Deserializer::from_slice(file).into_iter();
    let pages: Vec<Page<B>> = pages.collect::<Result<_, _>>().map_err(fault)?;
    if pages.is_empty() {
        return Err(InvoiceError::Json { what, why: "the file is empty".to_owned() });
    }
    Ok(pages)
}
