//! From the facts of an exchange to its ledger row, its metrics and its access line.

use std::{borrow::Cow, rc::Rc, sync::Arc, time::Duration};

use smallvec::SmallVec;
use tollgate_accounting::{
    ledger::{Attempt, End, Entry, Flags, Kind, ServedBy},
    price::Bill,
};
use tollgate_dialect::{Operation, Reported, spoken_tokens};
use tollgate_domain::{ModelAlias, Money, UnixMillis, Usage, UsageSource};
use tollgate_telemetry::{AccessLine, RequestFacts, failed_over};

use super::{Asked, Exit, Open, Progress, Reading, RefusedCall, Spans, Ticket, shown};
use crate::{
    edge::Exchange, rejection::Rejection, series::Labels, snapshot::Waste, trace::Trace, worker::Worker,
};

/// What nginx logs when a client closes before its answer; no client ever sees it.
const CLIENT_CLOSED: u16 = 499;

/// Consumption and the truth level of its figures.
pub(super) struct Consumption {
    usage: Usage,
    source: UsageSource,
}

impl Consumption {
    /// The provider's figures where it gave them; else what was counted and estimated.
    ///
    /// `whole` answers without figures consumed at least what was counted; of a broken one, the input
    /// counts as soon as an upstream may have worked on it.
    pub(super) fn of(
        reading: &Reading,
        whole: bool,
        asked: &Asked,
        progress: &Progress,
        input: impl FnOnce() -> u64,
    ) -> Self {
        let nothing = Self { usage: Usage::default(), source: UsageSource::Reported };
        if !asked.operation.is_billed() || !progress.is_sent() {
            return nothing;
        }
        let reported = reading.reported.as_ref().and_then(|reported| reported.usage).or(progress.told());
        let counted = reading.counted_output;
        match (reported, counted) {
            (Some(usage), None) => Self { usage, source: UsageSource::Reported },
            (Some(usage), Some(_)) if whole => Self { usage, source: UsageSource::Reported },
            (Some(mut usage), Some(counted)) => {
                // The figures so far cover the input; output may have gone on after them.
                usage.output_text += counted.saturating_sub(usage.output_tokens());
                Self { usage, source: UsageSource::Counted }
            }
            (None, counted) => {
                let units = reading.reported.as_ref().and_then(|reported| reported.counted_units);
                let usage = Usage {
                    input_uncached: input(),
                    output_text: counted.unwrap_or_default(),
                    output_audio: spoken(asked),
                    units: units.unwrap_or(asked.units),
                    ..Usage::default()
                };
                let is_counted = counted.is_some() || units.is_some();
                let source = if is_counted { UsageSource::Counted } else { UsageSource::Estimated };
                Self { usage, source }
            }
        }
    }
}

/// The sound that a text is spoken in, in tokens: sound says nothing of itself.
fn spoken(asked: &Asked) -> u64 {
    if asked.operation == Operation::Speech { spoken_tokens(asked.units.characters) } else { 0 }
}

/// The row of an exchange, which takes over what only the row still needs, and the place that the
/// answer names.
pub(super) fn entry(open: &mut Open, exit: Exit, ended_at: UnixMillis) -> (Entry, Option<Box<str>>) {
    let known = open.status.unwrap_or(CLIENT_CLOSED);
    let (end, status, code, reading, whole) = match exit {
        // The client left while the answer was on its way; the call went on for its bill's sake.
        Exit::Completed(reading) if open.ticket.fate.client_gone.get() => {
            (End::ClientAbort, CLIENT_CLOSED, None, reading, true)
        }
        Exit::Completed(reading) => (End::Completed, known, None, reading, true),
        Exit::RefusedUpstream { status } => (End::RefusedUpstream, status, None, Reading::default(), true),
        Exit::Failed { status, code } => (End::UpstreamFailed, status, Some(code), Reading::default(), true),
        Exit::Broken { end, code, reading } => (end, known, Some(code), reading, false),
        Exit::ClientGone(reading) => (End::ClientAbort, known, None, reading, false),
        Exit::Internal(reading) => {
            (End::Internal, open.status.unwrap_or(500), Some("internal"), reading, false)
        }
    };
    let consumed = match end {
        End::RefusedUpstream | End::UpstreamFailed if whole => {
            Consumption { usage: Usage::default(), source: UsageSource::Reported }
        }
        _ => open.consumption(&reading, whole),
    };
    let reported = reading.reported.unwrap_or_default();
    let mut bill = bill(open, &consumed.usage, &reported);
    let mut flags = flags(open, &consumed, &reported, bill.as_ref());
    let attempts = std::mem::take(&mut open.attempts);
    let waste_cost = match &mut bill {
        Some(bill) if open.ticket.stamp.waste == Waste::Project => {
            charge_waste(bill, &attempts);
            Money::ZERO
        }
        // Of a call without a price nobody knows the bill, so that nothing can be added to it.
        _ => attempts.iter().map(|attempt| attempt.waste).sum(),
    };
    let Ticket { exchange, caller, asked, stamp, .. } = &mut open.ticket;
    let caller = std::mem::take(caller);
    let server = open.server.as_mut();
    let place = server.as_ref().map(|server| shown::place(&server.target, &reported)).map(|(place, flag)| {
        flags.insert(flag);
        place
    });
    let entry = Entry {
        id: exchange.id,
        seq: 0,
        kind: Kind::Usage,
        started_at: exchange.started,
        ended_at,
        identity: Arc::clone(&open.principal.identity),
        request_tags: caller.tags,
        end_user: caller.end_user,
        session: caller.session,
        client: caller.client,
        model: asked.alias.clone(),
        place,
        served_model: reported.served_model,
        dialect: Cow::Borrowed(asked.dialect.as_str()),
        operation: Cow::Borrowed(asked.operation.as_str()),
        stream: asked.stream,
        status,
        error_code: code.map(Cow::Borrowed),
        end: Some(end),
        served_by: ServedBy::Upstream,
        usage: consumed.usage,
        usage_source: consumed.source,
        cost: bill.as_ref().map(|bill| bill.cost),
        meters: bill.map(|bill| bill.meters).unwrap_or_default(),
        service_tier: reported.service_tier,
        currency: stamp.currency.clone(),
        reserved_cost: open.reservation.cost(),
        waste_cost,
        attempts,
        upstream_request_id: server.and_then(|server| server.upstream_request_id.take()),
        trace_id: caller.trace.map(|trace| trace.id.to_string().into()),
        ttft_ms: open.ttft_ms,
        duration_ms: u32::try_from(ended_at.since(exchange.started)).unwrap_or(u32::MAX),
        config_version: stamp.config_version,
        adjusts: None,
        flags,
    };
    (entry, reported.place)
}

/// What the attempt in hand has cost without giving an answer, at its target's price; nothing where
/// that has none.
pub(super) fn waste(open: &Open) -> Bill {
    let consumed = open.consumption(&Reading::default(), false);
    bill(open, &consumed.usage, &Reported::default()).unwrap_or_default()
}

/// Adds what attempts without an answer have cost to the bill of the call.
fn charge_waste(bill: &mut Bill, attempts: &[Attempt]) {
    for attempt in attempts {
        bill.cost += attempt.waste;
        bill.meters.extend(attempt.meters.iter().cloned());
    }
}

/// The bill at the price of the target that the call was with. A call that consumed nothing costs nothing,
/// whether there is a price or not.
fn bill(open: &Open, usage: &Usage, reported: &Reported) -> Option<Bill> {
    if *usage == Usage::default() && reported.beside.is_empty() {
        return Some(Bill::default());
    }
    let price = open.server.as_ref()?.price.as_ref()?;
    let mut bill = price.bill(usage);
    // Passes of another model are billed at this one's price until that model has a price of its own here.
    for beside in &reported.beside {
        let other = price.bill(&beside.usage);
        bill.cost += other.cost;
        bill.meters.extend(other.meters);
        bill.incomplete = true;
    }
    Some(bill)
}

fn flags(open: &Open, consumed: &Consumption, reported: &Reported, bill: Option<&Bill>) -> Flags {
    let mut flags = Flags::default();
    let mut mark = |flag, condition| {
        if condition {
            flags.insert(flag);
        }
    };
    mark(Flags::UNPRICED, bill.is_none());
    mark(Flags::DRILLED, open.ticket.drill.is_some());
    mark(Flags::DOWNGRADED, open.ticket.asked.instead.is_some());
    mark(Flags::LARGER_CONTEXT, open.ticket.asked.larger.is_some());
    mark(Flags::PRICE_INCOMPLETE, bill.is_some_and(|bill| bill.incomplete));
    mark(Flags::USAGE_INCONSISTENT, reported.flags.usage_inconsistent);
    mark(Flags::REASONING_UNKNOWN, consumed.source == UsageSource::Counted);
    mark(Flags::INPUT_LOWER_BOUND, consumed.source != UsageSource::Reported && open.input_is_lower_bound);
    let sent = open.server.as_ref().map(|server| server.target.place.upstream_model.as_str());
    mark(
        Flags::SERVED_MODEL_DIFFERS,
        matches!((sent, reported.served_model.as_deref()), (Some(sent), Some(served)) if !served.starts_with(sent)),
    );
    flags
}

/// Metrics and the access line of a row.
pub(super) fn publish(worker: &Worker, entry: &Entry, exchange: Exchange, told: Told<'_>) {
    record(worker, entry, &entry.model);
    if entry.flags.contains(Flags::UNPRICED) {
        warn_unpriced(worker, entry);
    }
    for pair in entry.attempts.windows(2) {
        if let [one, next] = pair
            && one.region != next.region
        {
            failed_over(one.region.as_str(), next.region.as_str(), &one.outcome);
        }
    }
    write_line(worker, entry, exchange, told);
}

/// What an access line tells beside the row: the method, and where the request stands in a trace.
type Told<'a> = (&'static str, Option<&'a Trace>);

fn warn_unpriced(worker: &Worker, entry: &Entry) {
    let upstream = entry.place.as_ref().map_or("", |place| place.upstream.as_str());
    worker.series.borrow_mut().unpriced(&entry.model, upstream).count();
    if worker.shared.live.unpriced.is_news(&entry.model, entry.ended_at) {
        tracing::warn!(
            model = entry.model.as_str(),
            upstream,
            upstream_model = entry.place.as_ref().map_or("", |place| place.upstream_model.as_str()),
            "a model without a price is used; what it costs is unknown"
        );
    }
}

fn record(worker: &Worker, entry: &Entry, model: &ModelAlias) {
    let labels = Labels {
        team: &entry.identity.team,
        project: &entry.identity.project,
        model,
        place: entry.place.as_ref(),
        operation: operation_label(entry),
        currency: &entry.currency,
    };
    let series = worker.series.borrow_mut().request(&labels);
    series.record(&RequestFacts {
        code: entry.status,
        end: entry.end.map_or("refused", End::as_str),
        duration: Duration::from_millis(u64::from(entry.duration_ms)),
        ttft: entry.ttft_ms.map(|millis| Duration::from_millis(u64::from(millis))),
        usage_source: entry.place.as_ref().map(|_| entry.usage_source),
        usage: &entry.usage,
        cost: entry.cost.unwrap_or_default(),
    });
}

fn operation_label(entry: &Entry) -> &'static str {
    match &entry.operation {
        Cow::Borrowed(name) => name,
        Cow::Owned(_) => "other",
    }
}

fn write_line(worker: &Worker, entry: &Entry, exchange: Exchange, (method, trace): Told<'_>) {
    let span = trace.map(|trace| trace.span.to_text());
    let span = span.as_ref().and_then(|digits| str::from_utf8(digits).ok());
    let place = entry.place.as_deref();
    let identity = &entry.identity;
    worker.log_access(&AccessLine {
        ts: entry.ended_at,
        request_id: entry.id,
        trace_id: entry.trace_id.as_deref(),
        span_id: span,
        method,
        path: &entry.operation,
        dialect: Some(&entry.dialect),
        operation: Some(&entry.operation),
        status: entry.status,
        end: entry.end.map_or("refused", End::as_str),
        error_code: entry.error_code.as_deref(),
        team: Some(identity.team.as_str()),
        project: Some(identity.project.as_str()),
        key: Some(identity.key.as_str()),
        user: entry.end_user.as_deref(),
        session: entry.session.as_deref(),
        model: Some(entry.model.as_str()),
        upstream_model: place.map(|place| place.upstream_model.as_str()),
        provider: place.map(|place| &*place.provider),
        region: place.map(|place| place.region.as_str()),
        upstream: place.map(|place| place.upstream.as_str()),
        attempts: entry.attempts.len() as u32,
        stream: entry.stream,
        duration_ms: u64::from(entry.duration_ms),
        ttft_ms: entry.ttft_ms.map(u64::from),
        upstream_ms: entry.attempts.last().map(|attempt| u64::from(attempt.duration_ms)),
        usage: Some(&entry.usage),
        cost: entry.cost,
        currency: &entry.currency,
        client_addr: Some(exchange.peer),
        user_agent: entry.client.as_deref(),
        config_version: entry.config_version,
    });
}

/// A refusal of a known key: a row (up to a rate), metrics and an access line; nothing was reserved.
pub(crate) fn refused(worker: &Rc<Worker>, call: RefusedCall<'_>) {
    let identity = &call.principal.identity;
    if let Rejection::Quota { refused, .. } = call.rejection {
        worker.series.borrow_mut().quota(&identity.team, &identity.project).refused(refused.limit.as_str());
    }
    let keep = worker.keeps_refusal(&call.principal.standing.project, call.at);
    let (exchange, asked, now) = (call.exchange, (call.dialect, call.operation), call.exchange.now().mono);
    let trace = call.caller.trace.clone();
    let spans = Spans::of(trace.as_ref(), call.stamp.tells_spans);
    // A name that a client made up is never a label.
    let is_known = !matches!(
        call.rejection,
        Rejection::UnknownModel(_)
            | Rejection::UnknownResponse(_)
            | Rejection::UnknownConversation(_)
            | Rejection::UnknownPrompt(_)
            | Rejection::Invalid { .. }
            | Rejection::TooLarge { .. }
            | Rejection::SlowBody
    );
    let entry = refusal_entry(call);
    if keep {
        // A refusal whose row is lost has still been counted; it moved no money.
        let _ = worker.write_end(&entry);
    }
    worker.shared.live.objectives.record(&entry);
    record(worker, &entry, if is_known { &entry.model } else { &worker.nobody.model });
    write_line(worker, &entry, exchange, (asked.1.method(), trace.as_deref()));
    if let Some(spans) = spans {
        spans.tell(worker, entry, asked, exchange, now);
    }
}

fn refusal_entry(call: RefusedCall<'_>) -> Entry {
    Entry {
        id: call.exchange.id,
        seq: 0,
        kind: Kind::Refusal,
        started_at: call.exchange.started,
        ended_at: call.at,
        identity: Arc::clone(&call.principal.identity),
        request_tags: call.caller.tags,
        end_user: call.caller.end_user,
        session: call.caller.session,
        client: call.caller.client,
        model: call.model,
        place: None,
        served_model: None,
        dialect: Cow::Borrowed(call.dialect.as_str()),
        operation: Cow::Borrowed(call.operation.as_str()),
        stream: call.stream,
        status: call.status,
        error_code: Some(Cow::Borrowed(call.rejection.code())),
        end: None,
        served_by: ServedBy::Upstream,
        usage: Usage::default(),
        usage_source: UsageSource::Reported,
        meters: SmallVec::new(),
        service_tier: None,
        cost: Some(Money::ZERO),
        currency: call.stamp.currency,
        reserved_cost: Money::ZERO,
        waste_cost: Money::ZERO,
        attempts: SmallVec::new(),
        upstream_request_id: None,
        trace_id: call.caller.trace.map(|trace| trace.id.to_string().into()),
        ttft_ms: None,
        duration_ms: u32::try_from(call.at.since(call.exchange.started)).unwrap_or(u32::MAX),
        config_version: call.stamp.config_version,
        adjusts: None,
        flags: Flags::default(),
    }
}

/// A request whose caller is unknown: metrics and an access line, never a row.
pub(crate) fn unknown_caller(
    worker: &Worker,
    exchange: Exchange,
    status: u16,
    code: &str,
    operation: &'static str,
) {
    let nobody = &worker.nobody;
    let labels = Labels {
        team: &nobody.team,
        project: &nobody.project,
        model: &nobody.model,
        place: None,
        operation,
        currency: &nobody.currency,
    };
    let series = worker.series.borrow_mut().request(&labels);
    let now = exchange.now();
    let duration = now.mono.duration_since(exchange.began);
    series.record(&RequestFacts {
        code: status,
        end: "refused",
        duration,
        ttft: None,
        usage_source: None,
        usage: &Usage::default(),
        cost: Money::ZERO,
    });
    worker.log_access(&AccessLine {
        ts: now.wall,
        request_id: exchange.id,
        trace_id: None,
        span_id: None,
        method: "",
        path: operation,
        dialect: None,
        operation: Some(operation),
        status,
        end: "refused",
        error_code: Some(code),
        team: None,
        project: None,
        key: None,
        user: None,
        session: None,
        model: None,
        upstream_model: None,
        provider: None,
        region: None,
        upstream: None,
        attempts: 0,
        stream: false,
        duration_ms: duration.as_millis() as u64,
        ttft_ms: None,
        upstream_ms: None,
        usage: None,
        cost: None,
        currency: "",
        client_addr: Some(exchange.peer),
        user_agent: None,
        config_version: 0,
    });
}
