//! What a request says about who and what is behind it, for the ledger's attribution columns.

use tollgate_domain::Name;

use crate::{edge::Said, snapshot::Principal};

/// Longest text taken from a header into a row, in bytes.
const LONGEST: usize = 256;

/// Attribution of one request; never used to authorise.
#[derive(Default)]
pub(crate) struct Caller {
    /// Tags that the project lets its clients set.
    pub(crate) tags: Vec<(Name, Name)>,
    pub(crate) end_user: Option<Box<str>>,
    pub(crate) session: Option<Box<str>>,
    pub(crate) client: Option<Box<str>>,
    pub(crate) trace_id: Option<Box<str>>,
}

impl Caller {
    /// Reads the fields that say so.
    pub(crate) fn of(said: &Said<'_>, principal: &Principal) -> Self {
        let text = Said::text;
        let tags = said.tags.and_then(text).map(|list| permitted_tags(list, &principal.request_tags));
        let session = said.session.and_then(text).or_else(|| said.claude_code_session.and_then(text));
        Self {
            tags: tags.unwrap_or_default(),
            end_user: said.user.and_then(text).map(short),
            session: session.map(short),
            client: said.user_agent.and_then(text).map(short),
            trace_id: said.traceparent.and_then(text).and_then(trace_id).map(Into::into),
        }
    }

    /// Takes the end user that the body names, where no header did.
    pub(crate) fn or_end_user(mut self, named: Option<&str>) -> Self {
        self.end_user = self.end_user.or_else(|| named.map(short));
        self
    }
}

fn short(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(LONGEST)].into()
}

/// `k=v` pairs whose names the project permits; others are the client's business alone.
fn permitted_tags(list: &str, permitted: &[Name]) -> Vec<(Name, Name)> {
    let pairs = list.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .filter_map(|(name, value)| {
            let name = permitted.iter().find(|known| ***known == *name.trim())?;
            Some((name.clone(), Name::from(&*short(value.trim()))))
        })
        .collect()
}

/// The trace id of a W3C `traceparent` (Trace Context, section 3.2).
fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    let valid = id.len() == 32
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && id.bytes().any(|byte| byte != b'0');
    valid.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_permitted_tags_are_taken() {
        let tags = permitted_tags("feature=search, owner=me,broken", &["feature".into()]);
        assert_eq!(tags, [("feature".into(), "search".into())]);
    }

    #[test]
    fn a_trace_id_is_taken_from_a_valid_traceparent() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id(&format!("00-{id}-00f067aa0ba902b7-01")), Some(id));
        assert_eq!(trace_id("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), None);
        assert_eq!(trace_id("nonsense"), None);
    }
}
