//! Residency: whether what is declared can be true, as far as the names of addresses and models tell.
//!
//! What the configuration says of its own regions stands above what is known of a provider's.

use tollgate_dialect::{Area, Told, same_place, told_by_address, told_by_model};
use url::Url;

use crate::config::{
    compile::dialect_of,
    file::{ConfigFile, Target, Upstream},
    problem::Path,
};

use super::Check;

impl Check<'_> {
    /// Addresses, models and deployments whose names are known to mean another zone than declared.
    pub(super) fn places(&mut self) {
        let file = self.file;
        for (index, upstream) in file.upstreams.iter().enumerate() {
            let here = Path::default().field("upstreams").index(index).field("base_url");
            self.address(here, upstream);
        }
        for (index, model) in file.models.iter().enumerate() {
            let targets = Path::default().field("models").index(index).field("targets");
            for (position, target) in model.targets.iter().enumerate() {
                self.name_of_model(targets.index(position).field("model"), target);
            }
        }
    }

    fn address(&mut self, here: Path, upstream: &Upstream) {
        let Ok(url) = Url::parse(&upstream.base_url) else { return };
        let Some(host) = url.host_str() else { return };
        let Some(told) = told_by_address(host, url.path()) else { return };
        let zones = declared_zones(self.file, upstream);
        let Some(place) = contradiction(self.file, told, upstream, &zones) else { return };
        let name = match told {
            Told::Region(_) => "this address".to_owned(),
            Told::Within(_) | Told::AsAccountSays => format!("`{host}`"),
        };
        let message = format!(
            "{name} processes {place}, and `{}` is declared for {}: correct `processing` or the region",
            upstream.name,
            listed(&zones)
        );
        self.warn(here, message);
    }

    fn name_of_model(&mut self, here: Path, target: &Target) {
        let file = self.file;
        let Some(upstream) = file.upstreams.iter().find(|known| known.name == target.upstream) else {
            return;
        };
        let told = told_by_model(dialect_of(upstream.dialect), &target.model, &upstream.region);
        let Some(told) = told else { return };
        let zones = declared_zones(file, upstream);
        let Some(place) = contradiction(file, told, upstream, &zones) else { return };
        let message = format!(
            "by its name `{}` is processed {place}, and `{}` is declared for {}: correct `processing` of the upstream",
            target.model,
            upstream.name,
            listed(&zones)
        );
        self.warn(here, message);
    }
}

/// The zones in which an upstream is declared to process.
pub(super) fn declared_zones<'a>(file: &'a ConfigFile, upstream: &'a Upstream) -> Vec<&'a str> {
    match &upstream.processing {
        Some(zones) => zones.iter().map(String::as_str).collect(),
        None => {
            let region = file.regions.iter().find(|region| region.name == upstream.region);
            region.map(|region| region.zone.as_str()).into_iter().collect()
        }
    }
}

/// Where a name leads, in words, if that is not within the zones declared. A zone of a name that is not
/// known may be anything but everything.
fn contradiction(file: &ConfigFile, told: Told<'_>, upstream: &Upstream, zones: &[&str]) -> Option<String> {
    let areas: Vec<Option<Area>> = zones.iter().map(|zone| Area::of_zone(zone)).collect();
    let holds = |place: Area| areas.iter().flatten().any(|area| area.holds(place));
    let may_be = |place: Area| areas.contains(&None) && place != Area::GLOBAL;
    let (place, words) = match told {
        Told::Region(region) => {
            let own = file.regions.iter().find(|known| same_place(&known.name, region));
            if let Some(own) = own {
                let is_declared = zones.contains(&own.zone.as_str()) || holds(Area::GLOBAL);
                let words = format!("in {region}, which is of the zone {}", own.zone);
                return (!is_declared).then_some(words);
            }
            (Area::of_region(region)?, format!("in {region}"))
        }
        Told::Within(Area::GLOBAL) => (Area::GLOBAL, "anywhere in the world".to_owned()),
        Told::Within(area) => (area, format!("anywhere in {}", area.as_str())),
        // Who says where the account is set to has said what no name can tell.
        Told::AsAccountSays if upstream.processing.is_some() => return None,
        Told::AsAccountSays => {
            (Area::GLOBAL, "anywhere in the world unless the account is set to a geography".to_owned())
        }
    };
    (!zones.is_empty() && !holds(place) && !may_be(place)).then_some(words)
}

fn listed(zones: &[&str]) -> String {
    let word = if zones.len() == 1 { "the zone" } else { "the zones" };
    format!("{word} {}", zones.join(", "))
}
