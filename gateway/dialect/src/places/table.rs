//! What is known of providers' places. Regions that are built later are added here.

use super::Area;

/// A kind of host: what stands before and behind its variable part, and where it leads. Without a
/// `behind` it is one whole host.
pub(super) struct Host {
    pub(super) before: &'static str,
    pub(super) behind: &'static str,
    pub(super) leads: Leads,
}

impl Host {
    /// True for one host without a variable part.
    pub(super) const fn is_whole(&self) -> bool {
        self.behind.is_empty()
    }
}

/// Where a host leads.
#[derive(Clone, Copy)]
pub(super) enum Leads {
    Anywhere,
    AsAccountSays,
    /// The variable part is a region.
    ToRegion,
    /// The variable part is an area.
    ToArea,
    /// To the location that the path names; anywhere without one.
    AsPathSays,
}

const fn host(before: &'static str, behind: &'static str, leads: Leads) -> Host {
    Host { before, behind, leads }
}

/// Hosts; the first that fits counts.
pub(super) const HOSTS: [Host; 13] = [
    host("api.openai.com", "", Leads::Anywhere),
    host("", ".api.openai.com", Leads::ToArea),
    // Its workspaces may be set to a geography.
    host("api.anthropic.com", "", Leads::AsAccountSays),
    host("generativelanguage.googleapis.com", "", Leads::Anywhere),
    host("aiplatform.googleapis.com", "", Leads::AsPathSays),
    host("", "-aiplatform.googleapis.com", Leads::ToRegion),
    host("aiplatform.", ".rep.googleapis.com", Leads::ToArea),
    host("bedrock-runtime.", ".amazonaws.com", Leads::ToRegion),
    host("bedrock-runtime-fips.", ".amazonaws.com", Leads::ToRegion),
    host("bedrock-runtime.", ".api.aws", Leads::ToRegion),
    host("bedrock-runtime-fips.", ".api.aws", Leads::ToRegion),
    host("bedrock-runtime.", ".amazonaws.com.cn", Leads::ToRegion),
    host("", ".api.cognitive.microsoft.com", Leads::ToRegion),
];

/// Prefixes of Bedrock's profiles that cross regions, with where these process.
pub(super) const PROFILES: [(&str, Area); 8] = [
    ("us", Area("us")),
    ("us-gov", Area("us")),
    ("eu", Area("eu")),
    ("apac", Area("apac")),
    ("jp", Area("jp")),
    ("au", Area("au")),
    ("ca", Area("ca")),
    ("global", Area::GLOBAL),
];

/// Which areas have which parts.
pub(super) const HOLDS: [(&str, &[&str]); 3] = [
    ("europe", &["eu", "uk", "ch", "no"]),
    ("eu", &["at", "be", "de", "dk", "es", "fi", "fr", "gr", "ie", "it", "nl", "pl", "se"]),
    ("apac", &["au", "hk", "id", "in", "jp", "kr", "my", "nz", "sg", "th", "tw"]),
];

/// Usual names of zones.
pub(super) const ZONES: [(Area, &[&str]); 38] = [
    (Area::GLOBAL, &["global", "world", "worldwide", "any", "anywhere"]),
    (Area("europe"), &["europe"]),
    (Area("eu"), &["eu", "european-union"]),
    (Area("apac"), &["apac", "asia-pacific"]),
    (Area("us"), &["us", "usa", "united-states", "us-gov"]),
    (Area("ae"), &["ae", "uae"]),
    (Area("at"), &["at", "austria"]),
    (Area("au"), &["au", "australia"]),
    (Area("be"), &["be", "belgium"]),
    (Area("br"), &["br", "brazil"]),
    (Area("ca"), &["ca", "canada"]),
    (Area("ch"), &["ch", "switzerland"]),
    (Area("cl"), &["cl", "chile"]),
    (Area("cn"), &["cn", "china"]),
    (Area("de"), &["de", "germany"]),
    (Area("dk"), &["dk", "denmark"]),
    (Area("es"), &["es", "spain"]),
    (Area("fi"), &["fi", "finland"]),
    (Area("fr"), &["fr", "france"]),
    (Area("gr"), &["gr", "greece"]),
    (Area("hk"), &["hk", "hong-kong"]),
    (Area("id"), &["id", "indonesia"]),
    (Area("ie"), &["ie", "ireland"]),
    (Area("il"), &["il", "israel"]),
    (Area("in"), &["in", "india"]),
    (Area("it"), &["it", "italy"]),
    (Area("jp"), &["jp", "japan"]),
    (Area("kr"), &["kr", "korea", "south-korea"]),
    (Area("mx"), &["mx", "mexico"]),
    (Area("my"), &["my", "malaysia"]),
    (Area("nl"), &["nl", "netherlands"]),
    (Area("no"), &["no", "norway"]),
    (Area("nz"), &["nz", "new-zealand"]),
    (Area("pl"), &["pl", "poland"]),
    (Area("se"), &["se", "sweden"]),
    (Area("sg"), &["sg", "singapore"]),
    (Area("uk"), &["uk", "gb", "united-kingdom"]),
    (Area("za"), &["za", "south-africa"]),
];

/// Regions of AWS, Azure and Google Cloud by the country that they stand in.
#[rustfmt::skip]
pub(super) const REGIONS: [(Area, &[&str]); 35] = [
    (Area("us"), &[
        "us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1",
        "centralus", "eastus", "eastus2", "northcentralus", "southcentralus", "westcentralus", "westus",
        "westus2", "westus3", "usgovarizona", "usgovtexas", "usgovvirginia",
        "us-central1", "us-east1", "us-east4", "us-east5", "us-south1", "us-west1", "us-west2", "us-west3",
        "us-west4",
    ]),
    // AWS has `me-central-1` here and Google `me-central1` in Qatar: told apart by a dash alone, neither stands here.
    (Area("ae"), &["uaenorth", "uaecentral"]),
    (Area("at"), &["austriaeast"]),
    (Area("au"), &[
        "ap-southeast-2", "ap-southeast-4", "australiacentral", "australiacentral2", "australiaeast",
        "australiasoutheast", "australia-southeast1", "australia-southeast2",
    ]),
    (Area("be"), &["europe-west1", "belgiumcentral"]),
    (Area("br"), &["sa-east-1", "brazilsouth", "brazilsoutheast", "southamerica-east1"]),
    (Area("ca"), &[
        "ca-central-1", "ca-west-1", "canadacentral", "canadaeast", "northamerica-northeast1",
        "northamerica-northeast2",
    ]),
    (Area("ch"), &["eu-central-2", "switzerlandnorth", "switzerlandwest", "europe-west6"]),
    (Area("cl"), &["chilecentral", "southamerica-west1"]),
    (Area("cn"), &[
        "cn-north-1", "cn-northwest-1", "chinaeast", "chinaeast2", "chinanorth", "chinanorth2", "chinanorth3",
    ]),
    (Area("de"), &[
        "eu-central-1", "germanynorth", "germanywestcentral", "europe-west3", "europe-west10",
    ]),
    (Area("dk"), &["denmarkeast"]),
    (Area("es"), &["eu-south-2", "spaincentral", "europe-southwest1"]),
    (Area("fi"), &["finlandcentral", "europe-north1"]),
    (Area("fr"), &["eu-west-3", "francecentral", "francesouth", "europe-west9"]),
    (Area("hk"), &["ap-east-1", "eastasia", "asia-east2"]),
    (Area("id"), &["ap-southeast-3", "indonesiacentral", "asia-southeast2"]),
    (Area("ie"), &["eu-west-1", "northeurope"]),
    (Area("il"), &["il-central-1", "israelcentral", "me-west1"]),
    (Area("in"), &[
        "ap-south-1", "ap-south-2", "centralindia", "southindia", "westindia", "jioindiawest", "asia-south1",
        "asia-south2",
    ]),
    (Area("it"), &["eu-south-1", "italynorth", "europe-west8", "europe-west12"]),
    (Area("jp"), &[
        "ap-northeast-1", "ap-northeast-3", "japaneast", "japanwest", "asia-northeast1", "asia-northeast2",
    ]),
    (Area("kr"), &["ap-northeast-2", "koreacentral", "koreasouth", "asia-northeast3"]),
    (Area("mx"), &["mx-central-1", "mexicocentral", "northamerica-south1"]),
    (Area("my"), &["ap-southeast-5", "malaysiawest"]),
    (Area("nl"), &["westeurope", "europe-west4"]),
    (Area("no"), &["norwayeast", "norwaywest"]),
    (Area("nz"), &["ap-southeast-6", "newzealandnorth"]),
    (Area("pl"), &["polandcentral", "europe-central2"]),
    (Area("se"), &["eu-north-1", "swedencentral", "swedensouth", "europe-north2"]),
    (Area("sg"), &["ap-southeast-1", "southeastasia", "asia-southeast1"]),
    (Area("th"), &["ap-southeast-7"]),
    (Area("tw"), &["ap-east-2", "asia-east1", "taiwannorth"]),
    (Area("uk"), &["eu-west-2", "uksouth", "ukwest", "europe-west2"]),
    (Area("za"), &["af-south-1", "southafricanorth", "southafricawest", "africa-south1"]),
];
