//! What is wrong with a configuration, and where.
//!
//! A [`Problem`] is written for the person who edits the file: it points at a line and a column,
//! names the path of the value, and never repeats a secret.

use std::{fmt, sync::Arc};

/// A position in a file; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The file, as it was named on the command line or by an `include`.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The way from the top of the configuration to a value, such as `teams[0].projects[1].zones`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Field(Box<str>),
    Index(usize),
}

impl Path {
    /// The path of a field of the value at this path.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.then(Step::Field(name.into()))
    }

    /// The path of an item of the list at this path.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    pub(super) fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Whether this is the path of a field of the value at the other one.
    pub(super) fn is_field_of(&self, other: &Self) -> bool {
        matches!(self.0.split_last(), Some((Step::Field(_), way)) if way == other.0)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if position == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a problem keeps a configuration from being used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration works, but perhaps not as meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// Where; `None` only for a file that cannot be read at all or a setting given elsewhere.
    pub place: Option<Place>,
    /// The path of the value; empty where the text as a whole is at fault.
    pub path: Path,
    /// What is wrong and what to do.
    pub message: String,
    /// The nearest name that would have been right.
    pub suggestion: Option<String>,
}

impl Problem {
    /// An error without a path, such as text that is no YAML.
    #[must_use]
    pub fn at(place: Option<Place>, message: impl Into<String>) -> Self {
        let path = Path::default();
        Self { severity: Severity::Error, place, path, message: message.into(), suggestion: None }
    }

    /// True for what keeps the configuration from being used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    /// `file:line:column: path: message; did you mean …?`, with `warning:` before a warning's path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.path.steps().is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

/// Everything that keeps a configuration from being used, in the order of the files; warnings that
/// were found on the way are among them.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Errors(pub Vec<Problem>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl From<Problem> for Errors {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// The candidate that someone who wrote `word` most likely meant.
#[must_use]
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = candidates.into_iter().filter_map(|candidate| {
        let edits = strsim::damerau_levenshtein(word, candidate);
        let likeness = strsim::jaro_winkler(word, candidate);
        // A slip of the finger in a short word, or a long common part; more would only confuse.
        (edits == 1 || edits * 3 <= word.len() || likeness >= 0.85).then_some((edits, candidate))
    });
    near.min().map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_place_path_message_and_suggestion() {
        let place = Place { file: "a.yaml".into(), line: 3, column: 7 };
        let path = Path::default().field("teams").index(0).field("projects").index(1).field("zones");
        let mut problem = Problem { path, ..Problem::at(Some(place), "no region has the zone \"su\"") };
        problem.suggestion = Some("us".into());
        let text =
            "a.yaml:3:7: teams[0].projects[1].zones: no region has the zone \"su\"; did you mean `us`?";
        assert_eq!(problem.to_string(), text);
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let names = ["upstreams", "models", "teams"];
        assert_eq!(nearest("upstream", names).as_deref(), Some("upstreams"));
        assert_eq!(nearest("modles", names).as_deref(), Some("models"));
        assert_eq!(nearest("tema", names).as_deref(), Some("teams"));
        assert_eq!(nearest("zzz", names), None);
    }
}
