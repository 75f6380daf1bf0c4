//! Operators: they drain, disable, force, cut, move, reset and take back, and undo all of it in the end.

use tollgate_domain::UnixMillis;

use super::{
    provider::PROVIDERS,
    world::{Event, World},
};
use crate::live::{Move, OperatorCell, OperatorState, Override};

impl World {
    fn millis(&self) -> UnixMillis {
        UnixMillis::new(i64::try_from(self.now / 1_000).expect("a simulation is short"))
    }

    /// An operator of a gateway does something now, and takes it back some time later.
    pub(super) fn operate(&mut self, gateway: usize) {
        let (name, region, _) = self.chance.pick(&PROVIDERS);
        let at = PROVIDERS.iter().position(|(known, _, _)| *known == name).unwrap_or_default();
        match self.chance.between(0, 10) {
            0 => {
                self.gateways[gateway].targets[at].live.reset();
                self.reset.push((gateway, at));
                self.note("reset", gateway as u64, at);
            }
            1 | 2 => self.move_away(gateway, region),
            choice => {
                use OperatorState::{Disabled, Draining, Forced};
                let state = self.chance.pick(&[Draining, Draining, Disabled, Forced]);
                let of = [("region", region), ("upstream", name), ("target", name)];
                let (kind, name) = of[choice as usize % 3];
                self.say(gateway, (kind, name), Some(state));
            }
        }
    }

    /// Puts a word in force or ends it; for some that are disabled, what is in flight ends too.
    pub(super) fn say(
        &mut self,
        gateway: usize,
        (kind, name): (&'static str, &'static str),
        state: Option<OperatorState>,
    ) {
        let (now, is_cut) =
            (self.millis(), state == Some(OperatorState::Disabled) && self.chance.percent(60));
        let word = state.map(|state| Override {
            state,
            reason: "storm".into(),
            actor: "ops".into(),
            since: now,
            until: None,
            cut_at: is_cut.then_some(now),
        });
        let it = &mut self.gateways[gateway];
        let set = |cell: &OperatorCell| cell.set(word.clone());
        match kind {
            "region" => set(&it.fleet.region(&name.into()).operator),
            "upstream" => set(&it.fleet.upstream(&name.into()).operator),
            _ => set(&it.fleet.target(&name.into(), &"m".into()).operator),
        }
        match state {
            Some(state) => {
                it.words.insert((kind, name), state);
                let after = self.chance.millis(1_000, 20_000);
                self.later(after, Event::Returns(gateway, kind, name));
            }
            None => drop(it.words.remove(&(kind, name))),
        }
        self.note("drained", gateway as u64, 0);
        if is_cut {
            self.gateways[gateway].fleet.cut_overdue(now);
            self.cut();
        }
    }

    fn move_away(&mut self, gateway: usize, region: &'static str) {
        let now = self.millis();
        let (_, to, _) = self.chance.pick(&PROVIDERS);
        let order = Move {
            to: to.into(),
            from_permille: 0,
            to_permille: 1_000,
            ramp_millis: self.chance.between(0, 8_000) as i64,
            reason: "storm".into(),
            actor: "ops".into(),
            since: now,
            until: None,
        };
        self.gateways[gateway].fleet.region(&region.into()).moved.set(Some(order), now);
        self.note("moved", gateway as u64, 0);
    }

    pub(super) fn follow_moves(&mut self) {
        let now = self.millis();
        for gateway in &self.gateways {
            gateway.fleet.follow_moves(now);
        }
    }

    /// The storm is over: no word of an operator's is left.
    pub(super) fn undo(&mut self) {
        let now = self.millis();
        for gateway in 0..self.gateways.len() {
            let words: Vec<_> = self.gateways[gateway].words.keys().copied().collect();
            for word in words {
                self.say(gateway, word, None);
            }
            let fleet = &self.gateways[gateway].fleet;
            for (_, region, _) in PROVIDERS {
                fleet.region(&region.into()).moved.set(None, now);
            }
            fleet.take_back(|_, _, _| true);
        }
    }

    /// What looks that cost nothing tell: an open breaker may be tried earlier, a defect may be mended.
    pub(super) fn probe(&mut self, gateway: usize) {
        let now = self.instant();
        for at in 0..PROVIDERS.len() {
            let target = &self.gateways[gateway].targets[at];
            let is_out = target.live.breaker(|breaker| breaker.is_out(now));
            if is_out && self.providers[at].is_reachable(self.now) && self.chance.percent(50) {
                target.live.breaker(|breaker| breaker.probed(now));
                self.note("probed", gateway as u64, at);
            }
        }
    }
}
