//! What a request says about who and what is behind it, for the ledger's attribution columns.

use std::sync::Arc;

use tollgate_domain::Name;

use crate::{edge::Said, snapshot::Principal, trace::Trace};

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
    pub(crate) trace: Option<Arc<Trace>>,
}

impl Caller {
    /// Reads the fields that say so.
    pub(crate) fn of(said: &Said<'_>, principal: &Principal, trace: Option<Arc<Trace>>) -> Self {
        let text = Said::text;
        let tags = said.tags.and_then(text).map(|list| permitted_tags(list, &principal.request_tags));
        let session = said.session.and_then(text).or_else(|| said.claude_code_session.and_then(text));
        Self {
            tags: tags.unwrap_or_default(),
            end_user: said.user.and_then(text).map(short),
            session: session.map(short),
            client: said.user_agent.and_then(text).map(short),
            trace,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_permitted_tags_are_taken() {
        let tags = permitted_tags("feature=search, owner=me,broken", &["feature".into()]);
        assert_eq!(tags, [("feature".into(), "search".into())]);
    }
}
