//! Where it could have gone, and why it did not.

use tollgate_accounting::ledger::{Entry, Kind};
use tollgate_domain::Name;
use tollgate_proxy::{Route, Target};

use super::{Explanation, PassedOver, Witness};
use crate::{
    chronicle::Standing,
    config::file::{Project, Team},
};

pub(super) fn tell(row: &Entry, witness: &Witness<'_>, said: &mut Explanation) {
    let Some(route) = witness.snapshot.routes.by_alias.get(row.model.as_str()) else {
        if !row.model.as_str().is_empty() {
            said.unknown.push(format!("where {} could have gone: it is not configured now", row.model));
        }
        return;
    };
    let running = witness.running.version.number;
    if row.config_version != 0 && row.config_version != running {
        said.unknown.push(format!(
            "the targets of that moment: version {} of the configuration was in force, and these are those of version {running}",
            row.config_version
        ));
    }
    if !witness.tells_of_fleet {
        return;
    }
    let targets: usize = route.levels.iter().map(Vec::len).sum();
    said.story.push(format!(
        "{} has {} in {}, and the lower level is asked only where the higher one cannot serve.",
        row.model,
        counted(targets, "target"),
        counted(route.levels.len(), "level")
    ));
    // A request that was refused for a limit or a fault of its own went nowhere, whatever its targets were.
    if row.kind == Kind::Usage || row.error_code.as_deref().is_some_and(is_about_targets) {
        pass_over(row, route, witness, said);
    }
}

/// True for refusals that targets had a part in.
fn is_about_targets(code: &str) -> bool {
    [
        "no_healthy_upstream",
        "upstream_rate_limited",
        "upstream_saturated",
        "zone_not_permitted",
        "model_unpriced",
    ]
    .contains(&code)
}

fn pass_over(row: &Entry, route: &Route, witness: &Witness<'_>, said: &mut Explanation) {
    let owner = owner(row, witness);
    let is_own = *row.identity.instance == *witness.running.settings.instance;
    let tried = |target: &Target| row.attempts.iter().any(|attempt| attempt.upstream == target.upstream.name);
    let first_tried = route.levels.iter().position(|level| level.iter().any(|target| tried(target)));
    let (mut puzzling, mut passed_over) = (Vec::new(), Vec::new());
    for (index, level) in route.levels.iter().enumerate() {
        for target in level.iter().filter(|target| !tried(target)) {
            let standing = is_own.then(|| witness.chronicle.at(&target.live.name, row.started_at)).flatten();
            let turn = match first_tried {
                Some(first) if index > first => Turn::Later,
                Some(first) if index == first => Turn::Beside,
                _ => Turn::Before,
            };
            let why = why(target, owner, standing, turn).unwrap_or_else(|| {
                puzzling.push(target.live.name.clone());
                "this is not known".to_owned()
            });
            passed_over.push(PassedOver {
                target: target.live.name.to_string(),
                region: target.upstream.region.to_string(),
                level: index + 1,
                why,
            });
        }
    }
    said.passed_over = Some(passed_over);
    if !puzzling.is_empty() {
        said.unknown.push(unknown(&puzzling, is_own));
    }
}

/// When a target's turn would have been.
#[derive(Clone, Copy)]
enum Turn {
    /// Before what was tried first.
    Before,
    /// In the level of what was tried first.
    Beside,
    /// After it.
    Later,
}

/// `None` where nobody knows. What rules a target out for good stands before what did for a while.
fn why(
    target: &Target,
    owner: Option<(&Team, &Project)>,
    standing: Option<Standing>,
    turn: Turn,
) -> Option<String> {
    if let Some((_, project)) = owner
        && let Some(zones) = &project.zones
    {
        let outside: Vec<&str> = target
            .upstream
            .zones
            .iter()
            .map(|zone| zone.as_str())
            .filter(|zone| !zones.iter().any(|z| z == zone))
            .collect();
        if !outside.is_empty() {
            return Some(format!(
                "it processes in {}, and the project permits {} only",
                outside.join(", "),
                zones.join(", ")
            ));
        }
    }
    if let Some(words) = standing.and_then(|standing| standing.words()) {
        return Some(words);
    }
    match turn {
        Turn::Later => Some("it was not needed: a level before it was asked".to_owned()),
        Turn::Beside => Some("another target of its level was chosen".to_owned()),
        // It had no price, or its dialect cannot say what was asked: neither is remembered.
        Turn::Before => None,
    }
}

fn owner<'w>(row: &Entry, witness: &'w Witness<'_>) -> Option<(&'w Team, &'w Project)> {
    let team =
        witness.running.document.file.teams.iter().find(|team| team.name == row.identity.team.as_str())?;
    let project = team.projects.iter().find(|project| project.name == row.identity.project.as_str())?;
    Some((team, project))
}

fn unknown(targets: &[Name], is_own: bool) -> String {
    let names = targets.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    let whose = if is_own {
        "this process looks at its targets once a second, since its start"
    } else {
        "another instance served it"
    };
    format!("why {names} did not come first: {whose}")
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
