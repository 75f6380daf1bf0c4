use super::*;

fn objective(goal: u32) -> Objective {
    Objective { subject: Subject::Model("gpt".into()), aim: Aim::Success, goal }
}

#[test]
fn the_burn_rate_is_the_share_that_failed_over_the_share_that_may() {
    let cases = [
        (999_000, 1_000, 1_000, Some(0)),
        (999_000, 999, 1_000, Some(1_000)),
        (999_000, 986, 1_000, Some(14_000)),
        (990_000, 0, 1, Some(100_000)),
        (950_000, 19, 20, Some(1_000)),
        (999_999, 0, u64::MAX, Some(1_000_000_000)),
        (999_000, 0, 0, None),
        (1_000_000, 0, 1, None),
    ];
    for (goal, good, all, want) in cases {
        assert_eq!(objective(goal).burn_permille(Counts { good, all }), want, "{goal} {good} {all}");
    }
}

#[test]
fn an_objective_that_stays_keeps_what_it_has_measured() {
    let objectives = Objectives::default();
    let now = UnixMillis::new(1_000_000);
    let all =
        || objectives.standings(now).iter().map(|standing| standing.measured[0].2.all).collect::<Vec<_>>();
    objectives.follow(&[objective(999_000)]);
    objectives.0.load().all[0].client.count(true);
    assert_eq!(all(), [1]);
    objectives.follow(&[objective(990_000), objective(999_000)]);
    assert_eq!(all(), [0, 1], "another goal is another objective");
    objectives.follow(&[]);
    objectives.follow(&[objective(999_000)]);
    assert_eq!(all(), [0], "one that was given up begins anew");
}

#[test]
fn names_tell_whose_they_are() {
    assert_eq!(objective(1).name(), "model/gpt/success");
    let subject = Subject::Project("retail".into(), "search".into());
    let objective = Objective { subject, aim: Aim::FirstToken(Duration::from_secs(2)), goal: 1 };
    assert_eq!(objective.name(), "project/retail/search/first_token");
}
