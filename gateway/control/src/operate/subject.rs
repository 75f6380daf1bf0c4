//! What an operation is about.

use tollgate_domain::{ModelAlias, RegionName, UpstreamModel, UpstreamName};
use tollgate_proxy::{Live, OperatorCell, Override, Route, Snapshot, Target};

use super::{Kind, OperateError};

/// What an operation is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    /// A region.
    Region(RegionName),
    /// An upstream.
    Upstream(UpstreamName),
    /// A model on an upstream.
    Target(UpstreamName, UpstreamModel),
    /// A model, as clients call it.
    Model(ModelAlias),
}

impl Subject {
    /// What operators call `name`, if the running configuration has it.
    ///
    /// # Errors
    /// It has not; the error knows the name that is most like it.
    pub fn find(kind: Kind, name: &str, snapshot: &Snapshot) -> Result<Self, OperateError> {
        let known = names(kind, snapshot);
        if known.iter().any(|known| known == name)
            && let Some(subject) = Self::parse(kind, name)
        {
            return Ok(subject);
        }
        let nearest = known
            .into_iter()
            .map(|known| (strsim::jaro_winkler(&known, name), known))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        Err(OperateError::Unknown { kind, name: name.to_owned(), nearest: nearest.map(|(_, known)| known) })
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Region(_) => Kind::Region,
            Self::Upstream(_) => Kind::Upstream,
            Self::Target(..) => Kind::Target,
            Self::Model(_) => Kind::Model,
        }
    }

    /// Its name, as operators write it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Region(name) => name.to_string(),
            Self::Upstream(name) => name.to_string(),
            Self::Target(upstream, model) => format!("{model}@{upstream}"),
            Self::Model(name) => name.to_string(),
        }
    }

    /// Upstream names have no `@`, model names may.
    pub(super) fn parse(kind: Kind, name: &str) -> Option<Self> {
        match kind {
            Kind::Region => Some(Self::Region(name.into())),
            Kind::Upstream => Some(Self::Upstream(name.into())),
            Kind::Model => Some(Self::Model(name.into())),
            Kind::Target => {
                name.rsplit_once('@').map(|(model, upstream)| Self::Target(upstream.into(), model.into()))
            }
        }
    }

    pub(super) fn set(&self, live: &Live, word: Option<Override>) {
        self.with_cell(live, |cell| cell.set(word));
    }

    /// The operator's word in force.
    pub(super) fn word(&self, live: &Live) -> Option<Override> {
        self.with_cell(live, OperatorCell::word)
    }

    /// Targets that left on their own and wait for an operator's word have it now.
    pub(super) fn take_back(&self, live: &Live) {
        live.fleet.take_back(|upstream, model, region| match self {
            Self::Region(name) => name == region,
            Self::Upstream(name) => name == upstream,
            Self::Target(at, of) => at == upstream && of == model,
            // A word on an alias is none on the targets that it shares with others.
            Self::Model(_) => false,
        });
    }

    fn with_cell<R>(&self, live: &Live, act: impl FnOnce(&OperatorCell) -> R) -> R {
        match self {
            Self::Region(name) => act(&live.fleet.region(name).operator),
            Self::Upstream(name) => act(&live.fleet.upstream(name).operator),
            Self::Target(upstream, model) => act(&live.fleet.target(upstream, model).operator),
            Self::Model(name) => act(&live.fleet.model(name).operator),
        }
    }

    /// True when what a model sends to a target is a part of it.
    pub(super) fn holds(&self, route: &Route, target: &Target) -> bool {
        match self {
            Self::Region(name) => target.upstream.region == *name,
            Self::Upstream(name) => target.upstream.name == *name,
            Self::Target(upstream, model) => target.upstream.name == *upstream && target.model == *model,
            Self::Model(name) => route.alias == *name,
        }
    }
}

fn names(kind: Kind, snapshot: &Snapshot) -> Vec<String> {
    match kind {
        Kind::Region => snapshot.regions.iter().map(|region| region.name.to_string()).collect(),
        Kind::Upstream => snapshot.upstreams.iter().map(|upstream| upstream.name.to_string()).collect(),
        Kind::Target => snapshot.targets().map(|target| target.live.name.to_string()).collect(),
        Kind::Model => snapshot.routes.by_alias.keys().map(ToString::to_string).collect(),
    }
}
