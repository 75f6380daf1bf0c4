//! The whole choice, over targets made by hand, with time and randomness as arguments.

use std::sync::{Arc, atomic::Ordering};

use tollgate_domain::UnixMillis;

use super::*;
use crate::{
    health::{Entered, Sample},
    live::{Fleet, OperatorState, Override},
    snapshot::{Target, sample},
};

/// Targets by name with their level and weight, under one route.
struct House {
    plan: RoutePlan,
    now: Instant,
    random: u64,
}

#[derive(Clone, Copy)]
struct Given {
    name: &'static str,
    level: usize,
    weight: u32,
    is_provisioned: bool,
    most: Option<u32>,
}

const fn given(name: &'static str, level: usize, weight: u32) -> Given {
    Given { name, level, weight, is_provisioned: false, most: None }
}

impl House {
    fn of(balance: Balance, all: &[Given]) -> Self {
        let fleet = Fleet::default();
        let mut levels: Vec<Vec<Arc<Target>>> = Vec::new();
        let mut candidates = SmallVec::new();
        for given in all {
            let mut made = sample::target(&fleet, given.name, given.weight, given.most);
            made.is_provisioned = given.is_provisioned;
            let target = Arc::new(made);
            levels.resize_with(levels.len().max(given.level + 1), Vec::new);
            levels[given.level].push(Arc::clone(&target));
            candidates.push(Candidate { target, level: given.level, price: None });
        }
        let plan = RoutePlan::new(&Arc::new(sample::route(&fleet, "chat", balance, levels)), candidates);
        Self { plan, now: Instant::now(), random: 0x2545_f491_4f6c_dd1d }
    }

    fn spilling(mut self) -> Self {
        let route = Arc::get_mut(&mut self.plan.route).expect("nobody else has it");
        route.spill_on_saturation = true;
        self
    }

    fn live(&self, place: usize) -> &crate::live::TargetLive {
        &self.plan.candidates[place].target.live
    }

    fn choose_for(&mut self, affinity: Option<u64>, tried: &[usize]) -> Choice {
        let mut state = self.random;
        let asker = Asker {
            tried: |place| tried.contains(&place),
            affinity,
            // Xorshift: the same draws in every run.
            random: || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state
            },
        };
        let choice = choose(&self.plan, asker, self.now);
        self.random = state;
        choice
    }

    fn choose(&mut self) -> Choice {
        self.choose_for(None, &[])
    }

    /// How often each place is chosen in so many choices.
    fn counts(&mut self, choices: usize) -> Vec<usize> {
        let mut counts = vec![0; self.plan.candidates.len()];
        for _ in 0..choices {
            if let Choice::Candidate(place, _) = self.choose() {
                counts[place] += 1;
            }
        }
        counts
    }

    fn open(&self, place: usize) {
        for _ in 0..5 {
            self.say(place, Sample::Fault);
        }
    }

    fn eject(&self, place: usize) {
        self.live(place).breaker(|breaker| breaker.eject(0, self.now));
    }

    fn say(&self, place: usize, sample: Sample) {
        self.live(place).breaker(|breaker| breaker.sample(sample, Entered::Freely, 0, self.now));
    }

    /// Half-open after its time, then two trials that succeed.
    fn recover(&mut self, place: usize) {
        self.now += Duration::from_secs(1);
        for _ in 0..2 {
            let entered = self.live(place).breaker(|breaker| breaker.enter(Way::Usual, self.now));
            assert_eq!(entered, Some(Entered::OnTrial));
            self.live(place)
                .breaker(|breaker| breaker.sample(Sample::Success, Entered::OnTrial, 0, self.now));
        }
    }

    fn measure(&self, place: usize, millis: u64) {
        self.live(place).load(|load| load.measured(Duration::from_millis(millis), self.now));
    }

    fn operate(&self, place: usize, state: OperatorState) {
        let word = Override {
            state,
            reason: "a test".into(),
            actor: "operator".into(),
            since: UnixMillis::new(0),
            until: None,
            cut_at: None,
        };
        self.live(place).operator.set(Some(word));
    }

    fn set_in_flight(&self, place: usize, count: u32) {
        let target = &self.plan.candidates[place].target;
        target.live.in_flight.store(count, Ordering::Relaxed);
        target.upstream.live.in_flight.store(count, Ordering::Relaxed);
    }
}

const fn usual(place: usize) -> Choice {
    Choice::Candidate(place, Way::Usual)
}

#[test]
fn a_healthy_first_level_gets_everything_and_an_open_one_nothing() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 1, 1)]);
    assert_eq!(house.counts(100), [100, 0]);
    house.open(0);
    assert_eq!(house.counts(100), [0, 100]);
}

#[test]
fn what_was_tried_is_not_chosen_again() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 0, 1), given("c", 1, 1)]);
    assert!(matches!(house.choose_for(None, &[0]), Choice::Candidate(1, _)), "its own level first");
    assert_eq!(house.choose_for(None, &[0, 1]), usual(2));
    assert_eq!(house.choose_for(None, &[0, 1, 2]), Choice::Nothing(None));
}

#[test]
fn a_level_that_has_lost_half_its_weight_spills_three_tenths() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 0, 1), given("c", 1, 1)]);
    house.open(0);
    let counts = house.counts(2_000);
    assert_eq!(counts[0], 0);
    assert!((540..660).contains(&counts[2]), "{counts:?}");
}

#[test]
fn a_target_comes_back_on_a_ramp_over_its_levels() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 1, 1)]);
    house.open(0);
    house.recover(0);
    for (after, least, most) in [(0, 200, 360), (3, 880, 1_200), (10, 2_000, 2_000)] {
        let begin = house.now;
        house.now += Duration::from_secs(after);
        let counts = house.counts(2_000);
        assert!((least..=most).contains(&counts[0]), "after {after} s: {counts:?}");
        house.now = begin;
    }
}

#[test]
fn a_half_open_target_is_tried_by_one_request_where_its_level_counts() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 1, 1), given("c", 2, 1)]);
    house.open(0);
    house.open(2);
    house.now += Duration::from_secs(1);
    assert_eq!(house.choose(), usual(0));
    house.live(0).breaker(|breaker| breaker.enter(Way::Usual, house.now));
    assert_eq!(house.counts(100), [0, 100, 0], "one at a time, and none for a level that is not needed");
}

#[test]
fn a_slow_target_loses_its_share_and_is_looked_at_now_and_then() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 0, 1)]);
    let mut counts = [0; 2];
    for _ in 0..1_200 {
        let Choice::Candidate(place, _) = house.choose() else { panic!("both are healthy") };
        counts[place] += 1;
        house.measure(place, [100, 2_000][place]);
        house.now += Duration::from_millis(100);
    }
    assert!(counts[1] >= 1 && counts[1] * 20 <= 1_200, "{counts:?}");
}

#[test]
fn refusals_in_a_millisecond_attract_no_traffic() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 0, 1)]);
    house.measure(1, 300);
    house.live(0).load(|load| load.failed(Duration::from_millis(1), None, house.now));
    assert_eq!(house.counts(200), [0, 200]);
}

#[test]
fn a_new_target_begins_at_the_median_of_its_level() {
    let all = [given("a", 0, 1), given("b", 0, 1), given("c", 0, 1), given("new", 0, 1)];
    let mut house = House::of(Balance::P2c, &all);
    for (place, millis) in [(0, 100), (1, 200), (2, 5_000)] {
        house.measure(place, millis);
    }
    let counts = house.counts(3_000);
    assert_eq!(counts[2], 0, "{counts:?}");
    assert!(counts[3] > 300 && counts[3] < counts[0], "between the fast and the slow: {counts:?}");
}

#[test]
fn weights_are_turns_and_those_of_one_target_lie_apart() {
    let mut house = House::of(Balance::Weighted, &[given("a", 0, 5), given("b", 0, 1), given("c", 0, 1)]);
    let turns: Vec<usize> = (0..14)
        .map(|_| match house.choose() {
            Choice::Candidate(place, _) => place,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn those_about_as_fast_as_the_best_take_turns() {
    let all = [given("a", 0, 1), given("b", 0, 1), given("c", 0, 1)];
    let mut house = House::of(Balance::Latency { sensitivity: 20 }, &all);
    for (place, millis) in [(0, 100), (1, 119), (2, 130)] {
        house.measure(place, millis);
    }
    assert_eq!(house.counts(100), [50, 50, 0]);
}

#[test]
fn a_conversation_keeps_its_target_and_one_that_leaves_moves_its_own_alone() {
    let all = [given("a", 0, 1), given("b", 0, 1), given("c", 0, 1), given("d", 0, 1)];
    let mut house = House::of(Balance::Affinity, &all);
    let homes = |house: &mut House| -> Vec<usize> {
        (0..400_u64)
            .map(|key| match house.choose_for(Some(key.wrapping_mul(0x9e37_79b9_7f4a_7c15)), &[]) {
                Choice::Candidate(place, _) => place,
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let before = homes(&mut house);
    assert_eq!(before, homes(&mut house));
    for place in 0..4 {
        let share = before.iter().filter(|home| **home == place).count();
        assert!((60..140).contains(&share), "{place}: {share}");
    }
    house.operate(3, OperatorState::Draining);
    let after = homes(&mut house);
    for (was, is) in before.iter().zip(&after) {
        assert!(was == is || *was == 3, "{was} moved to {is}");
    }
}

#[test]
fn a_conversation_goes_elsewhere_while_its_target_is_a_quarter_busier() {
    let mut house = House::of(Balance::Affinity, &[given("a", 0, 1), given("b", 0, 1)]);
    let Choice::Candidate(home, _) = house.choose_for(Some(7), &[]) else { panic!("both are healthy") };
    let other = 1 - home;
    for (busy, calm, want) in [(10, 10, home), (12, 8, home), (14, 6, other), (13, 13, home)] {
        house.set_in_flight(home, busy);
        house.set_in_flight(other, calm);
        assert_eq!(house.choose_for(Some(7), &[]), usual(want), "{busy} to {calm}");
    }
}

#[test]
fn in_panic_targets_that_only_a_rate_has_put_out_are_used() {
    let all = [given("a", 0, 1), given("b", 0, 1), given("c", 0, 1)];
    let mut house = House::of(Balance::Weighted, &all);
    house.eject(0);
    assert_eq!(house.counts(100), [0, 50, 50], "two of three are enough");
    house.open(1);
    assert!(matches!(house.choose(), Choice::Candidate(_, Way::Panic)));
    let counts = house.counts(100);
    assert_eq!((counts[0], counts[1]), (50, 0), "what has failed five times in a row stays out");
    house.open(2);
    assert!(matches!(house.choose(), Choice::Candidate(_, Way::LastResort)), "panic needs one that is well");
}

#[test]
fn when_all_are_out_one_request_a_second_tries_and_no_operator_is_overruled() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 1, 1), given("c", 2, 1)]);
    house.operate(0, OperatorState::Draining);
    house.operate(1, OperatorState::Disabled);
    house.open(2);
    assert_eq!(house.choose(), Choice::Candidate(2, Way::LastResort));
    for _ in 0..9 {
        house.now += Duration::from_millis(100);
        let choice = house.choose();
        assert!(matches!(choice, Choice::Nothing(Some(_))), "{choice:?}");
    }
    house.operate(2, OperatorState::Draining);
    house.now += Duration::from_secs(60);
    assert_eq!(house.choose(), Choice::Nothing(None));
}

#[test]
fn a_throttle_is_obeyed_to_the_last() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1)]);
    house.live(0).hold.throttled(Some(Duration::from_secs(7)), 0, house.now);
    for _ in 0..7 {
        assert!(matches!(house.choose(), Choice::Held(_)));
        house.now += Duration::from_secs(1);
    }
    assert_eq!(house.choose(), usual(0));
}

#[test]
fn what_is_paid_for_is_filled_first_and_overflows_for_as_long_as_it_says() {
    let paid = Given { is_provisioned: true, ..given("paid", 0, 1) };
    let mut house = House::of(Balance::P2c, &[given("by use", 0, 9), paid, given("next", 1, 1)]);
    assert_eq!(house.counts(100), [0, 100, 0]);
    house.live(1).hold.overflowed(Some(Duration::from_millis(40)), house.now);
    house.now += Duration::from_millis(39);
    assert_eq!(house.counts(100)[1], 0);
    house.now += Duration::from_millis(1);
    assert_eq!(house.counts(100), [0, 100, 0]);
}

#[test]
fn a_target_whose_limit_is_used_up_is_asked_only_where_nothing_else_is() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 1, 1)]);
    house.live(0).hold.used_up(Duration::from_secs(3), house.now);
    assert_eq!(house.counts(100), [0, 100]);
    house.live(1).hold.throttled(Some(Duration::from_secs(9)), 0, house.now);
    assert_eq!(house.choose(), Choice::Candidate(0, Way::LastResort));
    house.now += Duration::from_secs(3);
    assert_eq!(house.counts(100), [100, 0]);
}

#[test]
fn no_trial_is_made_of_a_target_whose_limit_is_used_up() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 1, 1)]);
    house.open(0);
    house.now += Duration::from_secs(1);
    assert_eq!(house.choose(), usual(0));
    house.live(0).hold.used_up(Duration::from_secs(3), house.now);
    assert_eq!(house.choose(), usual(1));
}

#[test]
fn a_full_upstream_is_passed_by_and_with_all_full_the_client_hears_that() {
    let a = Given { most: Some(10), ..given("a", 0, 1) };
    let b = Given { most: Some(1), ..given("b", 1, 1) };
    let mut house = House::of(Balance::P2c, &[a, b]);
    house.set_in_flight(0, 9);
    assert_eq!(house.counts(100), [100, 0]);
    house.set_in_flight(0, 10);
    assert_eq!(house.counts(100), [0, 100]);
    house.set_in_flight(1, 1);
    assert_eq!(house.choose(), Choice::Saturated(0));
}

#[test]
fn a_level_may_spill_before_it_is_full() {
    let a = Given { most: Some(100), ..given("a", 0, 1) };
    let mut house = House::of(Balance::P2c, &[a, given("b", 1, 1)]).spilling();
    for (in_flight, least, most) in
        [(0, 0, 0), (60, 0, 0), (75, 260, 340), (90, 670, 770), (100, 1_000, 1_000)]
    {
        house.set_in_flight(0, in_flight);
        let spilled = house.counts(1_000)[1];
        assert!((least..=most).contains(&spilled), "{in_flight} in flight: {spilled}");
    }
}

#[test]
fn a_target_that_waits_for_an_operator_serves_only_what_nobody_else_can() {
    let mut house = House::of(Balance::P2c, &[given("a", 0, 1), given("b", 1, 1)]);
    house.live(0).leave(&"eu".into());
    assert_eq!(house.counts(100), [0, 100]);
    house.open(1);
    assert_eq!(house.choose(), Choice::Candidate(0, Way::LastResort));
    house.live(0).reset();
    assert_eq!(house.counts(100), [100, 0]);
}
