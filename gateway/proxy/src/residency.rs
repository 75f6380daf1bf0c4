//! Where an answer was processed: where its upstream is declared to process, unless the answer itself
//! names another place.
//!
//! What the configuration says of its own regions stands above what is known of a provider's. A word
//! that means nothing here contradicts nothing.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tollgate_accounting::ledger::Place;
use tollgate_dialect::{Area, same_place};
use tollgate_domain::ZoneName;

use crate::snapshot::{Target, Upstream};

/// Places that are remembered of one target.
const MOST: usize = 8;

/// What answers of a target have named so far, so that each word is weighed once.
#[derive(Default)]
pub(crate) struct Named {
    /// The first word that agreed with what is declared: as a rule the only one.
    agreed: OnceLock<Box<str>>,
    /// Words that did not, with the place that their rows have.
    elsewhere: Mutex<Vec<(Box<str>, Arc<Place>)>>,
}

/// The place for the row of an answer that names `word`; `None` where that is within what is declared.
pub(crate) fn elsewhere(target: &Target, word: &str) -> Option<Arc<Place>> {
    let named = target.prepared.named();
    if named.agreed.get().is_some_and(|agreed| **agreed == *word) {
        return None;
    }
    let mut known = named.elsewhere.lock();
    if let Some((_, place)) = known.iter().find(|(known, _)| **known == *word) {
        return Some(Arc::clone(place));
    }
    let Some(zone) = other_zone(&target.upstream, word) else {
        // A second word that agrees is weighed each time.
        let _ = named.agreed.set(word.into());
        return None;
    };
    let place = Arc::new(Place { zone, ..(*target.place).clone() });
    if known.len() < MOST {
        known.push((word.into(), Arc::clone(&place)));
    }
    Some(place)
}

/// The zone that the word of an answer means, if its upstream is not declared to process there.
fn other_zone(upstream: &Upstream, word: &str) -> Option<ZoneName> {
    let declared = || upstream.zones.iter().map(|zone| Area::of_zone(zone.as_str()));
    let is_anywhere = declared().any(|area| area == Some(Area::GLOBAL));
    let own = upstream.region_zones.iter().find(|(region, _)| same_place(region.as_str(), word));
    if let Some((_, zone)) = own {
        return (!is_anywhere && !upstream.zones.contains(zone)).then(|| zone.clone());
    }
    let area = Area::of_answer(word)?;
    // A zone whose name is not known may be just there.
    let contradicts = declared().all(|declared| declared.is_some_and(|declared| !declared.holds(area)));
    contradicts.then(|| {
        let zones = upstream.region_zones.iter().map(|(_, zone)| zone);
        let own = zones.into_iter().find(|zone| Area::of_zone(zone.as_str()) == Some(area));
        own.cloned().unwrap_or_else(|| area.as_str().into())
    })
}
