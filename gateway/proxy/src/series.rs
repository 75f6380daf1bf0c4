//! Resolved metric handles of one core, so that a request never looks a metric up by its text.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use tollgate_accounting::ledger::Place;
use tollgate_domain::{ModelAlias, Name, ProjectName, TeamName, UpstreamName};
use tollgate_telemetry::{
    HedgeSeries, OverheadSeries, QuotaSeries, RequestLabels, RequestSeries, RetrySeries, ShedSeries,
    UnpricedSeries, UpstreamSeries,
};

use crate::snapshot::ByName;

/// Beyond this many combinations the cache starts anew; configurations that are gone leave that way.
const MOST: usize = 4_096;

/// Handles by what they are labelled with. Keys are addresses of shared texts; the texts are kept
/// beside the handles, so that no address is ever reused while it is a key.
#[derive(Default)]
pub(crate) struct SeriesCache {
    requests: ByName<RequestKey, (Kept, Rc<RequestSeries>)>,
    upstreams: ByName<UpstreamName, Rc<UpstreamSeries>>,
    quotas: ByName<(TeamName, ProjectName), Rc<QuotaSeries>>,
    retries: Option<Rc<RetrySeries>>,
    hedges: Option<Rc<HedgeSeries>>,
    sheds: Option<Rc<ShedSeries>>,
    overhead: Option<OverheadSeries>,
    unpriced: HashMap<(ModelAlias, Box<str>), Rc<UnpricedSeries>>,
}

/// What the metrics of a request are labelled with.
pub(crate) struct Labels<'a> {
    pub(crate) team: &'a TeamName,
    pub(crate) project: &'a ProjectName,
    pub(crate) model: &'a ModelAlias,
    pub(crate) place: Option<&'a Arc<Place>>,
    pub(crate) operation: &'static str,
    pub(crate) currency: &'a Name,
}

/// The labels of requests whose caller is unknown: all empty.
pub(crate) struct Nobody {
    pub(crate) team: TeamName,
    pub(crate) project: ProjectName,
    pub(crate) model: ModelAlias,
    pub(crate) currency: Name,
}

impl Default for Nobody {
    fn default() -> Self {
        Self { team: "".into(), project: "".into(), model: "".into(), currency: "".into() }
    }
}

type RequestKey = (usize, usize, usize, &'static str);
type Kept = (Name, Name, Option<Arc<Place>>);

impl SeriesCache {
    pub(crate) fn request(&mut self, of: &Labels<'_>) -> Rc<RequestSeries> {
        let place = of.place.map_or(0, |place| Arc::as_ptr(place).addr());
        let key = (address(of.project.name()), address(of.model.name()), place, of.operation);
        if let Some((_, series)) = self.requests.get(&key) {
            return Rc::clone(series);
        }
        if self.requests.len() >= MOST {
            self.requests.clear();
        }
        let series = Rc::new(RequestSeries::new(&RequestLabels {
            team: of.team.as_str(),
            project: of.project.as_str(),
            model: of.model.as_str(),
            upstream: of.place.map_or("", |place| place.upstream.as_str()),
            region: of.place.map_or("", |place| place.region.as_str()),
            operation: of.operation,
            currency: of.currency,
        }));
        let kept = (of.project.name().clone(), of.model.name().clone(), of.place.cloned());
        self.requests.insert(key, (kept, Rc::clone(&series)));
        series
    }

    pub(crate) fn upstream(&mut self, name: &UpstreamName) -> Rc<UpstreamSeries> {
        if let Some(series) = self.upstreams.get(name) {
            return Rc::clone(series);
        }
        let series = Rc::new(UpstreamSeries::new(name.as_str()));
        self.upstreams.insert(name.clone(), Rc::clone(&series));
        series
    }

    pub(crate) fn quota(&mut self, team: &TeamName, project: &ProjectName) -> Rc<QuotaSeries> {
        let make = || Rc::new(QuotaSeries::new(team.as_str(), project.as_str()));
        Rc::clone(self.quotas.entry((team.clone(), project.clone())).or_insert_with(make))
    }

    pub(crate) fn unpriced(&mut self, model: &ModelAlias, upstream: &str) -> Rc<UnpricedSeries> {
        let make = || Rc::new(UnpricedSeries::new(model.as_str(), upstream));
        Rc::clone(self.unpriced.entry((model.clone(), upstream.into())).or_insert_with(make))
    }

    pub(crate) fn sheds(&mut self) -> Rc<ShedSeries> {
        Rc::clone(self.sheds.get_or_insert_with(|| Rc::new(ShedSeries::new())))
    }

    pub(crate) fn hedges(&mut self) -> Rc<HedgeSeries> {
        Rc::clone(self.hedges.get_or_insert_with(|| Rc::new(HedgeSeries::new())))
    }

    pub(crate) fn overhead(&mut self) -> &OverheadSeries {
        self.overhead.get_or_insert_default()
    }

    pub(crate) fn retries(&mut self) -> Rc<RetrySeries> {
        Rc::clone(self.retries.get_or_insert_with(|| Rc::new(RetrySeries::new())))
    }
}

fn address(text: &Name) -> usize {
    Arc::as_ptr(text).cast::<u8>().addr()
}
