//! Budgets: amounts, thresholds, and what happens at them.

use tollgate_domain::Money;

use crate::config::{
    file::{Budget, BudgetAction, BudgetMode, Key, Period, Project, Team},
    problem::Path,
};

use super::Check;

/// Thresholds are percentages up to ten times the amount.
const LARGEST_PERCENTAGE: u16 = 1_000;

/// Whose budget it is.
pub(super) enum Bound<'a> {
    Team(&'a Team),
    Project(&'a Team, &'a Project),
    Key(&'a Team, &'a Project, &'a Key),
}

impl<'a> Bound<'a> {
    /// The budgets that hold as well.
    fn above(&self) -> Vec<(&'static str, &'a Budget)> {
        let (project, team) = match self {
            Self::Team(_) => (None, None),
            Self::Project(team, _) => (None, Some(team)),
            Self::Key(team, project, _) => (Some(project), Some(team)),
        };
        let project = project.and_then(|project| project.budget.as_ref()).map(|budget| ("project", budget));
        let team = team.and_then(|team| team.budget.as_ref()).map(|budget| ("team", budget));
        project.into_iter().chain(team).collect()
    }

    /// Some caller under this budget that may not call the model.
    fn without(&self, model: &str) -> Option<String> {
        let has = |models: &[String]| models.iter().any(|known| known == model);
        match self {
            Self::Team(team) => {
                let project = team.projects.iter().find(|project| !has(&project.models))?;
                Some(format!("the project `{}`", project.name))
            }
            Self::Project(_, project) => (!has(&project.models)).then(|| "the project".to_owned()),
            Self::Key(_, project, key) => {
                let models = key.models.as_ref().unwrap_or(&project.models);
                (!has(models)).then(|| "the key".to_owned())
            }
        }
    }
}

impl Check<'_> {
    pub(super) fn budget(&mut self, here: &Path, budget: Option<&Budget>, bound: &Bound<'_>) {
        let Some(budget) = budget else { return };
        if budget.amount < Money::ZERO {
            self.error(here.field("amount"), "a budget cannot be negative: expected 0 or more");
        }
        self.percentages(&here.field("alerts"), budget.alerts.as_deref().unwrap_or_default());
        self.percentages(&here.field("forecast_alerts"), &budget.forecast_alerts);
        if budget.period == Period::Total && !budget.forecast_alerts.is_empty() {
            let message =
                "the period `total` has no end to forecast: leave them out, or choose another period";
            self.error(here.field("forecast_alerts"), message);
        }
        self.actions(&here.field("actions"), budget, bound);
        for (what, parent) in bound.above() {
            if parent.period == budget.period && parent.amount < budget.amount {
                self.doubt(
                    here.field("amount"),
                    format!("is above the {what}'s budget of {}, which is reached first", parent.amount),
                );
            }
        }
    }

    fn percentages(&mut self, here: &Path, given: &[u16]) {
        for (index, percent) in given.iter().enumerate() {
            self.percentage(here.index(index), *percent);
        }
    }

    fn percentage(&mut self, path: Path, percent: u16) {
        if !(1..=LARGEST_PERCENTAGE).contains(&percent) {
            self.error(path, format!("expected a percentage from 1 to {LARGEST_PERCENTAGE}"));
        }
    }

    fn actions(&mut self, here: &Path, budget: &Budget, bound: &Bound<'_>) {
        if budget.mode == BudgetMode::Observe && !budget.actions.is_empty() {
            self.error(here.clone(), "a budget that only observes does nothing: use `soft` or `hard`");
        }
        for (index, action) in budget.actions.iter().enumerate() {
            let path = here.index(index);
            self.percentage(path.field("at"), action.at);
            match (&action.model, action.refuse) {
                (Some(model), false) => self.downgrade(&path, model, bound),
                (None, true) => {
                    if budget.mode == BudgetMode::Hard && action.at > 100 {
                        let message = "a hard budget refuses at 100 already; a `soft` one can give grace";
                        self.error(path.field("at"), message);
                    }
                }
                _ => self.error(path.clone(), "give `model` or `refuse: true`"),
            }
            let earlier = &budget.actions[..index];
            let alike = |other: &BudgetAction| other.refuse == action.refuse;
            if action.refuse && earlier.iter().any(alike) {
                self.error(path, "a budget refuses from one percentage on: leave one of the two");
            } else if earlier.iter().filter(|other| alike(other)).any(|other| other.at == action.at) {
                self.error(
                    path.field("at"),
                    "two models are given for this percentage: leave one of the two",
                );
            }
        }
    }

    fn downgrade(&mut self, path: &Path, model: &str, bound: &Bound<'_>) {
        let known = self.file.models.iter().map(|known| known.name.as_str());
        self.reference(path.field("model"), "model", model, known);
        if let Some(caller) = bound.without(model) {
            let message =
                format!("{caller} may not call `{model}`, so its calls stay with what they ask for");
            self.warn(path.field("model"), message);
        }
    }
}
