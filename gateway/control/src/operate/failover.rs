//! Failing a region over to another one, and back: new requests move, by a ramp where one is asked for.
//!
//! Who may not be served in the other region stays. It is kept in the store beside operators' states, so
//! that it outlives a restart, ramp and all.

use serde::{Deserialize, Serialize};
use tollgate_accounting::ledger::{Override as Kept, StoreError, rfc3339};
use tollgate_domain::{RegionName, UnixMillis};
use tollgate_proxy::{Move, OperatorState};

use super::{GATEWAY, Kind, OVER, OperateError, Operators, Scene, Span, Subject, homes};

/// What the store calls it.
pub(super) const KIND: &str = "failover";
/// All of a region's requests, in thousandths.
const WHOLE: u16 = 1_000;

/// The order to move a region's new requests: the body of the call.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Failover {
    /// The region where they go.
    pub to: String,
    /// How long it takes until all of them do; all at once without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Span>,
    /// Why; kept with it and in the audit.
    pub reason: String,
    /// After which time the way back begins by itself, by the same ramp.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// Only tell what would move.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// Do it even if projects have no permitted target outside the region, and stay there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// The order to let a region's requests come back: the body of the call.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Failback {
    /// How long it takes until all are back; as long as they took to leave without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Span>,
    /// Why; kept in the audit.
    pub reason: String,
}

/// What the store keeps of a move beside who, when and why.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Course {
    to: String,
    from_permille: u16,
    to_permille: u16,
    ramp_millis: i64,
}

impl Operators {
    /// Moves a region's new requests to another region.
    ///
    /// # Errors
    /// The order makes no sense, does not fit what is so, would move nothing or leave projects behind
    /// that have no other home, or the store failed; then nothing changed. [`OperateError::NotAudited`]:
    /// it is in force, but the audit does not tell.
    pub fn fail_over(
        &self,
        from: &RegionName,
        order: &Failover,
        scene: &Scene<'_>,
    ) -> Result<(), OperateError> {
        let _changing = self.changing.lock();
        let to = self.check_failover(from, order, scene)?;
        let homeless = homes::lost(scene, &Subject::Region(from.clone()));
        let left_behind: Vec<_> =
            homes::staying(scene, from, &to).into_iter().filter(|home| homeless.contains(home)).collect();
        if !left_behind.is_empty() && !order.force {
            return Err(OperateError::NoHome(left_behind));
        }
        let standing = self.live.fleet.region(from).moved.order();
        let step = Move {
            from_permille: standing.map_or(0, |standing| standing.permille(scene.now)),
            to_permille: WHOLE,
            ramp_millis: order.ramp.map_or(0, Span::millis),
            reason: order.reason.clone(),
            actor: scene.actor.to_owned(),
            since: scene.now,
            until: order.lasts.map(|span| scene.now.plus(span.millis())),
            to,
        };
        self.put_move(from, &step)?;
        let mut detail = told(&step);
        if !left_behind.is_empty() {
            detail["without_home"] = homes::names(&left_behind).into();
        }
        self.append_audit(scene.actor, "region.failover", from.as_str(), &detail, scene.now)
            .map_err(OperateError::NotAudited)
    }

    /// Whether the order can be carried out, its projects' homes aside; gives the region it names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_failover(
        &self,
        from: &RegionName,
        order: &Failover,
        scene: &Scene<'_>,
    ) -> Result<RegionName, OperateError> {
        let unsound = |why: String| Err(OperateError::Unsound(why));
        let conflict = |why: String| Err(OperateError::Conflict(why));
        if order.to.is_empty() {
            return unsound("`to` is missing: the region where requests go".to_owned());
        }
        let Subject::Region(to) = Subject::find(Kind::Region, &order.to, scene.snapshot)? else {
            return unsound(format!("{:?} is no region", order.to));
        };
        if to == *from {
            return unsound(format!("region {from} cannot take over from itself"));
        }
        check_ramp(order.ramp)?;
        let fleet = &self.live.fleet;
        let there = fleet.region(&to);
        let state = there.operator.state(OperatorState::Enabled);
        if !state.takes_requests() {
            return conflict(format!("region {to} is {} and takes no requests", state.as_str()));
        }
        if let Some(moved) = there.moved.order() {
            return conflict(format!("requests of region {to} are moved to {} themselves", moved.to));
        }
        for region in &scene.snapshot.regions {
            if region.moved.order().is_some_and(|moved| moved.to == *from) {
                return conflict(format!(
                    "region {from} takes over from {}: fail that back first",
                    region.name
                ));
            }
        }
        if let Some(standing) = fleet.region(from).moved.order() {
            let (to_now, since) = (&standing.to, rfc3339(standing.since));
            if *to_now != to {
                return conflict(format!("region {from} is failed over to {to_now}: fail it back first"));
            }
            let is_same = standing.to_permille == WHOLE && order.lasts.is_none() && order.ramp.is_none();
            if is_same {
                return conflict(format!("region {from} is failed over to {to} already, since {since}"));
            }
        }
        if homes::movable(scene, from, &to).is_empty() {
            return conflict(format!(
                "nothing would move: no project is permitted a target in {to} of a model that it has in {from}"
            ));
        }
        Ok(to)
    }

    /// Lets a region's requests come back.
    ///
    /// # Errors
    /// Nothing is moved, the ramp is too long, or the store failed; then nothing changed.
    /// [`OperateError::NotAudited`]: it is in force, but the audit does not tell.
    pub fn fail_back(
        &self,
        region: &RegionName,
        order: &Failback,
        scene: &Scene<'_>,
    ) -> Result<(), OperateError> {
        check_ramp(order.ramp)?;
        let _changing = self.changing.lock();
        let Some(standing) = self.live.fleet.region(region).moved.order() else {
            return Err(OperateError::Conflict(format!("region {region} is not failed over")));
        };
        let ramp = order.ramp.map_or(standing.ramp_millis, Span::millis);
        let back = standing.back(ramp, order.reason.clone(), scene.actor.to_owned(), scene.now);
        self.put_or_end(region, &back, scene.now)?;
        self.append_audit(scene.actor, "region.failback", region.as_str(), &told(&back), scene.now)
            .map_err(OperateError::NotAudited)
    }

    /// Begins the way back of what has run out and ends the ways back that are over; names the latter.
    pub(super) fn follow_failovers(&self, now: UnixMillis) -> Result<Vec<Subject>, StoreError> {
        let mut ended = Vec::new();
        for (region, order) in self.live.fleet.follow_moves(now) {
            if order.is_over(now) {
                self.end_failover(&region, now)?;
                ended.push(Subject::Region(region));
            } else if order.until.is_some_and(|until| now >= until) {
                let back = order.back(order.ramp_millis, OVER.to_owned(), GATEWAY.to_owned(), now);
                self.put_or_end(&region, &back, now)?;
                self.append_audit(GATEWAY, "region.failback", region.as_str(), &told(&back), now)?;
            }
        }
        Ok(ended)
    }

    /// Ends a move at once, if there is one.
    pub(super) fn end_failover(&self, region: &RegionName, now: UnixMillis) -> Result<(), StoreError> {
        self.store.clear_override(KIND, region.as_str())?;
        self.live.fleet.region(region).moved.set(None, now);
        Ok(())
    }

    /// Puts a kept move in force; false when this version cannot read it.
    pub(super) fn restore_failover(&self, kept: &Kept, now: UnixMillis) -> bool {
        let Ok(course) = serde_json::from_str::<Course>(&kept.state) else { return false };
        let order = Move {
            to: course.to.as_str().into(),
            from_permille: course.from_permille.min(WHOLE),
            to_permille: course.to_permille.min(WHOLE),
            ramp_millis: course.ramp_millis,
            reason: kept.reason.clone(),
            actor: kept.author.clone(),
            since: kept.since,
            until: kept.until,
        };
        self.live.fleet.region(&kept.name.as_str().into()).moved.set(Some(order), now);
        true
    }

    fn put_or_end(&self, region: &RegionName, order: &Move, now: UnixMillis) -> Result<(), StoreError> {
        if order.is_over(now) { self.end_failover(region, now) } else { self.put_move(region, order) }
    }

    fn put_move(&self, region: &RegionName, order: &Move) -> Result<(), StoreError> {
        let course = Course {
            to: order.to.to_string(),
            from_permille: order.from_permille,
            to_permille: order.to_permille,
            ramp_millis: order.ramp_millis,
        };
        self.store.put_override(&Kept {
            kind: KIND.to_owned(),
            name: region.to_string(),
            state: serde_json::to_string(&course).expect("names and numbers are JSON"),
            reason: order.reason.clone(),
            author: order.actor.clone(),
            since: order.since,
            until: order.until,
        })?;
        self.live.fleet.region(region).moved.set(Some(order.clone()), order.since);
        Ok(())
    }
}

fn check_ramp(ramp: Option<Span>) -> Result<(), OperateError> {
    match ramp {
        Some(ramp) if ramp.millis() > Span::DAY => {
            Err(OperateError::Unsound("`ramp` is longer than a day".to_owned()))
        }
        _ => Ok(()),
    }
}

/// What the audit tells of a move.
fn told(order: &Move) -> serde_json::Value {
    serde_json::json!({
        "to": order.to.as_str(),
        "from_permille": order.from_permille,
        "to_permille": order.to_permille,
        "ramp_seconds": order.ramp_millis / 1_000,
        "reason": order.reason,
        "until": order.until.map(rfc3339),
    })
}
