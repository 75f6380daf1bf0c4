//! References in texts: `${env:NAME}`, `${env:NAME:-default}`, `${file:PATH}`; `$$` is a dollar.
//!
//! They are resolved after parsing, so every position stays what the file says, and a value from
//! outside can never change the structure of the file.

use std::path::{Path as FilePath, PathBuf};

use super::{
    problem::{Path, Problem},
    sources::Sources,
    tree::{Node, Text, Value},
};

/// Resolves every reference below a node; what cannot be resolved is reported and left as it was.
/// Files that were read are added to `watched`.
pub(super) fn expand(
    node: &mut Node,
    sources: &Sources,
    watched: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) {
    let mut expander = Expander { sources, watched, problems };
    expander.visit(node, &Path::default());
}

struct Expander<'a> {
    sources: &'a Sources,
    watched: &'a mut Vec<PathBuf>,
    problems: &'a mut Vec<Problem>,
}

impl Expander<'_> {
    fn visit(&mut self, node: &mut Node, path: &Path) {
        match &mut node.value {
            Value::Text(text) if text.text.contains('$') => match self.text(&text.text) {
                Ok(expanded) => *text = expanded,
                Err(message) => {
                    let path = path.clone();
                    self.problems.push(Problem { path, ..Problem::at(Some(node.place.clone()), message) });
                }
            },
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.visit(item, &path.index(index));
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    self.visit(value, &path.field(&key.name));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) -> Result<Text, String> {
        let (mut out, mut expanded, mut rest) = (String::with_capacity(text.len()), false, text);
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('{') {
                let (reference, after) = inside
                    .split_once('}')
                    .ok_or("\"${\" without its \"}\"; write \"$$\" for a dollar sign")?;
                out.push_str(&self.resolve(reference)?);
                expanded = true;
                rest = after;
            } else {
                out.push('$');
            }
        }
        out.push_str(rest);
        Ok(Text { text: out, expanded })
    }

    fn resolve(&mut self, reference: &str) -> Result<String, String> {
        match reference.split_once(':') {
            Some(("env", rest)) => self.variable(rest),
            Some(("file", path)) if !path.is_empty() => self.file(FilePath::new(path)),
            _ => Err("unknown reference: use ${env:NAME}, ${env:NAME:-default} or ${file:PATH}, or \"$$\" for a dollar sign".into()),
        }
    }

    fn variable(&self, rest: &str) -> Result<String, String> {
        let (name, default) = match rest.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (rest, None),
        };
        let value = self.sources.variable(name);
        // As in a shell, the default also stands in for a variable that is set to nothing.
        match (value.filter(|value| default.is_none() || !value.is_empty()), default) {
            (Some(value), _) => Ok(value),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(format!(
                "the environment variable {name} is not set: set it, or give a default as in ${{env:{name}:-…}}"
            )),
        }
    }

    fn file(&mut self, path: &FilePath) -> Result<String, String> {
        let full = self.sources.resolve(path);
        self.watched.push(full.clone());
        let text = std::fs::read_to_string(full).map_err(|error| self.sources.cannot_read(path, &error))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand_text(text: &str) -> Result<String, String> {
        let sources = Sources::fixed(".", [("NAME", "value"), ("EMPTY", "")]);
        let (mut watched, mut problems) = (Vec::new(), Vec::new());
        let mut expander = Expander { sources: &sources, watched: &mut watched, problems: &mut problems };
        expander.text(text).map(|text| text.text)
    }

    #[test]
    fn references_are_replaced_by_what_they_name() {
        let cases = [
            ("a ${env:NAME} b", "a value b"),
            ("${env:NAME}${env:NAME}", "valuevalue"),
            ("${env:NONE:-by default}", "by default"),
            ("${env:EMPTY:-by default}", "by default"),
            ("${env:EMPTY}", ""),
            ("${env:NONE:-}", ""),
            ("$${env:NAME} costs $5", "${env:NAME} costs $5"),
            ("no reference$", "no reference$"),
        ];
        for (text, want) in cases {
            assert_eq!(expand_text(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_resolved_is_named() {
        let cases = [
            ("${env:NONE}", "variable NONE is not set"),
            ("${file:/nowhere/at/all}", "/nowhere/at/all"),
            ("${exec:ls}", "unknown reference"),
            ("${env:NAME", "without its"),
        ];
        for (text, want) in cases {
            assert!(expand_text(text).unwrap_err().contains(want), "{text}");
        }
    }
}
