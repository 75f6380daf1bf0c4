//! The smallest answer that a model can be asked for: a look that is paid for, and that says more than a
//! list does.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tollgate_dialect::{HubAsk, HubBlock, HubRequest, HubRole, HubTurn};

use super::Probed;
use crate::{snapshot::Target, upstream::UpstreamRequest};

/// The longest answer, in tokens. The least that every vendor takes:
/// <https://platform.openai.com/docs/api-reference/responses/create#responses_create-max_output_tokens>
const LONGEST: u64 = 16;

/// The question, in the target's dialect; `None` where that has no conversations.
pub(super) fn question<'a>(target: &Target, headers: &'a mut HeaderMap) -> Option<UpstreamRequest<'a>> {
    let hub = target.upstream.dialect.codec().hub()?;
    let asked = HubRequest {
        turns: vec![HubTurn {
            at: "messages[0]".into(),
            role: HubRole::User,
            blocks: vec![HubBlock::Text("ping".to_owned())],
        }],
        output_cap: Some(LONGEST),
        ..HubRequest::default()
    };
    let ask = HubAsk {
        model: target.model.as_str(),
        output_cap: LONGEST,
        insert_cap: true,
        ask_usage: false,
        may_drop: &[],
    };
    let body = hub.write_request(&asked, &ask).ok()?.body;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(UpstreamRequest {
        operation: hub.operation(),
        kept: None,
        headers,
        query: None,
        needed: hub.needed_headers(),
        body: Bytes::from(body),
        trace: None,
    })
}

/// What the answer means.
pub(super) fn answered(target: &Target, status: StatusCode, body: &[u8]) -> Probed {
    let codec = target.upstream.dialect.codec();
    let reported = codec.hub().filter(|_| status.is_success()).map(|hub| codec.reply(hub.operation(), body));
    let (outcome, is_alive) = match (status.as_u16(), &reported) {
        // An error in an answer of success, as some servers give.
        (200..=299, Some(reported)) if reported.fault.is_some() => ("error", false),
        (200..=299, _) => ("ok", true),
        (401 | 403, _) => ("credential", false),
        // It is there, and has other things to do.
        (429, _) => ("throttled", true),
        (400..=499, _) => ("refused", false),
        _ => ("error", false),
    };
    Probed {
        status: Some(status.as_u16()),
        is_alive,
        knows_us: is_alive && status.is_success(),
        usage: reported.and_then(|reported| reported.usage),
        ..Probed::failed(outcome)
    }
}
