//! Content that stands in a request: what its reader accepts, every writer can write.

use super::{HubSource, Untranslatable, into_standard_base64};

/// The most letters of a name in a media type.
/// <https://www.rfc-editor.org/rfc/rfc6838#section-4.2>
const LONGEST_NAME: usize = 127;

impl HubSource {
    /// Content in the request, from its media type and its base64 text, each with its path in the body.
    ///
    /// # Errors
    ///
    /// [`Untranslatable::Malformed`] for what is no media type, and for text that is no base64.
    pub(crate) fn inline(
        (media_type, type_at): (&str, impl Into<String>),
        (base64, content_at): (String, impl Into<String>),
    ) -> Result<Self, Untranslatable> {
        let media_type = media_type_of(media_type)
            .ok_or_else(|| Untranslatable::malformed(type_at, "is no media type, such as `image/png`"))?;
        let base64 = into_standard_base64(base64)
            .ok_or_else(|| Untranslatable::malformed(content_at, "is no base64"))?;
        Ok(Self::Inline { media_type, base64 })
    }
}

/// A media type in small letters. Of its parameters only those of sound say how the bytes are to be read
/// (`audio/L16;rate=24000`); the others are left out, as vendors compare the bare type.
fn media_type_of(written: &str) -> Option<String> {
    let (bare, parameters) = match written.split_once(';') {
        Some((bare, parameters)) => (bare, Some(parameters)),
        None => (written, None),
    };
    let bare = bare.trim().to_ascii_lowercase();
    let (kind, subtype) = bare.split_once('/')?;
    if !is_name(kind) || !is_name(subtype) {
        return None;
    }
    let Some(parameters) = parameters.filter(|_| kind == "audio") else { return Some(bare) };
    let is_plain = |parameter: &str| {
        parameter.trim().split_once('=').is_some_and(|(name, value)| is_name(name) && is_name(value))
    };
    parameters.split(';').all(is_plain).then(|| format!("{bare};{parameters}"))
}

fn is_name(name: &str) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(byte);
    name.len() <= LONGEST_NAME
        && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && name.as_bytes().iter().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_two_names() {
        let cases = [
            ("image/png", Some("image/png")),
            ("Image/PNG", Some("image/png")),
            ("text/plain; charset=utf-8", Some("text/plain")),
            ("image/svg+xml", Some("image/svg+xml")),
            ("audio/L16;codec=pcm;rate=24000", Some("audio/l16;codec=pcm;rate=24000")),
            ("application/vnd.ms-excel", Some("application/vnd.ms-excel")),
            ("", None),
            ("png", None),
            ("/png", None),
            ("image/", None),
            ("image/png/x", None),
            ("image/p,ng", None),
            ("audio/wav;rate", None),
            ("audio/wav;rate=1,2", None),
        ];
        for (written, want) in cases {
            assert_eq!(media_type_of(written).as_deref(), want, "{written}");
        }
        assert_eq!(media_type_of(&format!("image/{}", "x".repeat(128))), None);
    }

    #[test]
    fn content_is_what_every_writer_can_write() {
        let read = |media_type, base64: &str| {
            HubSource::inline((media_type, "a.type"), (base64.to_owned(), "a.data"))
                .map_err(|fault| fault.param().to_owned())
        };
        let inline =
            |base64: &str| Ok(HubSource::Inline { media_type: "image/png".into(), base64: base64.into() });
        assert_eq!(read("image/png", "QUJD"), inline("QUJD"));
        assert_eq!(read("image/png", "QQ"), inline("QQ=="));
        assert_eq!(read("image/png", "-_\n-_"), inline("+/+/"));
        assert_eq!(read("image/png", "%%%"), Err("a.data".to_owned()));
        assert_eq!(read("png", "QUJD"), Err("a.type".to_owned()));
    }
}
