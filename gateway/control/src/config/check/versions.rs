//! Versions of models: which targets of a model are known to serve different ones.

use std::collections::BTreeMap;

use tollgate_domain::ModelVersion;

use crate::config::{
    compile::version_of,
    file::{Model, Target},
    problem::Path,
};

use super::Check;

/// A target with its place in the list and its version.
type Versioned<'a> = (usize, &'a Target, ModelVersion);

impl Check<'_> {
    pub(super) fn versions(&mut self) {
        let file = self.file;
        for (index, model) in file.models.iter().enumerate() {
            let here = Path::default().field("models").index(index).field("targets");
            for (position, target) in model.targets.iter().enumerate() {
                if target.version.as_ref().is_some_and(|version| version.trim().is_empty()) {
                    let path = here.index(position).field("version");
                    self.error(
                        path,
                        "expected a version such as 2024-08-06; leave it out where none is known",
                    );
                }
            }
            self.levels(&here, model);
        }
    }

    fn levels(&mut self, here: &Path, model: &Model) {
        let mut levels: BTreeMap<u32, Vec<Versioned<'_>>> = BTreeMap::new();
        for (position, target) in model.targets.iter().enumerate() {
            // A level is there whether its versions are known or not.
            let level = levels.entry(target.priority).or_default();
            level.extend(version_of(target).map(|version| (position, target, version)));
        }
        if !model.mixed_versions {
            for level in levels.values() {
                self.level(here, level);
            }
        }
        let preferred = model.targets.iter().map(|target| target.priority).min();
        let Some(first) = preferred.and_then(|priority| levels.remove(&priority)) else { return };
        let all_known =
            first.len() == model.targets.iter().filter(|target| Some(target.priority) == preferred).count();
        if model.failover_versions || !all_known {
            return;
        }
        for (position, target, version) in levels.into_values().flatten() {
            if let Some((_, other, _)) = first.iter().find(|(_, _, other)| other.differs(&version))
                && first.iter().all(|(_, _, other)| other.differs(&version))
            {
                let message = format!(
                    "{} is another version than {}: no call fails over from there to here; to allow it, give the model `failover_versions: true`",
                    named(target),
                    named(other)
                );
                self.warn(place(here, position, target), message);
            }
        }
    }

    fn level(&mut self, here: &Path, level: &[Versioned<'_>]) {
        for (index, (position, target, version)) in level.iter().enumerate() {
            if let Some((_, other, _)) = level[..index].iter().find(|(_, _, other)| other.differs(version)) {
                let message = format!(
                    "{} and {} are different versions in one level: give them different priorities, or the model `mixed_versions: true`",
                    named(other),
                    named(target)
                );
                self.error(place(here, *position, target), message);
            }
        }
    }
}

fn place(here: &Path, position: usize, target: &Target) -> Path {
    here.index(position).field(if target.version.is_some() { "version" } else { "model" })
}

fn named(target: &Target) -> String {
    match &target.version {
        Some(version) => format!("`{}` at `{}` (version {version})", target.model, target.upstream),
        None => format!("`{}` at `{}`", target.model, target.upstream),
    }
}
