//! The addresses of those who hand credentials out: well known, or configured, or given by the machine's
//! maker in variables. Clear text is only spoken with this machine and its metadata endpoint; elsewhere
//! TLS shows who answers, so that private addresses are as good as others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tollgate_proxy::{Origin, Scheme};
use url::{Host, Url};

/// Of EC2, Azure and Google Cloud machines alike.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Of EC2 machines, in IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// Of containers at ECS and at EKS.
const CONTAINERS: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];
/// The name that Google Cloud machines know their metadata endpoint by.
const GOOGLE_METADATA: &str = "metadata.google.internal";

/// An address that somebody has written down.
pub(super) fn address(text: &str) -> Result<Url, String> {
    let unusable = || "expected an address such as https://issuer.example/token".to_owned();
    let url = Url::parse(text).map_err(|_| unusable())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if plain && url.has_host() && matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(unusable())
    }
}

/// Where an address leads.
pub(super) fn origin(url: &Url) -> Result<Origin, String> {
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    if scheme == Scheme::Http && !is_near(url) {
        return Err("credentials are fetched by https, or from this machine and its metadata endpoint".into());
    }
    let host = url.host_str().ok_or("expected an address with a host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().ok_or("expected an address with a port")?;
    Ok(Origin { scheme, host, port, allow_private: true })
}

/// This machine, or the metadata endpoint that belongs to it.
fn is_near(url: &Url) -> bool {
    let is_metadata = |address: IpAddr| {
        address.is_loopback()
            || address == METADATA
            || address == METADATA_V6
            || CONTAINERS.contains(&address)
    };
    match url.host() {
        Some(Host::Ipv4(address)) => is_metadata(address.into()),
        Some(Host::Ipv6(address)) => is_metadata(address.into()),
        Some(Host::Domain(name)) => name == GOOGLE_METADATA || name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_is_spoken_with_near_addresses_only() {
        let cases = [
            ("http://127.0.0.1:9/x", true),
            ("http://[::1]/", true),
            ("http://localhost/", true),
            ("http://169.254.169.254/", true),
            ("http://[fd00:ec2::254]/", true),
            ("http://169.254.170.2/v2", true),
            ("http://[fd00:ec2::23]/v1", true),
            ("http://metadata.google.internal/x", true),
            ("http://10.0.0.1/", false),
            ("http://169.254.1.1/", false),
            ("http://metadata.example/", false),
            ("https://10.0.0.1/", true),
        ];
        for (text, taken) in cases {
            assert_eq!(origin(&address(text).expect(text)).is_ok(), taken, "{text}");
        }
        for text in ["", "ftp://a/", "http://u:p@127.0.0.1/", "/token", "http://127.0.0.1/#x"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
