//! Objectives, as they are measured.

use tollgate_proxy::{Aim, Objective, Subject};

use crate::config::file::{ConfigFile, Objectives};

/// Those of all models, then those of all projects.
pub(super) fn compile(file: &ConfigFile) -> Vec<Objective> {
    let models = file.models.iter().map(|model| {
        let subject = Subject::Model(model.name.as_str().into());
        (subject, model.objectives.as_ref())
    });
    let projects = file.teams.iter().flat_map(|team| {
        team.projects.iter().map(|project| {
            let subject = Subject::Project(team.name.as_str().into(), project.name.as_str().into());
            (subject, project.objectives.as_ref())
        })
    });
    let of = |(subject, given): (Subject, Option<&Objectives>)| promised(&subject, given);
    models.chain(projects).flat_map(of).collect()
}

fn promised(subject: &Subject, given: Option<&Objectives>) -> Vec<Objective> {
    let Some(given) = given else { return Vec::new() };
    let success = given.success.map(|share| (Aim::Success, share));
    let first = given.first_token.as_ref().map(|given| (Aim::FirstToken(given.within.0), given.share));
    let total = given.total.as_ref().map(|given| (Aim::Total(given.within.0), given.share));
    let objective = |(aim, share): (Aim, crate::config::file::Percent)| Objective {
        subject: subject.clone(),
        aim,
        goal: share.millionths,
    };
    [success, first, total].into_iter().flatten().map(objective).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::compile;
    use crate::config::{Document, Sources};

    /// Names and goals of what is promised, or what is wrong with it.
    fn compiled(objectives: &str) -> Result<Vec<(String, u32)>, Vec<String>> {
        let text = format!(
            "\
regions: [{{ name: home, zone: eu }}]
upstreams:
  - {{ name: up, dialect: openai, region: home, base_url: \"https://llm.contoso.com/v1\", credential: upstream-secret-0123456789 }}
models:
  - {{ name: chat, targets: [{{ upstream: up, model: m }}], objectives: {objectives} }}
teams:
  - name: retail
    projects:
      - {{ name: search, models: [chat], objectives: {objectives} }}
"
        );
        let document =
            Document::parse(Path::new("t.yaml"), text, &Sources::fixed("/nonexistent", [("", "")]));
        let document =
            document.map_err(|errors| errors.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let objectives = compile(&document.file);
        Ok(objectives.iter().map(|objective| (objective.name(), objective.goal)).collect())
    }

    #[test]
    fn models_and_projects_are_promised_what_their_files_say() {
        let all = "{ success: 99.9%, first_token: { within: 2s, share: \"95%\" }, total: { within: 30s, share: 99% } }";
        let (model, project) = ("model/chat", "project/retail/search");
        let aims = [("success", 999_000), ("first_token", 950_000), ("total", 990_000)];
        let want: Vec<_> = [model, project]
            .iter()
            .flat_map(|subject| aims.map(|(aim, goal)| (format!("{subject}/{aim}"), goal)))
            .collect();
        assert_eq!(compiled(all), Ok(want));
    }

    #[test]
    fn what_cannot_be_promised_is_refused_at_its_place() {
        let cases = [
            ("{ success: 100% }", "models[0].objectives.success: expected more than 0% and less than 100%"),
            ("{ success: 0% }", "models[0].objectives.success: expected more than 0%"),
            ("{ success: 0.999 }", "models[0].objectives.success: expected a percentage"),
            ("{}", "models[0].objectives: expected `success`, `first_token` or `total`"),
            (
                "{ total: { within: 0s, share: 99% } }",
                "models[0].objectives.total.within: must be more than 0s",
            ),
            ("{ total: { within: 1s } }", "models[0].objectives.total: the field `share` is missing"),
        ];
        for (objectives, want) in cases {
            let found = compiled(objectives).expect_err(objectives);
            assert!(found.iter().any(|line| line.contains(want)), "{objectives}: {found:#?}");
        }
    }
}
