use super::*;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What a request that went in beside others says.
fn say(breaker: &mut Breaker, sample: Sample, now: Instant) -> Told {
    breaker.sample(sample, Entered::Freely, 0, now)
}

/// What the request that tries says.
fn try_out(breaker: &mut Breaker, sample: Sample, now: Instant) -> Told {
    assert_eq!(breaker.enter(Way::Usual, now), Some(Entered::OnTrial));
    breaker.sample(sample, Entered::OnTrial, 0, now)
}

fn fail(breaker: &mut Breaker, now: Instant) {
    for _ in 0..RUN {
        say(breaker, Sample::Fault, now);
    }
    assert_eq!(breaker.state(now), BreakerState::Open);
}

fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::default();
    fail(&mut breaker, now);
    breaker
}

fn is_out(breaker: &mut Breaker, now: Instant) -> bool {
    matches!(breaker.passing(now), Passing::Out { .. })
}

#[test]
fn a_trial_that_breaks_late_opens_it_and_leaves_the_next_one_on_trial() {
    let start = Instant::now();
    let (mut breaker, now) = (opened(start), start + seconds(2));
    try_out(&mut breaker, Sample::Began, now);
    assert_eq!(breaker.enter(Way::Usual, now), Some(Entered::OnTrial));
    assert_eq!(breaker.sample(Sample::Fault, Entered::HasTried, 0, now), Told::Opened);
    assert_eq!(breaker.enter(Way::LastResort, now), None, "one is on trial");
    breaker.no_sample();
    assert_eq!(breaker.enter(Way::LastResort, now), Some(Entered::OnTrial));
    assert_eq!(breaker.sample(Sample::Fault, Entered::HasTried, 0, now), Told::Nothing);
    assert_eq!(breaker.enter(Way::LastResort, now), None, "it still is");
}

#[test]
fn five_faults_in_a_row_open_it_and_a_success_breaks_the_run() {
    let now = Instant::now();
    let mut breaker = Breaker::default();
    for _ in 0..RUN - 1 {
        assert_eq!(say(&mut breaker, Sample::Fault, now), Told::Nothing);
    }
    say(&mut breaker, Sample::Success, now);
    assert_eq!(say(&mut breaker, Sample::Fault, now), Told::Nothing);
    assert_eq!(breaker.passing(now), Passing::Share(1000));
    assert!(is_out(&mut opened(now), now));
}

#[test]
fn a_target_that_breaks_every_stream_is_left_alone() {
    let now = Instant::now();
    let mut breaker = Breaker::default();
    for n in 1..=RUN {
        say(&mut breaker, Sample::Began, now);
        let told = say(&mut breaker, Sample::Fault, now);
        assert_eq!(told == Told::Opened, n == RUN, "stream {n}");
    }
}

#[test]
fn a_stream_counts_once_in_the_rate() {
    let now = Instant::now();
    let mut breaker = Breaker::default();
    for _ in 0..15 {
        say(&mut breaker, Sample::Began, now);
        say(&mut breaker, Sample::Ended, now);
    }
    let told: Vec<Told> = (0..5)
        .map(|_| {
            let told = say(&mut breaker, Sample::Fault, now);
            say(&mut breaker, Sample::Ended, now);
            told
        })
        .collect();
    assert_eq!(told[3..], [Told::Nothing, Told::RateIsLow], "15 of 20");
}

#[test]
fn a_low_rate_is_told_and_overload_counts_in_the_rate_alone() {
    let now = Instant::now();
    let mut breaker = Breaker::default();
    for _ in 0..15 {
        say(&mut breaker, Sample::Success, now);
    }
    let told: Vec<Told> = (0..5).map(|_| say(&mut breaker, Sample::Overloaded, now)).collect();
    assert_eq!(told[3..], [Told::Nothing, Told::RateIsLow], "15 of 20 is below 80 in a hundred");
    assert_eq!(breaker.passing(now), Passing::Share(1000), "the others are asked first");
    breaker.eject(0, now);
    assert_eq!(breaker.passing(now), Passing::Out { until: Some(now + seconds(1)), by_rate: true });
    let mut run_only = Breaker::default();
    for _ in 0..history::ENOUGH - 1 {
        assert_eq!(say(&mut run_only, Sample::Overloaded, now), Told::Nothing);
    }
}

#[test]
fn old_samples_leave_the_window() {
    let now = Instant::now();
    let mut breaker = Breaker::default();
    for at in 0..19 {
        say(&mut breaker, if at % 4 == 0 { Sample::Success } else { Sample::Overloaded }, now);
    }
    assert_eq!(say(&mut breaker, Sample::Success, now + seconds(11)), Told::Nothing);
    assert_eq!(breaker.success_permille(now + seconds(11)), Some(1000));
}

#[test]
fn half_open_lets_one_request_try_and_two_successes_recover_it() {
    let now = Instant::now();
    let mut breaker = opened(now);
    let later = now + seconds(1);
    assert_eq!(breaker.state(later), BreakerState::HalfOpen);
    assert_eq!(breaker.passing(later), Passing::Trial);
    assert_eq!(breaker.enter(Way::Usual, later), Some(Entered::OnTrial));
    assert!(is_out(&mut breaker, later));
    assert_eq!(breaker.enter(Way::Usual, later), None, "one at a time");
    breaker.sample(Sample::Success, Entered::OnTrial, 0, later);
    try_out(&mut breaker, Sample::Began, later);
    assert_eq!(breaker.state(later), BreakerState::Closed);
    for (after, share) in [(0, 100), (5, 550), (10, 1000)] {
        assert_eq!(breaker.passing(later + seconds(after)), Passing::Share(share), "{after} s");
    }
}

#[test]
fn requests_from_before_the_opening_decide_nothing() {
    let now = Instant::now();
    let mut breaker = opened(now);
    let later = now + seconds(1);
    for sample in [Sample::Success, Sample::Fault, Sample::Success] {
        say(&mut breaker, sample, later);
        assert_eq!(breaker.state(later), BreakerState::HalfOpen, "{sample:?}");
    }
}

#[test]
fn each_opening_in_a_row_is_longer_up_to_a_minute() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(breaker.passing(now), Passing::Out { until: Some(now + seconds(wait)), by_rate: false });
        now += seconds(wait);
        assert_eq!(try_out(&mut breaker, Sample::Fault, now), Told::Opened);
    }
}

#[test]
fn a_throttled_trial_opens_it_again() {
    let now = Instant::now();
    let mut breaker = opened(now);
    let later = now + seconds(1);
    assert_eq!(breaker.enter(Way::Usual, later), Some(Entered::OnTrial));
    assert_eq!(breaker.trial_throttled(0, later), Told::Opened);
    assert_eq!(breaker.passing(later), Passing::Out { until: Some(later + seconds(2)), by_rate: false });
}

#[test]
fn a_trial_that_tells_nothing_lets_the_next_one_try() {
    let now = Instant::now();
    let mut breaker = opened(now);
    let later = now + seconds(1);
    assert!(breaker.enter(Way::Usual, later).is_some());
    breaker.no_sample();
    assert!(breaker.enter(Way::Usual, later).is_some());
}

#[test]
fn a_last_resort_that_fails_makes_nothing_longer_and_one_that_succeeds_is_a_trial() {
    let now = Instant::now();
    let mut breaker = opened(now);
    assert_eq!(breaker.enter(Way::Usual, now), None);
    assert_eq!(breaker.enter(Way::LastResort, now), Some(Entered::OnTrial));
    assert_eq!(breaker.enter(Way::LastResort, now), None, "one at a time");
    assert_eq!(breaker.sample(Sample::Fault, Entered::OnTrial, 0, now), Told::Nothing);
    assert_eq!(breaker.passing(now), Passing::Out { until: Some(now + seconds(1)), by_rate: false });
    breaker.enter(Way::LastResort, now);
    breaker.sample(Sample::Success, Entered::OnTrial, 0, now);
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    try_out(&mut breaker, Sample::Success, now);
    assert_eq!(breaker.state(now), BreakerState::Closed);
}

#[test]
fn in_panic_only_those_come_back_that_a_rate_has_put_out() {
    let now = Instant::now();
    let mut ejected = Breaker::default();
    ejected.eject(0, now);
    assert_eq!(ejected.enter(Way::Panic, now), Some(Entered::Freely));
    assert_eq!(opened(now).enter(Way::Panic, now), None);
}

#[test]
fn a_target_that_comes_and_goes_stays_out_until_it_has_been_healthy_for_long() {
    let mut now = Instant::now();
    let mut breaker = Breaker::default();
    // Ten minutes of five seconds up, five down, twenty requests a second.
    let mut swings = 0;
    for second in 0..600 {
        now += seconds(1);
        let sample = if second % 10 < 5 { Sample::Success } else { Sample::Fault };
        for _ in 0..20 {
            if let Some(entered) = breaker.enter(Way::Usual, now) {
                breaker.sample(sample, entered, 0, now);
            }
            let changes = breaker.take_changes();
            let moves = |change: &&Change| change.reason == "faults_in_a_row" || change.to == "recovering";
            swings += changes.iter().filter(moves).count();
        }
    }
    assert!(swings <= 4, "{swings}");
    // Healthy from now on: requests one by one, and all of it after the probation.
    let begin = now;
    while breaker.state(now) != BreakerState::Closed {
        now += seconds(1);
        if let Some(entered) = breaker.enter(Way::Usual, now) {
            breaker.sample(Sample::Success, entered, 0, now);
        }
    }
    let took = now.duration_since(begin);
    assert!(took <= seconds(700), "{took:?}");
}

#[test]
fn on_probation_one_request_in_a_while_tries() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    now += seconds(2);
    for _ in 0..TRIALS {
        try_out(&mut breaker, Sample::Success, now);
    }
    fail(&mut breaker, now);
    now += seconds(2);
    for _ in 0..TRIALS {
        try_out(&mut breaker, Sample::Success, now);
    }
    assert!(is_out(&mut breaker, now), "the second time it has to show a minute of health");
    let mut tried = 0;
    let begin = now;
    while breaker.state(now) != BreakerState::Closed {
        now += Duration::from_millis(100);
        if let Some(entered) = breaker.enter(Way::Usual, now) {
            tried += 1;
            breaker.sample(Sample::Success, entered, 0, now);
        }
    }
    assert_eq!((now.duration_since(begin), tried), (seconds(60), 12));
}

#[test]
fn a_passed_probe_lets_a_request_try_earlier_and_closes_nothing() {
    let now = Instant::now();
    let mut breaker = opened(now);
    breaker.probed(now);
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    breaker.probed(now);
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
}

#[test]
fn every_change_is_told_once_with_its_reason() {
    let now = Instant::now();
    let mut breaker = opened(now);
    let told = |breaker: &mut Breaker| -> Vec<(&str, &str)> {
        breaker.take_changes().into_iter().map(|change| (change.to, change.reason)).collect()
    };
    assert_eq!(told(&mut breaker), [("open", "faults_in_a_row")]);
    assert_eq!(told(&mut breaker), []);
    let later = now + seconds(1);
    try_out(&mut breaker, Sample::Fault, later);
    assert_eq!(told(&mut breaker), [("half_open", "waited"), ("open", "trial_failed")]);
}
