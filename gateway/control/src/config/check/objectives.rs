//! Objectives: what can be promised at all.

use crate::config::{
    file::{Objectives, Percent},
    problem::Path,
};

use super::Check;

impl Check<'_> {
    pub(super) fn objectives(&mut self) {
        let file = self.file;
        for (index, model) in file.models.iter().enumerate() {
            let here = Path::default().field("models").index(index).field("objectives");
            self.promised(&here, model.objectives.as_ref());
        }
        for (index, team) in file.teams.iter().enumerate() {
            let projects = Path::default().field("teams").index(index).field("projects");
            for (index, project) in team.projects.iter().enumerate() {
                self.promised(&projects.index(index).field("objectives"), project.objectives.as_ref());
            }
        }
    }

    fn promised(&mut self, here: &Path, objectives: Option<&Objectives>) {
        let Some(objectives) = objectives else { return };
        if let Some(share) = objectives.success {
            self.goal(here.field("success"), share);
        }
        let mut is_empty = objectives.success.is_none();
        for (field, in_time) in [("first_token", &objectives.first_token), ("total", &objectives.total)] {
            let Some(in_time) = in_time else { continue };
            is_empty = false;
            self.goal(here.field(field).field("share"), in_time.share);
            if in_time.within.0.is_zero() {
                self.error(here.field(field).field("within"), "must be more than 0s");
            }
        }
        if is_empty {
            self.error(here.clone(), "expected `success`, `first_token` or `total`");
        }
    }

    fn goal(&mut self, path: Path, share: Percent) {
        if !(1..1_000_000).contains(&share.millionths) {
            self.error(
                path,
                "expected more than 0% and less than 100%: where nothing may fail, no pace can be told",
            );
        }
    }
}
