//! Where a request stands in a trace: in that of its caller, or in one that begins here.
//!
//! The place is read from the head once, goes into the row and the access line, and is told to upstreams
//! that are to know it, with a span of its own for each attempt. A caller that sends nonsense is treated
//! as one that sends nothing.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_domain::{SpanId, TraceId, TraceParent, TraceState};

use crate::{
    edge::Said,
    snapshot::{CallersTrace, Tracing},
};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The place of one request in a trace.
#[derive(Debug)]
pub struct Trace {
    /// The trace.
    pub id: TraceId,
    /// The request's own span.
    pub span: SpanId,
    /// The caller's span, where the caller's trace goes on here.
    pub parent: Option<SpanId>,
    /// The caller's place in another trace, where one of our own begins here.
    pub link: Option<TraceParent>,
    /// What the caller's vendors have to say to those further on.
    pub state: Option<TraceState>,
    /// The trace is recorded, as its first server or we ourselves have decided.
    pub sampled: bool,
    random: bool,
}

impl Trace {
    /// The place of a request with this head; `None` when it stands in no trace and none begins here.
    pub(crate) fn of(
        tracing: &Tracing,
        said: &Said<'_>,
        headers: &HeaderMap,
        mut random: impl FnMut() -> u64,
    ) -> Option<Arc<Self>> {
        let given = said.traceparent.filter(|_| !said.has_many_traceparents);
        let given = given.and_then(|value| TraceParent::parse(value.as_bytes()));
        let (goes_on, link) = match tracing.callers {
            CallersTrace::Trusted => (given, None),
            CallersTrace::Linked => (None, given),
            CallersTrace::Ignored => (None, None),
        };
        let mut span = || SpanId::from_bytes(random().max(1).to_be_bytes());
        if let Some(caller) = goes_on {
            let state = || TraceState::parse(headers.get_all(TRACESTATE).iter().map(HeaderValue::as_bytes));
            return Some(Arc::new(Self {
                id: caller.trace_id,
                span: span()?,
                parent: Some(caller.span_id),
                link: None,
                state: if said.has_tracestate { state() } else { None },
                sampled: caller.sampled,
                random: caller.random,
            }));
        }
        let millionths = tracing.sampled_millionths?;
        let span = span()?;
        let [high, low] = [random(), random().max(1)];
        let id = TraceId::from_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())?;
        let sampled = id.is_among(millionths);
        Some(Arc::new(Self { id, span, parent: None, link, state: None, sampled, random: true }))
    }

    /// The span of the `n`th attempt.
    #[must_use]
    pub fn attempt(&self, n: u16) -> SpanId {
        self.span.child(n)
    }

    /// Tells an upstream of its place below the `n`th attempt.
    pub(crate) fn put(&self, n: u16, headers: &mut HeaderMap) {
        let place = TraceParent {
            trace_id: self.id,
            span_id: self.attempt(n),
            sampled: self.sampled,
            random: self.random,
        };
        let value = HeaderValue::from_bytes(&place.to_text()).expect("digits and hyphens");
        headers.insert(TRACEPARENT, value);
        let state = self.state.as_ref().and_then(|state| HeaderValue::from_str(state.as_str()).ok());
        if let Some(state) = state {
            headers.insert(TRACESTATE, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn head(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn trace(callers: CallersTrace, millionths: Option<u32>, headers: &HeaderMap) -> Option<Arc<Trace>> {
        let tracing = Tracing { callers, sampled_millionths: millionths };
        let mut next = 7;
        let random = || {
            next += 1;
            next
        };
        Trace::of(&tracing, &Said::by(headers), headers, random)
    }

    #[test]
    fn a_trusted_callers_trace_goes_on_with_its_decision() {
        let parent = format!("00-{TRACE}-{SPAN}-03");
        let headers = head(&[("traceparent", &parent), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        let trace = trace(CallersTrace::Trusted, Some(0), &headers).expect("a trace");
        assert_eq!((trace.id.to_string().as_str(), trace.sampled), (TRACE, true));
        assert_eq!(trace.parent.map(|span| span.to_string()).as_deref(), Some(SPAN));
        let [first, second] = [1, 2].map(|n| {
            let mut told = HeaderMap::new();
            trace.put(n, &mut told);
            assert_eq!(told[TRACESTATE], "a=1,b=2");
            TraceParent::parse(told[TRACEPARENT].as_bytes()).expect("what is told can be read")
        });
        for told in [first, second] {
            assert_eq!((told.trace_id, told.sampled, told.random), (trace.id, true, true));
            assert!(![trace.span.to_string(), SPAN.to_owned()].contains(&told.span_id.to_string()));
        }
        assert_ne!(first.span_id, second.span_id, "each attempt is a span of its own");
    }

    #[test]
    fn nonsense_is_as_good_as_nothing() {
        let fine = format!("00-{TRACE}-{SPAN}-01");
        let cases = [
            ("nothing", head(&[])),
            ("no traceparent", head(&[("tracestate", "a=1")])),
            ("not as it should be", head(&[("traceparent", "00-xyz-01"), ("tracestate", "a=1")])),
            ("two of them", head(&[("traceparent", &fine), ("traceparent", &fine)])),
        ];
        for (what, headers) in cases {
            assert!(trace(CallersTrace::Trusted, None, &headers).is_none(), "{what}: nobody records");
            let begun = trace(CallersTrace::Trusted, Some(1_000_000), &headers).expect("one begins");
            assert!(begun.parent.is_none() && begun.state.is_none() && begun.sampled, "{what}");
            assert_ne!(begun.id.to_string(), TRACE, "{what}");
        }
    }

    #[test]
    fn a_caller_who_is_not_trusted_decides_nothing() {
        let headers = head(&[("traceparent", &format!("00-{TRACE}-{SPAN}-01")), ("tracestate", "a=1")]);
        for (callers, is_linked) in [(CallersTrace::Linked, true), (CallersTrace::Ignored, false)] {
            assert!(trace(callers, None, &headers).is_none());
            let own = trace(callers, Some(0), &headers).expect("a trace of our own");
            assert!(own.id.to_string() != TRACE && !own.sampled && own.state.is_none());
            assert_eq!(own.link.map(|link| link.trace_id.to_string()).as_deref() == Some(TRACE), is_linked);
        }
    }
}
