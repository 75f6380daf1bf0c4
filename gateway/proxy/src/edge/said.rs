//! What a request's head says to the stations: found in one pass over its fields.
//!
//! Each station wants a few fields, and most requests have none of them: asking the map for each costs
//! more than reading all that is there once.

use http::{HeaderMap, HeaderValue};

/// The fields that stations read; of a field given several times, the first.
#[derive(Clone, Copy, Default)]
pub(crate) struct Said<'a> {
    pub(crate) authorization: Option<&'a HeaderValue>,
    pub(crate) x_api_key: Option<&'a HeaderValue>,
    pub(crate) api_key: Option<&'a HeaderValue>,
    pub(crate) x_goog_api_key: Option<&'a HeaderValue>,
    pub(crate) tags: Option<&'a HeaderValue>,
    pub(crate) user: Option<&'a HeaderValue>,
    pub(crate) session: Option<&'a HeaderValue>,
    pub(crate) claude_code_session: Option<&'a HeaderValue>,
    pub(crate) user_agent: Option<&'a HeaderValue>,
    pub(crate) traceparent: Option<&'a HeaderValue>,
    /// More than one, of which nobody knows which is meant.
    pub(crate) has_many_traceparents: bool,
    /// Several fields are one list; they are read from the head itself.
    pub(crate) has_tracestate: bool,
    pub(crate) zone: Option<&'a HeaderValue>,
}

impl<'a> Said<'a> {
    /// Reads a head.
    pub(crate) fn by(headers: &'a HeaderMap) -> Self {
        let mut said = Self::default();
        for (name, value) in headers {
            let field = match name.as_str() {
                "authorization" => &mut said.authorization,
                "x-api-key" => &mut said.x_api_key,
                "api-key" => &mut said.api_key,
                "x-goog-api-key" => &mut said.x_goog_api_key,
                "x-tollgate-tags" => &mut said.tags,
                "x-tollgate-user" => &mut said.user,
                "x-tollgate-session" => &mut said.session,
                "x-claude-code-session-id" => &mut said.claude_code_session,
                "user-agent" => &mut said.user_agent,
                "traceparent" => {
                    said.has_many_traceparents |= said.traceparent.is_some();
                    &mut said.traceparent
                }
                "tracestate" => {
                    said.has_tracestate = true;
                    continue;
                }
                "x-tollgate-zone" => &mut said.zone,
                _ => continue,
            };
            field.get_or_insert(value);
        }
        said
    }

    /// A field's text, unless it is empty or no text at all.
    pub(crate) fn text(value: &HeaderValue) -> Option<&str> {
        value.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn the_first_of_several_values_is_heard() {
        let mut headers = HeaderMap::new();
        for value in ["Bearer a", "Bearer b"] {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        headers.insert("x-tollgate-zone", HeaderValue::from_static(" eu "));
        let said = Said::by(&headers);
        assert_eq!(said.authorization.and_then(Said::text), Some("Bearer a"));
        assert_eq!(said.zone.and_then(Said::text), Some("eu"));
        assert!(said.x_api_key.is_none());
    }
}
