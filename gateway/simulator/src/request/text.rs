//! The text in a body, measured without being kept.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The text in a value: its size, and its last string.
#[derive(Debug, Default)]
pub(crate) struct Text<'a> {
    pub(super) bytes: u64,
    pub(super) numbers: u64,
    /// Elements of the outermost list; 1 for a value that is no list.
    pub(crate) items: usize,
    /// Whether the outermost list is a list of numbers.
    pub(crate) is_token_list: bool,
    is_number: bool,
    pub(super) last: Cow<'a, str>,
}

impl<'a> Text<'a> {
    fn of(last: Cow<'a, str>) -> Self {
        Self { bytes: last.len() as u64, items: 1, last, ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.numbers += other.numbers;
        self.last = other.last;
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or lists and objects of it")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text::of(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text::of(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Text { numbers: 1, items: 1, is_number: true, ..Text::default() })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Text::default();
        while let Some(item) = list.next_element::<Text<'de>>()? {
            all.is_token_list |= item.is_number;
            all.items += 1;
            all.add(item);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut all = Text { items: 1, ..Text::default() };
        while let Some(member) = members.next_key::<Member>()? {
            match member {
                Member::Text => all.add(members.next_value()?),
                Member::Other => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(all)
    }
}

/// Whether a member of a message or of a part of it holds text.
#[derive(Deserialize)]
#[serde(field_identifier)]
enum Member {
    #[serde(
        rename = "content",
        alias = "text",
        alias = "arguments",
        alias = "output",
        alias = "input",
        alias = "parts"
    )]
    Text,
    #[serde(other)]
    Other,
}
