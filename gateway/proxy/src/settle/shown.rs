//! What an answer shows of its upstream that the configuration did not say: counted, told, and left for
//! whoever sends alerts.

use std::sync::Arc;

use tollgate_accounting::ledger::{Entry, Flags, Place};
use tollgate_dialect::Reported;
use tollgate_telemetry::{residency_violated, served_model_changed};

use crate::{findings::Finding, residency, snapshot::Target, worker::Worker};

/// Where the answer was processed, and whether that is where its upstream is declared to process.
pub(super) fn place(target: &Target, reported: &Reported) -> (Arc<Place>, Flags) {
    match reported.place.as_deref().and_then(|word| residency::elsewhere(target, word)) {
        Some(place) => (place, Flags::ZONE_DIFFERS),
        None => (Arc::clone(&target.place), Flags::default()),
    }
}

/// Tells what the row of an answer shows; `word` is the place that the answer names.
pub(super) fn tell(worker: &Worker, target: &Target, entry: &Entry, word: Option<&str>) {
    if entry.flags.contains(Flags::ZONE_DIFFERS)
        && let (Some(place), Some(word)) = (&entry.place, word)
    {
        processed_elsewhere(worker, target, place, word, entry);
    }
    if let Some(model) = &entry.served_model
        && let Some(before) = target.live.served.answered(model, entry.ended_at)
    {
        model_changed(worker, target, (before, model.clone()), entry);
    }
}

fn processed_elsewhere(worker: &Worker, target: &Target, place: &Place, word: &str, entry: &Entry) {
    let upstream = &target.upstream.name;
    residency_violated(upstream.as_str());
    let finding = Finding::Elsewhere {
        upstream: upstream.clone(),
        declared: target.place.zone.clone(),
        place: word.into(),
        zone: place.zone.clone(),
    };
    if worker.shared.live.findings.is_news(&finding, entry.ended_at) {
        tracing::error!(
            upstream = upstream.as_str(),
            declared = target.place.zone.as_str(),
            place = word,
            zone = place.zone.as_str(),
            request_id = %entry.id,
            "an answer names a place outside the zones that its upstream is declared for"
        );
    }
}

fn model_changed(worker: &Worker, target: &Target, (from, to): (Box<str>, Box<str>), entry: &Entry) {
    served_model_changed(target.upstream.name.as_str(), target.model.as_str());
    let finding = Finding::ModelChanged { target: target.live.name.clone(), from, to };
    if worker.shared.live.findings.is_news(&finding, entry.ended_at)
        && let Finding::ModelChanged { from, to, .. } = &finding
    {
        tracing::warn!(
            target_name = &*target.live.name,
            from,
            to,
            request_id = %entry.id,
            "an upstream serves another model than before"
        );
    }
}
