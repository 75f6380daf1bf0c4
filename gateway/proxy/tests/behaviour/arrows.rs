//! The order of the stations, held by their imports: a station names tickets of earlier stations,
//! never of later ones. What does not fit is either in the wrong place or needs a word here.

use std::{collections::BTreeSet, fs, path::Path};

/// The stations in the order in which a request meets them. `settle` stands where its ticket is
/// made: admission gives a trip, and whoever has it owes the settlement. `edge` comes before `listen`,
/// which begins an exchange for each request.
const STATIONS: [&str; 14] = [
    "edge",
    "listen",
    "auth",
    "trace",
    "caller",
    "translate",
    "intake",
    "stored",
    "route",
    "settle",
    "admission",
    "upstream",
    "failover",
    "relay",
];

/// What every station may name: the words for no, room for a request, and what outlives one. These hold parts of
/// stations (a key ring, a breaker, a pool), so they may name stations too.
const GROUND: [&str; 16] = [
    "rejection",
    "limits",
    "series",
    "snapshot",
    "drill",
    "findings",
    "health",
    "live",
    "me",
    "objectives",
    "overload",
    "probe",
    "residency",
    "served",
    "unpriced",
    "worker",
];

/// What knows the stations: the one way through them, and the threads that it runs on.
const FRAME: [&str; 2] = ["pipeline", "server"];

/// Arrows that go up on purpose.
const EXCEPTIONS: [(&str, &str, &str); 2] = [
    ("listen", "pipeline", "hands each request over to its way through the stations"),
    ("listen", "server", "is told by the plane when to stop accepting"),
];

/// The only places that name the whole configuration; a station gets the part that it needs. A drill makes
/// the routes of all of it anew.
const SEE_THE_SNAPSHOT: [&str; 5] = ["snapshot", "pipeline", "worker", "drill", "lib"];

fn is_allowed(from: &str, to: &str) -> bool {
    let place = |name: &str| STATIONS.iter().position(|station| *station == name);
    match (place(from), place(to)) {
        _ if from == to || EXCEPTIONS.iter().any(|(one, other, _)| (*one, *other) == (from, to)) => true,
        (Some(from), Some(to)) => to < from,
        (Some(_), None) => GROUND.contains(&to),
        (None, _) if GROUND.contains(&from) => !FRAME.contains(&to),
        (None, to_station) if from == "pipeline" => {
            to != "listen" && (to_station.is_some() || GROUND.contains(&to))
        }
        (None, _) => from == "server" && ["listen", "worker"].contains(&to),
    }
}

#[test]
fn no_arrow_between_the_stations_runs_backwards() {
    let arrows = arrows();
    assert!(arrows.len() > 30, "the imports are not read: {arrows:?}");
    let backwards: Vec<_> = arrows.iter().filter(|(from, to)| !is_allowed(from, to)).collect();
    assert!(backwards.is_empty(), "these arrows run backwards: {backwards:?}");
}

#[test]
fn every_module_has_its_place() {
    let known: BTreeSet<&str> = STATIONS.into_iter().chain(GROUND).chain(FRAME).collect();
    let modules: BTreeSet<String> = sources().into_iter().map(|(module, _)| module).collect();
    let unplaced: Vec<_> =
        modules.iter().filter(|name| *name != "lib" && !known.contains(&***name)).collect();
    assert!(unplaced.is_empty(), "modules without a place in the order: {unplaced:?}");
    assert!(known.iter().all(|name| modules.contains(*name)), "a place without its module");
}

#[test]
fn only_the_pipeline_sees_the_whole_snapshot() {
    let seen: Vec<_> = sources()
        .into_iter()
        .filter(|(module, code)| !SEE_THE_SNAPSHOT.contains(&&**module) && names(code, "Snapshot"))
        .map(|(module, _)| module)
        .collect();
    assert!(seen.is_empty(), "{seen:?} name the whole snapshot");
}

#[test]
fn imports_are_read_in_every_form() {
    let code = "use crate::{\n    edge::{self, name},\n    route,\n};\nuse crate::auth::KeyRing;\nfn f() { crate::limits::shown() }";
    assert_eq!(imports(code), ["auth", "edge", "limits", "route"]);
    assert!(names("a: &Snapshot,", "Snapshot") && !names("a: SnapshotView", "Snapshot"));
}

/// Pairs of modules of which the first names the second.
fn arrows() -> BTreeSet<(String, String)> {
    let modules: BTreeSet<String> = sources().into_iter().map(|(module, _)| module).collect();
    sources()
        .into_iter()
        .filter(|(module, _)| module != "lib")
        .flat_map(|(module, code)| imports(&code).into_iter().map(move |to| (module.clone(), to)))
        .filter(|(_, to)| modules.contains(to))
        .collect()
}

/// Every source file's module at the crate's root, and its code without comments.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let first = path.strip_prefix(&root).expect("below the root").iter().next().expect("a name");
            let module = first.to_str().expect("text").trim_end_matches(".rs").to_owned();
            let code = fs::read_to_string(&path).expect("a source");
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>();
            sources.push((module, code.join("\n")));
        }
    }
    sources
}

/// The modules at the crate's root that some code names, sorted.
fn imports(code: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(first_word(rest)),
        }
    }
    found.into_iter().collect()
}

/// The first words of a `{…}` group's members, nested groups aside.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut begin) = (0, Vec::new(), 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.extend(first_word(&group[begin..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.extend(first_word(&group[begin..at]));
                begin = at + 1;
            }
            _ => {}
        }
    }
    heads
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

fn names(code: &str, word: &str) -> bool {
    let is_part = |letter: Option<char>| letter.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        !is_part(code[..at].chars().next_back()) && !is_part(code[at + word.len()..].chars().next())
    })
}
