//! Where data is processed, as far as providers' names tell: of regions, of addresses, of models.
//!
//! An endpoint stands somewhere, and that says little: global and data-zone deployments and profiles
//! that cross regions process elsewhere than where they are asked. What is known of the names is data,
//! in [`table`]; a name that is not known tells nothing.

mod table;

use table::{HOLDS, HOSTS, Leads, PROFILES, REGIONS, ZONES};

use crate::wire::Dialect;

/// A part of the world in which data is processed: a country, a union, or all of it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Area(&'static str);

impl Area {
    /// Anywhere at all.
    pub const GLOBAL: Self = Self("global");

    /// Its name: a country's code of two letters, or `eu`, `europe`, `apac`, `global`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The area that a zone of this name means, where it is a usual name or that of a provider's region.
    #[must_use]
    pub fn of_zone(name: &str) -> Option<Self> {
        let named = ZONES.iter().find(|(_, names)| names.iter().any(|known| same_place(known, name)));
        named.map(|(area, _)| *area).or_else(|| Self::of_region(name))
    }

    /// The area in which a provider's region stands, however it is written: `swedencentral` and
    /// `Sweden Central` are one.
    #[must_use]
    pub fn of_region(name: &str) -> Option<Self> {
        let row = REGIONS.iter().find(|(_, names)| names.iter().any(|known| same_place(known, name)));
        row.map(|(area, _)| *area)
    }

    /// The area that an answer's word for where it was made means: a region, or an area itself.
    #[must_use]
    pub fn of_answer(word: &str) -> Option<Self> {
        Self::of_region(word).or_else(|| Self::of_zone(word))
    }

    /// True when what is processed in `other` is processed in this one.
    #[must_use]
    pub fn holds(self, other: Self) -> bool {
        self == Self::GLOBAL
            || self == other
            || HOLDS
                .iter()
                .any(|(outer, inner)| *outer == self.0 && inner.iter().any(|inner| Self(inner).holds(other)))
    }

    /// The smallest area of several countries around this one in which data-zone deployments keep what
    /// they process.
    fn data_zone(self) -> Option<Self> {
        [Self("us"), Self("eu")].into_iter().find(|zone| zone.holds(self))
    }
}

/// Where an address or a model's name leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told<'a> {
    /// To this region of the provider.
    Region(&'a str),
    /// To somewhere in this area.
    Within(Area),
    /// To wherever the account at the provider is set to; anywhere, unless it is.
    AsAccountSays,
}

impl<'a> Told<'a> {
    /// The name of the region or area, where one is told.
    #[must_use]
    pub const fn place(self) -> Option<&'a str> {
        match self {
            Self::Region(region) => Some(region),
            Self::Within(area) => Some(area.as_str()),
            Self::AsAccountSays => None,
        }
    }
}

/// What an upstream's address tells, by its host and path.
#[must_use]
pub fn told_by_address<'a>(host: &'a str, path: &'a str) -> Option<Told<'a>> {
    HOSTS.iter().find_map(|known| {
        let variable = host.strip_prefix(known.before)?.strip_suffix(known.behind)?;
        match known.leads {
            _ if variable.is_empty() != known.is_whole() => None,
            Leads::Anywhere => Some(Told::Within(Area::GLOBAL)),
            Leads::AsAccountSays => Some(Told::AsAccountSays),
            Leads::ToRegion => Some(location(path).unwrap_or(Told::Region(variable))),
            Leads::ToArea => Some(Told::Within(Area::of_zone(variable)?)),
            Leads::AsPathSays => Some(location(path).unwrap_or(Told::Within(Area::GLOBAL))),
        }
    })
}

/// The location in the path of a Vertex project, which stands above the host.
fn location(path: &str) -> Option<Told<'_>> {
    let mut parts = path.split('/').skip_while(|part| *part != "locations");
    let named = parts.nth(1).filter(|named| !named.is_empty())?;
    match named {
        "global" => Some(Told::Within(Area::GLOBAL)),
        "us" | "eu" => Area::of_zone(named).map(Told::Within),
        region => Some(Told::Region(region)),
    }
}

/// What the name of a model or deployment tells of where it is processed. `region` is that of the
/// upstream, as its configuration has it.
#[must_use]
pub fn told_by_model<'a>(dialect: Dialect, name: &'a str, region: &str) -> Option<Told<'a>> {
    match dialect {
        Dialect::Bedrock => told_by_profile(name),
        Dialect::AzureOpenAi => told_by_deployment(name, region),
        Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini => None,
    }
}

/// A profile that crosses regions is told by what stands before the first dot; in an ARN that names
/// no profile, the region is told. (An application's own profile hides where it leads.)
fn told_by_profile(name: &str) -> Option<Told<'_>> {
    let Some(arn) = name.strip_prefix("arn:") else { return profile(name) };
    let mut parts = arn.splitn(5, ':').skip(2);
    let (region, resource) = (parts.next()?, parts.nth(1)?);
    match resource.split_once('/') {
        Some(("inference-profile", id)) => profile(id),
        Some(("foundation-model" | "provisioned-model" | "custom-model" | "imported-model", _)) => {
            Some(Told::Region(region)).filter(|_| !region.is_empty())
        }
        _ => None,
    }
}

fn profile(id: &str) -> Option<Told<'static>> {
    let (prefix, _) = id.split_once('.')?;
    PROFILES.iter().find(|(known, _)| *known == prefix).map(|(_, area)| Told::Within(*area))
}

/// Deployments are named by people; many put the type of deployment into the name.
fn told_by_deployment<'a>(name: &str, region: &str) -> Option<Told<'a>> {
    let words: Vec<String> = name
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .map(str::to_ascii_lowercase)
        .filter(|word| !word.is_empty())
        .collect();
    let is_data_zone = words.iter().any(|word| word.starts_with("datazone"))
        || words.windows(2).any(|pair| pair[0] == "data" && pair[1].starts_with("zone"));
    if is_data_zone {
        return Area::of_region(region).and_then(Area::data_zone).map(Told::Within);
    }
    let is_global = words.iter().any(|word| {
        matches!(word.as_str(), "global" | "globalstandard" | "globalbatch" | "globalprovisioned")
    });
    is_global.then_some(Told::Within(Area::GLOBAL))
}

/// True when two texts name one place: providers write their regions with and without spaces, dashes
/// and capitals.
#[must_use]
pub fn same_place(one: &str, other: &str) -> bool {
    let letters = |text: &'_ str| -> Vec<u8> {
        text.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()).collect()
    };
    one.eq_ignore_ascii_case(other) || {
        let (one, other) = (letters(one), letters(other));
        !one.is_empty() && one == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn within(area: &'static str) -> Option<Told<'static>> {
        Some(Told::Within(Area(area)))
    }

    #[test]
    fn addresses_tell_where_they_lead() {
        let cases = [
            ("api.openai.com", "/v1", within("global")),
            ("eu.api.openai.com", "/v1", within("eu")),
            ("us.api.openai.com", "/v1", within("us")),
            ("jp.api.openai.com", "/v1", within("jp")),
            ("notapi.openai.com", "/v1", None),
            ("api.openai.com.example", "/v1", None),
            ("api.anthropic.com", "", Some(Told::AsAccountSays)),
            ("generativelanguage.googleapis.com", "", within("global")),
            ("bedrock-runtime.eu-central-1.amazonaws.com", "", Some(Told::Region("eu-central-1"))),
            ("bedrock-runtime-fips.us-east-1.amazonaws.com", "", Some(Told::Region("us-east-1"))),
            ("bedrock-runtime.us-west-2.api.aws", "", Some(Told::Region("us-west-2"))),
            ("bedrock-runtime.amazonaws.com", "", None),
            ("europe-west4-aiplatform.googleapis.com", "", Some(Told::Region("europe-west4"))),
            ("aiplatform.googleapis.com", "/v1/projects/p/locations/global", within("global")),
            (
                "aiplatform.googleapis.com",
                "/v1/projects/p/locations/us-east5",
                Some(Told::Region("us-east5")),
            ),
            ("aiplatform.googleapis.com", "/v1", within("global")),
            ("aiplatform.eu.rep.googleapis.com", "/v1/projects/p/locations/eu", within("eu")),
            ("swedencentral.api.cognitive.microsoft.com", "", Some(Told::Region("swedencentral"))),
            ("contoso-eastus.openai.azure.com", "", None),
            ("127.0.0.1", "/v1/locations/", None),
        ];
        for (host, path, want) in cases {
            assert_eq!(told_by_address(host, path), want, "{host}{path}");
        }
    }

    #[test]
    fn names_of_models_tell_of_profiles_and_deployments() {
        use Dialect::{AzureOpenAi, Bedrock, OpenAi};
        let cases = [
            (Bedrock, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", within("us")),
            (Bedrock, "eu.amazon.nova-pro-v1:0", within("eu")),
            (Bedrock, "apac.amazon.nova-pro-v1:0", within("apac")),
            (Bedrock, "jp.anthropic.claude-sonnet-4-5-20250929-v1:0", within("jp")),
            (Bedrock, "global.anthropic.claude-sonnet-4-5-20250929-v1:0", within("global")),
            (Bedrock, "amazon.nova-pro-v1:0", None),
            (
                Bedrock,
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.amazon.nova-pro-v1:0",
                within("global"),
            ),
            (
                Bedrock,
                "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-pro-v1:0",
                Some(Told::Region("eu-west-1")),
            ),
            (Bedrock, "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", None),
            (Bedrock, "arn:", None),
            (AzureOpenAi, "gpt-4o-global", within("global")),
            (AzureOpenAi, "GlobalStandard_gpt4o", within("global")),
            (AzureOpenAi, "gpt-4o-datazone", within("eu")),
            (AzureOpenAi, "gpt-4o-data-zone-standard", within("eu")),
            (AzureOpenAi, "globally-unique", None),
            (OpenAi, "global.model", None),
        ];
        for (dialect, name, want) in cases {
            assert_eq!(told_by_model(dialect, name, "swedencentral"), want, "{name}");
        }
        assert_eq!(told_by_model(AzureOpenAi, "x-datazone", "eastus2"), within("us"));
        assert_eq!(told_by_model(AzureOpenAi, "x-datazone", "uksouth"), None, "there is none");
    }

    #[test]
    fn areas_hold_their_parts_and_nothing_else() {
        let area = |name| Area::of_zone(name).unwrap_or_else(|| panic!("{name}"));
        let cases = [
            ("eu", "swedencentral", true),
            ("eu", "eu-central-1", true),
            ("eu", "eu-west-2", false),
            ("europe", "eu-west-2", true),
            ("europe", "germanywestcentral", true),
            ("eu", "us", false),
            ("us", "East US 2", true),
            ("germany", "eu", false),
            ("apac", "japaneast", true),
            ("global", "us", true),
            ("us", "global", false),
            ("USA", "us-gov-west-1", true),
        ];
        for (outer, inner, want) in cases {
            assert_eq!(area(outer).holds(area(inner)), want, "{outer} {inner}");
        }
        assert_eq!(Area::of_answer("not_available"), None);
        assert_eq!(Area::of_zone("contoso"), None);
    }

    #[test]
    fn no_region_stands_in_two_areas() {
        let all = || REGIONS.iter().flat_map(|(area, names)| names.iter().map(move |name| (area, name)));
        for (area, name) in all() {
            let rows = all().filter(|(_, other)| same_place(name, other));
            assert!(rows.clone().all(|(other, _)| other == area), "{name}");
            assert!(
                HOLDS.iter().any(|(_, inner)| inner.contains(&area.0)) || Area::of_zone(area.0).is_some()
            );
        }
    }
}
