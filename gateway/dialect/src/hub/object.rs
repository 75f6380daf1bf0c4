//! A JSON object of a client's body, taken member by member.
//!
//! Values that are only handed on stay the text that the client wrote, so that numbers, the order of
//! members and escapes survive. Who takes all that he knows can ask what is left over.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::{Number, value::RawValue};

use super::{Given, Untranslatable};

pub(crate) struct Object<'a> {
    /// The path of the object in the body; empty for the body itself.
    at: String,
    members: Vec<(Cow<'a, str>, Option<&'a RawValue>)>,
    /// Names that the client spelled in another way: as they are known here, and as the client wrote them.
    spelled: Vec<(Box<str>, Cow<'a, str>)>,
    rules: Rules,
}

/// How the API that a body is for reads its JSON.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Rules {
    /// As it stands.
    #[default]
    Plain,
    /// As protocol buffers do: a name in camelCase or in snake_case, a number also as text, a list of one
    /// also without its brackets. Members are taken by the camelCase name; paths have the client's.
    /// <https://protobuf.dev/programming-guides/json/>
    Proto,
}

struct Members<'a>(Vec<(Cow<'a, str>, Option<&'a RawValue>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name, Some(value)));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reads)
    }
}

/// A name that is borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Object<'a> {
    /// The body itself.
    pub(crate) fn body(bytes: &'a [u8]) -> Result<Self, Untranslatable> {
        Self::body_by(Rules::Plain, bytes)
    }

    /// The body of an API that reads JSON in its own way.
    pub(crate) fn body_by(rules: Rules, bytes: &'a [u8]) -> Result<Self, Untranslatable> {
        let Members(members) = serde_json::from_slice(bytes)
            .map_err(|error| Untranslatable::malformed("", format!("is not a JSON object: {error}")))?;
        Self::of(members, String::new(), rules)
    }

    pub(crate) fn read(raw: &'a RawValue, at: &str) -> Result<Self, Untranslatable> {
        Self::read_by(Rules::Plain, raw, at)
    }

    pub(crate) fn read_by(rules: Rules, raw: &'a RawValue, at: &str) -> Result<Self, Untranslatable> {
        let Members(members) = serde_json::from_str(raw.get())
            .map_err(|_| Untranslatable::malformed(at, "must be an object"))?;
        Self::of(members, at.to_owned(), rules)
    }

    fn of(
        mut members: Vec<(Cow<'a, str>, Option<&'a RawValue>)>,
        at: String,
        rules: Rules,
    ) -> Result<Self, Untranslatable> {
        let mut spelled = Vec::new();
        if rules == Rules::Proto {
            for (name, _) in &mut members {
                if let Some(known) = camel_case(name) {
                    spelled.push((known.as_str().into(), std::mem::replace(name, Cow::Owned(known))));
                }
            }
        }
        for (place, (name, _)) in members.iter().enumerate() {
            if members[..place].iter().any(|(earlier, _)| earlier == name) {
                return Err(Untranslatable::malformed(join(&at, name), "is given twice"));
            }
        }
        Ok(Self { at, members, spelled, rules })
    }

    /// The path of a member.
    pub(crate) fn path(&self, name: &str) -> String {
        let written = self.spelled.iter().find(|(known, _)| **known == *name);
        join(&self.at, written.map_or(name, |(_, written)| written))
    }

    /// The path of the object itself.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// Takes a member; `null` says as much as nothing.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.members.iter_mut().find(|(known, _)| known == name)?;
        value.take().filter(|value| value.get() != "null")
    }

    /// Looks at a member that nobody took yet.
    pub(crate) fn peek(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.members.iter().find(|(known, _)| known == name)?;
        value.filter(|value| value.get() != "null")
    }

    /// Takes a member whose text meets the condition.
    pub(crate) fn take_if(&mut self, name: &str, condition: impl Fn(&str) -> bool) {
        let meets = |value: &Option<&'a RawValue>| value.is_some_and(|value| condition(value.get()));
        if let Some((_, value)) = self.members.iter_mut().find(|(known, value)| known == name && meets(value))
        {
            *value = None;
        }
    }

    /// Drops members that say nothing which another dialect would have to know.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.take(name);
        }
    }

    fn parsed<T: DeserializeOwned>(&mut self, name: &str, what: &str) -> Result<Option<T>, Untranslatable> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        self.parse(raw.get(), name, what)
    }

    fn parse<T: DeserializeOwned>(
        &self,
        raw: &str,
        name: &str,
        what: &str,
    ) -> Result<Option<T>, Untranslatable> {
        serde_json::from_str(raw)
            .map(Some)
            .map_err(|_| Untranslatable::malformed(self.path(name), format!("must be {what}")))
    }

    /// A number as such, or as text where the rules admit it.
    fn numeric<T: DeserializeOwned>(&mut self, name: &str, what: &str) -> Result<Option<T>, Untranslatable> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        let text = as_text(raw).filter(|_| self.rules == Rules::Proto);
        self.parse(text.as_deref().unwrap_or(raw.get()), name, what)
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Untranslatable> {
        self.parsed(name, "a string")
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Untranslatable> {
        self.parsed(name, "true or false")
    }

    pub(crate) fn count(&mut self, name: &str) -> Result<Option<u64>, Untranslatable> {
        self.numeric(name, "a whole number of at least 0")
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<Given<Number>>, Untranslatable> {
        let number = self.numeric::<Exact>(name, "a number")?;
        Ok(number.map(|Exact(value)| Given::new(self.path(name), value)))
    }

    pub(crate) fn needed_text(&mut self, name: &str) -> Result<String, Untranslatable> {
        self.text(name)?.ok_or_else(|| Untranslatable::malformed(self.path(name), "is missing"))
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Object<'a>>, Untranslatable> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        Object::read_by(self.rules, raw, &self.path(name)).map(Some)
    }

    pub(crate) fn items(&mut self, name: &str) -> Result<Option<Items<'a>>, Untranslatable> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        Items::read_by(self.rules, raw, &self.path(name)).map(Some)
    }

    /// All that nobody took, by name and in the client's order.
    pub(crate) fn into_members(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        self.members.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }

    /// What nobody took, as the client wrote it.
    pub(crate) fn left(self) -> impl Iterator<Item = Given<Box<RawValue>>> {
        let left: Vec<_> = self
            .members
            .iter()
            .filter_map(|(name, value)| {
                let value = value.filter(|value| value.get() != "null")?;
                Some(Given::new(self.path(name), value.to_owned()))
            })
            .collect();
        left.into_iter()
    }
}

/// An array of a client's body.
pub(crate) struct Items<'a> {
    at: String,
    items: std::iter::Enumerate<std::vec::IntoIter<&'a RawValue>>,
    rules: Rules,
}

impl<'a> Items<'a> {
    pub(crate) fn read(raw: &'a RawValue, at: &str) -> Result<Self, Untranslatable> {
        Self::read_by(Rules::Plain, raw, at)
    }

    fn read_by(rules: Rules, raw: &'a RawValue, at: &str) -> Result<Self, Untranslatable> {
        let items: Vec<&'a RawValue> = if rules == Rules::Proto && raw.get().starts_with('{') {
            vec![raw]
        } else {
            serde_json::from_str(raw.get()).map_err(|_| Untranslatable::malformed(at, "must be an array"))?
        };
        Ok(Self { at: at.to_owned(), items: items.into_iter().enumerate(), rules })
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Object<'a>, Untranslatable>;

    fn next(&mut self) -> Option<Self::Item> {
        let (place, raw) = self.items.next()?;
        Some(Object::read_by(self.rules, raw, &format!("{}[{place}]", self.at)))
    }
}

/// A number to the last bit: the JSON library reads long fractions a little off, and what is read and
/// written again would drift.
struct Exact(Number);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: &RawValue = Deserialize::deserialize(deserializer)?;
        let read: Number = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        let nearest = raw.get().parse().ok().filter(|_| read.is_f64()).and_then(Number::from_f64);
        Ok(Self(nearest.unwrap_or(read)))
    }
}

/// A value that is a string.
pub(crate) fn as_text(raw: &RawValue) -> Option<String> {
    raw.get().starts_with('"').then(|| serde_json::from_str(raw.get()).ok()).flatten()
}

/// `max_output_tokens` is `maxOutputTokens`; `None` for a name that is so already.
fn camel_case(name: &str) -> Option<String> {
    if !name.get(1..).is_some_and(|rest| rest.contains('_')) {
        return None;
    }
    let mut made = String::with_capacity(name.len());
    let mut begins = false;
    for letter in name.chars() {
        match letter {
            '_' if !made.is_empty() => begins = true,
            letter if std::mem::take(&mut begins) => made.push(letter.to_ascii_uppercase()),
            letter => made.push(letter),
        }
    }
    Some(made)
}

fn join(at: &str, name: &str) -> String {
    // A member without a name has a place too.
    let name = if name.is_empty() { "\"\"" } else { name };
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_on_keeps_its_bytes() {
        let body = br#"{"a":{"z":1.50e2,"b":[ 12345678901234567890123 ]},"n":null,"x":true}"#;
        let mut object = Object::body(body).expect("an object");
        assert_eq!(
            object.take("a").map(RawValue::get),
            Some(r#"{"z":1.50e2,"b":[ 12345678901234567890123 ]}"#)
        );
        assert!(object.take("n").is_none());
        let left: Vec<_> = object.left().map(|given| (given.at, given.value.get().to_owned())).collect();
        assert_eq!(left, [("x".into(), "true".to_owned())]);
    }

    #[test]
    fn numbers_are_read_to_the_last_bit() {
        for text in ["0.1", "1", "-7", "5184467440737095513333333333333333333333333333333333615.1", "1e-7"] {
            let body = format!("{{\"a\":{text}}}");
            let mut object = Object::body(body.as_bytes()).expect("an object");
            let number = object.number("a").expect("a number").expect("given").value;
            assert_eq!(number.as_f64(), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn faults_name_the_place() {
        let told = |error: Untranslatable| error.to_string();
        let twice = br#"{"a":[{"b":1,"b":2}]}"#;
        let mut object = Object::body(twice).expect("an object");
        let mut items = object.items("a").expect("an array").expect("given");
        assert_eq!(items.next().expect("one").err().map(told), Some("`a[0].b` is given twice".to_owned()));
        let mut object = Object::body(br#"{"a":{"b":"x"}}"#).expect("an object");
        let mut inner = object.object("a").expect("an object").expect("given");
        assert_eq!(
            inner.count("b").err().map(told),
            Some("`a.b` must be a whole number of at least 0".to_owned())
        );
    }
}
