//! Values to bytes. The buffer is the caller's and reused: after it has grown, nothing is allocated.

use std::{collections::HashMap, sync::Arc};

use tollgate_domain::{Name, RequestId, Usage, UsageSource};

use super::{MAX_REQUEST_TAGS, MAX_SHARED, clip, field, wire::FieldWriter};
use crate::{
    ledger::entry::{Attempt, Entry, Identity, Place, Start},
    price::Meter,
};

/// Bytes that nearly every record stays below.
const USUAL_LENGTH: usize = 1_024;

/// Appends the encoded row to `out`. Its `seq` is the store's and not part of it; texts that come
/// from outside are cut at 512 bytes.
pub fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    Encoder::default().entry(entry, out);
}

/// Encodes records and remembers the encoded form of what they have in common: a thousand rows of
/// one key have one identity.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Encoder {
    identities: Known<Identity>,
    places: Known<Place>,
}

impl Encoder {
    /// Appends a row as [`encode_entry`] does.
    pub(in crate::ledger) fn entry(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        out.reserve(USUAL_LENGTH);
        let identity = self.identities.encoded(&entry.identity, write_identity);
        let place = entry.place.as_ref().map(|place| self.places.encoded(place, write_place));
        write_entry(&mut FieldWriter(out), entry, identity, place);
    }

    /// Appends a START.
    pub(in crate::ledger) fn start(&mut self, start: &Start<'_>, out: &mut Vec<u8>) {
        out.reserve(USUAL_LENGTH);
        let identity = self.identities.encoded(start.identity, write_identity);
        write_start(&mut FieldWriter(out), start, identity);
    }
}

/// Shared parts and their encoded forms, found by address. The parts are kept beside the forms, so
/// that no address is ever reused while it is a key.
#[derive(Debug)]
struct Known<T>(HashMap<usize, (Arc<T>, Vec<u8>), foldhash::fast::RandomState>);

impl<T> Known<T> {
    fn encoded(&mut self, part: &Arc<T>, write: impl FnOnce(&mut FieldWriter<'_>, &T)) -> &[u8] {
        // Beyond this many it starts anew; configurations that are gone leave that way.
        if self.0.len() >= MAX_SHARED {
            self.0.clear();
        }
        let known = self.0.entry(Arc::as_ptr(part).addr()).or_insert_with(|| {
            let mut encoded = Vec::new();
            write(&mut FieldWriter(&mut encoded), part);
            (Arc::clone(part), encoded)
        });
        &known.1
    }
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

fn write_entry(to: &mut FieldWriter<'_>, entry: &Entry, identity: &[u8], place: Option<&[u8]>) {
    to.bytes(field::ID, &entry.id.to_bytes());
    to.number(field::KIND, entry.kind.number());
    to.signed(field::STARTED_AT, entry.started_at.get());
    to.signed(field::ENDED_AT, entry.ended_at.get());
    to.encoded(identity);
    write_request_tags(to, &entry.request_tags);
    to.optional_text(field::END_USER, entry.end_user.as_deref().map(clip));
    to.optional_text(field::SESSION, entry.session.as_deref().map(clip));
    to.optional_text(field::CLIENT, entry.client.as_deref().map(clip));
    to.text(field::MODEL, clip(entry.model.as_str()));
    if let Some(place) = place {
        to.encoded(place);
    }
    to.optional_text(field::SERVED_MODEL, entry.served_model.as_deref().map(clip));
    to.text(field::DIALECT, &entry.dialect);
    to.text(field::OPERATION, &entry.operation);
    to.number(field::STREAM, entry.stream.into());
    to.number(field::STATUS, entry.status.into());
    to.optional_text(field::ERROR_CODE, entry.error_code.as_deref().map(clip));
    to.number(field::END, entry.end.map_or(0, |end| end.number()));
    to.number(field::SERVED_BY, entry.served_by.number());
    write_usage(to, &entry.usage);
    to.number(field::USAGE_SOURCE, source_number(entry.usage_source));
    for meter in &entry.meters {
        write_meter(to, field::METER, meter);
    }
    to.optional_text(field::SERVICE_TIER, entry.service_tier.as_deref().map(clip));
    if let Some(cost) = entry.cost {
        to.money(field::COST, cost);
    }
    to.text(field::CURRENCY, &entry.currency);
    to.money(field::RESERVED_COST, entry.reserved_cost);
    to.money(field::WASTE_COST, entry.waste_cost);
    for attempt in &entry.attempts {
        write_attempt(to, attempt);
    }
    to.optional_text(field::UPSTREAM_REQUEST_ID, entry.upstream_request_id.as_deref().map(clip));
    to.optional_text(field::TRACE_ID, entry.trace_id.as_deref().map(clip));
    if let Some(ttft) = entry.ttft_ms {
        to.present_number(field::TTFT_MS, ttft.into());
    }
    to.number(field::DURATION_MS, entry.duration_ms.into());
    to.number(field::CONFIG_VERSION, entry.config_version);
    if let Some(adjusts) = entry.adjusts {
        to.bytes(field::ADJUSTS, &adjusts.to_bytes());
    }
    to.number(field::FLAGS, entry.flags.bits().into());
}

fn write_start(to: &mut FieldWriter<'_>, start: &Start<'_>, identity: &[u8]) {
    to.bytes(field::ID, &start.id.to_bytes());
    to.signed(field::STARTED_AT, start.started_at.get());
    to.encoded(identity);
    write_request_tags(to, start.request_tags);
    to.optional_text(field::END_USER, start.end_user.map(clip));
    to.optional_text(field::SESSION, start.session.map(clip));
    to.optional_text(field::CLIENT, start.client.map(clip));
    to.text(field::MODEL, clip(start.model.as_str()));
    to.text(field::DIALECT, start.dialect);
    to.text(field::OPERATION, start.operation);
    to.number(field::STREAM, start.stream.into());
    to.text(field::CURRENCY, start.currency);
    to.money(field::RESERVED_COST, start.reserved_cost);
    to.number(field::CONFIG_VERSION, start.config_version);
    to.number(field::INPUT_ESTIMATE, start.input_estimate);
    to.number(field::OUTPUT_RESERVED, start.output_reserved);
    to.number(field::HARD, start.hard.into());
    if let Some(price) = &start.price {
        to.nested(field::START_PRICE, |to| {
            to.text(1, price.price_id);
            to.text(2, price.currency);
            to.signed(3, price.input.pico());
            to.signed(4, price.output.pico());
        });
    }
}

/// Appends the encoded CHECKPOINT to `out`.
pub(in crate::ledger) fn encode_checkpoint(id: RequestId, output_tokens: u64, out: &mut Vec<u8>) {
    let mut to = FieldWriter(out);
    to.bytes(field::ID, &id.to_bytes());
    to.number(field::OUTPUT_SO_FAR, output_tokens);
}

fn write_identity(to: &mut FieldWriter<'_>, identity: &Identity) {
    to.nested(field::IDENTITY, |to| {
        to.text(1, &identity.organization);
        to.text(2, &identity.instance);
        to.text(3, identity.team.as_str());
        to.text(4, identity.project.as_str());
        to.text(5, identity.key.as_str());
        to.optional_text(6, identity.cost_center.as_deref());
        for tag in &identity.tags {
            write_tag(to, 7, tag);
        }
    });
}

fn write_request_tags(to: &mut FieldWriter<'_>, tags: &[(Name, Name)]) {
    for tag in tags.iter().take(MAX_REQUEST_TAGS) {
        write_tag(to, field::REQUEST_TAG, tag);
    }
}

fn write_tag(to: &mut FieldWriter<'_>, number: u64, (name, value): &(Name, Name)) {
    to.nested(number, |to| {
        to.text(1, clip(name));
        to.text(2, clip(value));
    });
}

fn write_place(to: &mut FieldWriter<'_>, place: &Place) {
    to.nested(field::PLACE, |to| {
        to.text(1, &place.provider);
        to.optional_text(2, place.account.as_deref());
        to.text(3, place.upstream.as_str());
        to.text(4, place.upstream_model.as_str());
        to.text(5, place.region.as_str());
        to.text(6, place.zone.as_str());
    });
}

fn write_usage(to: &mut FieldWriter<'_>, usage: &Usage) {
    to.nested(field::USAGE, |to| {
        to.number(1, usage.input_uncached);
        to.number(2, usage.input_audio);
        to.number(3, usage.cache_read);
        to.number(4, usage.cache_write_5m);
        to.number(5, usage.cache_write_1h);
        to.number(6, usage.cache_write_other);
        to.number(7, usage.output_text);
        to.number(8, usage.output_reasoning);
        to.number(9, usage.output_audio);
        to.number(10, usage.web_searches);
        to.number(11, usage.cache_read_excess);
        to.number(12, usage.input_image);
        to.number(13, usage.output_image);
        to.number(14, usage.units.images);
        to.number(15, usage.units.audio_millis);
        to.number(16, usage.units.characters);
        to.number(17, usage.units.search_units);
        to.number(18, usage.cache_read_audio);
    });
}

fn write_meter(to: &mut FieldWriter<'_>, number: u64, meter: &Meter) {
    to.nested(number, |to| {
        to.text(1, meter.meter.as_str());
        to.number(2, meter.quantity);
        to.signed(3, meter.unit_price.pico());
        to.money(4, meter.cost);
        to.text(5, &meter.price_id);
        if let Some(list) = meter.list_price {
            to.present_signed(6, list.pico());
        }
    });
}

fn write_attempt(to: &mut FieldWriter<'_>, attempt: &Attempt) {
    to.nested(field::ATTEMPT, |to| {
        to.number(1, attempt.n.into());
        to.text(2, attempt.upstream.as_str());
        to.text(3, attempt.region.as_str());
        to.text(4, clip(&attempt.outcome));
        if let Some(status) = attempt.status {
            to.present_number(5, status.into());
        }
        to.optional_text(6, attempt.upstream_request_id.as_deref().map(clip));
        if let Some(ttft) = attempt.ttft_ms {
            to.present_number(7, ttft.into());
        }
        to.number(8, attempt.duration_ms.into());
        for meter in &attempt.meters {
            write_meter(to, 9, meter);
        }
        to.money(10, attempt.waste);
    });
}

const fn source_number(source: UsageSource) -> u64 {
    match source {
        UsageSource::Reported => 1,
        UsageSource::Counted => 2,
        UsageSource::Estimated => 3,
    }
}
