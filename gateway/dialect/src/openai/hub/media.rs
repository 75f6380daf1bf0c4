//! Pictures, documents and sound, as chat completions and responses both write them.

use serde::{Serialize, Serializer};

use super::write_request::{foreign, stored};
use crate::hub::{HubMedia, HubSource, Untranslatable};

/// A URL, or content as one. It is only put together where it is written: a picture may be large.
pub(super) enum Url<'a> {
    Elsewhere(&'a str),
    Inline { media_type: &'a str, base64: &'a str },
}

impl Serialize for Url<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Elsewhere(url) => serializer.serialize_str(url),
            Self::Inline { media_type, base64 } => {
                serializer.collect_str(&format_args!("data:{media_type};base64,{base64}"))
            }
        }
    }
}

impl<'a> Url<'a> {
    pub(super) fn of(media: &'a HubMedia) -> Result<Self, Untranslatable> {
        match &media.source {
            HubSource::Inline { media_type, base64 } => Ok(Self::Inline { media_type, base64 }),
            HubSource::Url(url) => Ok(Self::Elsewhere(url)),
            HubSource::Text(_) => Err(foreign(&media.at, "a picture of text")),
            HubSource::File(_) => Err(stored(media)),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Sound<'a> {
    data: &'a str,
    format: &'a str,
}

impl<'a> Sound<'a> {
    pub(super) fn of(media: &'a HubMedia) -> Result<Self, Untranslatable> {
        let HubSource::Inline { media_type, base64 } = &media.source else { return Err(stored(media)) };
        Ok(Self { data: base64, format: media_type.strip_prefix("audio/").unwrap_or(media_type) })
    }
}
