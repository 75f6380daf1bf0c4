//! Where a deployment stands.

use std::net::IpAddr;

use tollgate_dialect::{Area, Told, told_by_address};
use url::{Host, Url};

use super::{
    super::{providers::Provider, secrets::setting},
    Node,
};

/// The region of what does not say where it stands, and its zone: a project with zones gets nothing there.
const ANYWHERE: (&str, &str) = ("anywhere", "global");

/// An address and what is known of it.
pub(super) struct Place {
    pub(super) address: String,
    pub(super) region: String,
    pub(super) zone: String,
    /// False when nobody has said where it is.
    pub(super) is_known: bool,
    pub(super) is_private: bool,
    /// What tells it from others of its provider.
    pub(super) label: Option<String>,
}

impl Place {
    /// `None` when it says neither its address nor what the address is made of.
    pub(super) fn of<'n>(provider: &Provider, field: &impl Fn(&str) -> Option<&'n Node>) -> Option<Self> {
        let said =
            ["aws_region_name", "region_name"].into_iter().find_map(|name| field(name).and_then(setting));
        let given = ["api_base", "base_url"].into_iter().find_map(|name| field(name).and_then(setting));
        let is_given = given.is_some();
        let address = match (given, provider.dialect, &said) {
            (Some(given), dialect, _) => root(&given, dialect),
            (None, "bedrock", Some(region)) if !region.contains('$') => {
                format!("https://bedrock-runtime.{region}.amazonaws.com")
            }
            (None, ..) => provider.address?.to_owned(),
        };
        let url = Url::parse(&address).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let path = url.as_ref().map_or("/", Url::path);
        let told = match told_by_address(host, path) {
            Some(Told::Region(region)) => Some(region.to_owned()),
            _ => None,
        };
        let region = said.filter(|said| !said.contains('$')).or(told);
        let is_known = region.is_some() || !is_given;
        let zone = region.as_deref().and_then(Area::of_region).map_or(ANYWHERE.1, Area::as_str).to_owned();
        let label = (is_given || region.is_some())
            .then(|| region.clone().or_else(|| host.split('.').next().map(str::to_owned)))
            .flatten()
            .map(|label| label.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>())
            .filter(|label| !label.is_empty());
        let is_private = url.as_ref().and_then(Url::host).is_some_and(|host| is_private(&host));
        let region = region.unwrap_or_else(|| ANYWHERE.0.to_owned());
        Some(Self { address, region, zone, is_known, is_private, label })
    }
}

/// An address as ours have it: with `/v1` for OpenAI's dialect, the host root for the others. What is no
/// address yet, such as a reference, stays as it is.
fn root(given: &str, dialect: &str) -> String {
    let given = given.trim_end_matches('/');
    let Some((scheme, rest)) = given.split_once("://") else { return given.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, _)| (host, &rest[host.len()..]));
    let cuts: &[&str] = match dialect {
        "azure-openai" => &["/openai"],
        "anthropic" => &["/v1"],
        "openai" => &["/chat/completions"],
        "gemini" => &["/v1beta", "/v1"],
        _ => &[],
    };
    let cut = cuts.iter().find_map(|cut| path.split_once(cut).map(|(before, _)| before));
    format!("{scheme}://{host}{}", cut.unwrap_or(path).trim_end_matches('/'))
}

/// True for addresses that the open internet does not lead to.
fn is_private(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let inner = [".local", ".internal", ".lan", ".svc", ".localhost"];
            *name == "localhost" || inner.iter().any(|end| name.ends_with(end))
        }
        Host::Ipv4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback() || address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut_to_what_ours_are() {
        let cases = [
            (
                "azure-openai",
                "https://openai-east.openai.azure.com/openai/deployments/x",
                "https://openai-east.openai.azure.com",
            ),
            ("azure-openai", "https://a.openai.azure.com/", "https://a.openai.azure.com"),
            ("openai", "http://10.0.0.7:8000/v1/chat/completions", "http://10.0.0.7:8000/v1"),
            ("openai", "https://own.example/api/v1/", "https://own.example/api/v1"),
            ("anthropic", "https://own.example/v1/messages", "https://own.example"),
            ("gemini", "https://own.example/v1beta", "https://own.example"),
            ("azure-openai", "${env:AZURE_API_BASE}", "${env:AZURE_API_BASE}"),
        ];
        for (dialect, given, want) in cases {
            assert_eq!(root(given, dialect), want, "{dialect} {given}");
        }
    }
}
