//! The same JSON, written with blanks wherever they may stand.

/// The text with blanks around every bracket, comma and colon that stands outside of strings.
pub(crate) fn spaced(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in json {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
        } else {
            match byte {
                b'"' => in_string = true,
                b'{' | b'}' | b'[' | b']' | b':' | b',' => {
                    out.extend_from_slice(&[b' ', byte, b'\n']);
                    continue;
                }
                _ => {}
            }
        }
        out.push(byte);
    }
    out
}

/// True for text that is one whole JSON value in which no object has a name twice: of two values under
/// one name, parsers take different ones.
pub(crate) fn is_plain_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<unique::Unique>(bytes).is_ok()
}

mod unique {
    //! Any JSON value without a repeated name.

    use std::{collections::HashSet, fmt};

    use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

    pub(super) struct Unique;

    impl<'de> Deserialize<'de> for Unique {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Reads)
        }
    }

    struct Reads;

    impl<'de> Visitor<'de> for Reads {
        type Value = Unique;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("JSON")
        }

        fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
            Ok(Unique)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
            Ok(Unique)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
            Ok(Unique)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
            Ok(Unique)
        }

        fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
            Ok(Unique)
        }

        fn visit_unit<E>(self) -> Result<Unique, E> {
            Ok(Unique)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
            while items.next_element::<Unique>()?.is_some() {}
            Ok(Unique)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
            let mut names = HashSet::new();
            while let Some((name, Unique)) = members.next_entry::<String, Unique>()? {
                if !names.insert(name) {
                    return Err(A::Error::custom("a name stands twice"));
                }
            }
            Ok(Unique)
        }
    }
}
