//! A large organisation: 2,000 projects, 200 upstreams, 13 months. Every day a tenth of it is made; the
//! long form (`TOLLGATE_LONG=1`) makes all.

use std::fmt::Write as _;

use anyhow::Result;

/// How large.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) teams: usize,
    pub(crate) projects_of_a_team: usize,
    pub(crate) upstreams: usize,
    pub(crate) days: i64,
}

impl Size {
    pub(crate) fn of_this_run() -> Self {
        if std::env::var_os("TOLLGATE_LONG").is_some_and(|value| value == "1") {
            Self { teams: 40, projects_of_a_team: 50, upstreams: 200, days: 396 }
        } else {
            Self { teams: 20, projects_of_a_team: 10, upstreams: 40, days: 60 }
        }
    }

    /// The upstream that serves the model with this number.
    fn upstream(self, model: usize) -> (String, String) {
        let number = model % self.upstreams;
        (format!("upstream-{number:03}"), format!("region-{:02}", number % 20))
    }

    /// Who calls which model, in the day's row with this number.
    pub(crate) fn row(self, number: usize) -> Row {
        let (team, project) = (number % self.teams, number / self.teams % self.projects_of_a_team);
        let model = number % 30;
        let (upstream, region) = self.upstream(model);
        Row {
            team: team_name(team),
            project: project_name(project),
            model: format!("model-{model:02}"),
            upstream,
            region,
        }
    }
}

/// One row's names.
pub(crate) struct Row {
    pub(crate) team: String,
    pub(crate) project: String,
    pub(crate) model: String,
    pub(crate) upstream: String,
    pub(crate) region: String,
}

fn team_name(number: usize) -> String {
    format!("team-{number:02}")
}

fn project_name(number: usize) -> String {
    format!("project-{number:02}")
}

/// The blocks of the configuration that name regions, upstreams, models and teams.
pub(crate) fn config(size: Size, provider: &str) -> Result<String> {
    let mut text = "regions:\n".to_owned();
    for region in 0..20 {
        writeln!(
            text,
            "  - {{ name: region-{region:02}, zone: {} }}",
            if region % 2 == 0 { "eu" } else { "us" }
        )?;
    }
    text.push_str("upstreams:\n");
    for number in 0..size.upstreams {
        let (name, region) = size.upstream(number);
        writeln!(
            text,
            "  - {{ name: {name}, dialect: openai, region: {region}, base_url: \"http://{provider}/v1\", allow_private: true, credential: credential-of-the-upstreams }}"
        )?;
    }
    text.push_str("models:\n");
    for model in 0..30 {
        let targets: Vec<String> = (0..size.upstreams)
            .filter(|number| {
                number % 30 == model % size.upstreams.min(30) || *number == model % size.upstreams
            })
            .map(|number| format!("{{ upstream: {}, model: gpt-5-mini }}", size.upstream(number).0))
            .collect();
        writeln!(text, "  - {{ name: model-{model:02}, targets: [{}] }}", targets.join(", "))?;
    }
    text.push_str("teams:\n");
    for team in 0..size.teams {
        writeln!(
            text,
            "  - name: {}\n    budget: {{ amount: \"90000\", period: month, mode: soft }}\n    projects:",
            team_name(team)
        )?;
        for project in 0..size.projects_of_a_team {
            writeln!(
                text,
                "      - {{ name: {}, models: [model-00, model-01], budget: {{ amount: \"{}\", period: month, mode: hard }}, keys: [{{ name: prod, secret: key-of-{team:02}-{project:02}-0123456789 }}] }}",
                project_name(project),
                500 + 100 * project
            )?;
        }
    }
    Ok(text)
}
