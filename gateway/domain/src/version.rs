//! Versions of models: two targets of one model may answer differently because of nothing but their dates.

/// Which version of a model a target serves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ModelVersion {
    /// Without dashes where it is a date, in lower case.
    text: Box<str>,
    /// The model that it is a version of, where it was read from a name: dates of different models have
    /// nothing to do with each other.
    of: Option<Box<str>>,
}

impl ModelVersion {
    /// A version as somebody says it, for example `2024-08-06`. It differs from every other of its model.
    #[must_use]
    pub fn given(text: &str) -> Self {
        let text = date_in(text)
            .filter(|found| found.rest.is_empty())
            .map_or_else(|| text.to_ascii_lowercase(), |found| found.digits);
        Self { text: text.into(), of: None }
    }

    /// The version in a dated name, such as `gpt-4o-2024-08-06`, `claude-sonnet-4-5@20250929` or
    /// `us.anthropic.claude-sonnet-4-5-20250929-v1:0`: the first whole date, of which the year is of this
    /// century. Other names tell none.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let found = date_in(name)?;
        let model = found.before.trim_end_matches(['-', '@', '_', ':', '.', '/']).to_ascii_lowercase();
        Some(Self { text: found.digits.into(), of: Some(bare(&model).into()) })
    }

    /// True when the two are known to be different versions of a model.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        let are_of_one_model = match (&self.of, &other.of) {
            (Some(model), Some(other)) => model == other,
            // What somebody says is about the model that both targets serve.
            _ => true,
        };
        are_of_one_model && self.text != other.text
    }

    /// The version as text; a date without its dashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A name without what stands before it: a path, a region's or vendor's prefix.
fn bare(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    let mut starts = name.match_indices('.').map(|(at, _)| at + 1);
    let prefix = starts.rfind(|at| name[*at..].starts_with(|next: char| next.is_ascii_alphabetic()));
    prefix.map_or(name, |at| &name[at..])
}

struct Found<'a> {
    before: &'a str,
    digits: String,
    rest: &'a str,
}

/// The first date in a text, as `2024-08-06` or `20240806`, with no digit beside it.
fn date_in(text: &str) -> Option<Found<'_>> {
    text.match_indices("20").find_map(|(at, _)| {
        let (before, tail) = text.split_at(at);
        if before.ends_with(|last: char| last.is_ascii_digit()) {
            return None;
        }
        let is_date = |length: usize, dashes: [usize; 2]| {
            let part = tail.get(..length)?;
            let rest = &tail[length..];
            let is_shaped = part
                .bytes()
                .enumerate()
                .all(|(at, byte)| if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_digit() });
            let digits: String = part.chars().filter(char::is_ascii_digit).collect();
            let number = |from: usize, to: usize| digits.get(from..to)?.parse::<u8>().ok();
            let is_day = is_shaped && (1..=12).contains(&number(4, 6)?) && (1..=31).contains(&number(6, 8)?);
            let ends = !rest.starts_with(|next: char| next.is_ascii_digit());
            (is_day && ends).then_some(Found { before, digits, rest })
        };
        // No place has a dash in the short form.
        is_date(10, [4, 7]).or_else(|| is_date(8, [usize::MAX; 2]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dated_names_tell_their_version_and_others_tell_none() {
        let cases = [
            ("gpt-4o-2024-08-06", Some(("20240806", "gpt-4o"))),
            ("GPT-4.1-2025-04-14", Some(("20250414", "gpt-4.1"))),
            ("claude-sonnet-4-5-20250929", Some(("20250929", "claude-sonnet-4-5"))),
            ("claude-sonnet-4-5@20250929", Some(("20250929", "claude-sonnet-4-5"))),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some(("20250929", "claude-sonnet-4-5"))),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.anthropic.claude-3-haiku-20240307-v1:0",
                Some(("20240307", "claude-3-haiku")),
            ),
            ("gpt-4o", None),
            ("gpt-4-0613", None),
            ("gemini-2.5-flash-preview-09-2025", None),
            ("model-20251399", None),
            ("model-120240806", None),
            ("model-202408061", None),
            ("model-2024-8-06", None),
            ("20", None),
            ("é20", None),
        ];
        for (name, want) in cases {
            let version = ModelVersion::of_name(name);
            let told =
                version.as_ref().map(|version| (version.as_str(), version.of.as_deref().unwrap_or("")));
            assert_eq!(told, want, "{name}");
        }
    }

    #[test]
    fn versions_differ_within_a_model_only() {
        let named = |name| ModelVersion::of_name(name).unwrap_or_else(|| panic!("{name}"));
        let given = ModelVersion::given;
        let cases = [
            (named("gpt-4o-2024-08-06"), named("gpt-4o-2024-11-20"), true),
            (named("gpt-4o-2024-08-06"), named("gpt-4o-20240806"), false),
            (named("anthropic.claude-x-20250929-v1:0"), named("claude-x-20250929"), false),
            (named("gpt-4o-2024-08-06"), named("claude-x-20250929"), false),
            (given("2024-08-06"), named("gpt-4o-2024-08-06"), false),
            (given("2024-11-20"), named("gpt-4o-2024-08-06"), true),
            (given("0613"), given("0314"), true),
            (given("V2"), given("v2"), false),
        ];
        for (one, other, want) in cases {
            assert_eq!((one.differs(&other), other.differs(&one)), (want, want), "{one:?} {other:?}");
        }
    }
}
