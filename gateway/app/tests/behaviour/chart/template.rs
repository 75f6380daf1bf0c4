//! As much of Helm's template language as the chart uses, so that what it makes can be looked at without
//! Helm. What is unknown here is an error, so that the chart cannot grow past it unseen.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    syntax,
    syntax::{Base, Node, Pipeline, Term},
    yaml,
};

/// A chart: its templates by name, and what they may name beside values.
pub(super) struct Chart {
    templates: BTreeMap<String, Vec<Node>>,
    defines: BTreeMap<String, Vec<Node>>,
    folder: std::path::PathBuf,
}

struct Scope {
    root: Value,
    dot: Value,
    variables: BTreeMap<String, Value>,
}

impl Chart {
    /// Reads the templates of a chart's folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut chart =
            Self { templates: BTreeMap::new(), defines: BTreeMap::new(), folder: folder.to_owned() };
        for entry in fs::read_dir(folder.join("templates"))? {
            let path = entry?.path();
            let name = path.file_name().context("it has a name")?.to_string_lossy().into_owned();
            let nodes = syntax::parse(&fs::read_to_string(&path)?).with_context(|| name.clone())?;
            for node in &nodes {
                if let Node::Define(name, body) = node {
                    chart.defines.insert(name.clone(), body.clone());
                }
            }
            chart.templates.insert(name, nodes);
        }
        Ok(chart)
    }

    /// What the templates make of these values, by the template's name; helpers make nothing.
    pub(super) fn render(&self, values: &Value) -> Result<BTreeMap<String, String>> {
        let about = yaml::parse(&fs::read_to_string(self.folder.join("Chart.yaml"))?)?;
        let root = json!({
            "Values": values,
            "Chart": { "Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"] },
            "Release": { "Name": "gateway", "Namespace": "ai", "Service": "Helm" },
        });
        let mut made = BTreeMap::new();
        for (name, nodes) in &self.templates {
            let mut scope = Scope { root: root.clone(), dot: root.clone(), variables: BTreeMap::new() };
            let mut text = String::new();
            self.run(nodes, &mut scope, &mut text).with_context(|| name.clone())?;
            if !text.trim().is_empty() {
                made.insert(name.clone(), text);
            }
        }
        Ok(made)
    }

    fn run(&self, nodes: &[Node], scope: &mut Scope, out: &mut String) -> Result<()> {
        for node in nodes {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Emit(pipeline) => out.push_str(&shown(&self.value(pipeline, scope)?)),
                Node::Set(name, pipeline) => {
                    let value = self.value(pipeline, scope)?;
                    scope.variables.insert(name.clone(), value);
                }
                Node::Define(..) => {}
                Node::If(condition, then, otherwise) => {
                    let branch = if is_true(&self.value(condition, scope)?) { then } else { otherwise };
                    self.run(branch, scope, out)?;
                }
                Node::With(pipeline, body) => {
                    let value = self.value(pipeline, scope)?;
                    if is_true(&value) {
                        self.run_at(body, scope, value, out)?;
                    }
                }
                Node::Range(variable, pipeline, body) => {
                    let items = self.value(pipeline, scope)?;
                    for item in items.as_array().context("a range is over a list")?.clone() {
                        if let Some(variable) = variable {
                            scope.variables.insert(variable.clone(), item.clone());
                        }
                        self.run_at(body, scope, item, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn run_at(&self, body: &[Node], scope: &mut Scope, dot: Value, out: &mut String) -> Result<()> {
        let outer = std::mem::replace(&mut scope.dot, dot);
        let done = self.run(body, scope, out);
        scope.dot = outer;
        done
    }

    fn value(&self, pipeline: &Pipeline, scope: &Scope) -> Result<Value> {
        let mut last = None;
        for command in pipeline {
            last = Some(self.command(command, last, scope)?);
        }
        last.context("an empty pipeline")
    }

    /// One command; what comes through the pipe is its last argument.
    fn command(&self, command: &[Term], piped: Option<Value>, scope: &Scope) -> Result<Value> {
        let (first, rest) = command.split_first().context("an empty command")?;
        let mut arguments = rest.iter().map(|term| self.term(term, scope)).collect::<Result<Vec<Value>>>()?;
        arguments.extend(piped);
        match first {
            Term::Function(name) => self.call(name, arguments, scope),
            Term::Path(_, fields) if fields.join(".") == "Files.Get" => {
                let name = arguments.first().and_then(Value::as_str).context("a file is named")?;
                Ok(fs::read_to_string(self.folder.join(name)).with_context(|| name.to_owned())?.into())
            }
            other => {
                ensure!(arguments.is_empty(), "{other:?} takes no arguments");
                self.term(other, scope)
            }
        }
    }

    fn term(&self, term: &Term, scope: &Scope) -> Result<Value> {
        Ok(match term {
            Term::Literal(value) => value.clone(),
            Term::Inner(pipeline) => self.value(pipeline, scope)?,
            Term::Function(name) => self.call(name, Vec::new(), scope)?,
            Term::Path(base, fields) => {
                let start = match base {
                    Base::Dot => &scope.dot,
                    Base::Root => &scope.root,
                    Base::Variable(name) => {
                        scope.variables.get(name).with_context(|| format!("no ${name}"))?
                    }
                };
                fields.iter().fold(start, |value, field| &value[field.as_str()]).clone()
            }
        })
    }

    fn call(&self, name: &str, arguments: Vec<Value>, scope: &Scope) -> Result<Value> {
        let argument = |at: usize| arguments.get(at).with_context(|| format!("{name} needs more arguments"));
        let text = |at: usize| argument(at).map(shown);
        let number = |at: usize| -> Result<i64> { Ok(shown(argument(at)?).parse()?) };
        Ok(match name {
            "include" => {
                let body =
                    self.defines.get(&text(0)?).with_context(|| format!("no template {}", arguments[0]))?;
                let dot = argument(1)?.clone();
                let mut inner = Scope { root: dot.clone(), dot, variables: BTreeMap::new() };
                let mut out = String::new();
                self.run(body, &mut inner, &mut out)?;
                out.into()
            }
            "toYaml" => yaml::write(argument(0)?).into(),
            "nindent" => {
                let indent = " ".repeat(usize::try_from(number(0)?)?);
                let lines: Vec<String> = text(1)?.lines().map(|line| format!("{indent}{line}")).collect();
                format!("\n{}", lines.join("\n")).into()
            }
            "quote" => json!(text(0)?).to_string().into(),
            "default" => match is_true(argument(1)?) {
                true => argument(1)?.clone(),
                false => argument(0)?.clone(),
            },
            "printf" => {
                let mut form = text(0)?;
                for at in 1..arguments.len() {
                    form = form.replacen("%s", &text(at)?, 1);
                }
                form.into()
            }
            "trunc" => text(1)?.chars().take(usize::try_from(number(0)?)?).collect::<String>().into(),
            "trimSuffix" => {
                let whole = text(1)?;
                whole.strip_suffix(&text(0)?).unwrap_or(&whole).into()
            }
            "contains" => text(1)?.contains(&text(0)?).into(),
            "and" => arguments.iter().all(is_true).into(),
            "or" => arguments.iter().any(is_true).into(),
            "not" => (!is_true(argument(0)?)).into(),
            "eq" => (argument(0)? == argument(1)?).into(),
            "gt" => (number(0)? > number(1)?).into(),
            "int" => number(0)?.into(),
            "add" => (0..arguments.len()).map(number).sum::<Result<i64>>()?.into(),
            "until" => (0..number(0)?).map(Value::from).collect(),
            "list" => arguments.into(),
            "dig" => {
                let (keys, rest) = arguments.split_at(arguments.len() - 2);
                let found = keys.iter().try_fold(&rest[1], |value, key| value.get(key.as_str()?));
                found.unwrap_or(&rest[0]).clone()
            }
            "required" => match is_true(argument(1)?) {
                true => argument(1)?.clone(),
                false => bail!("{}", text(0)?),
            },
            "fail" => bail!("{}", text(0)?),
            other => bail!(
                "the function {other} is not known here ({} arguments at {})",
                arguments.len(),
                scope.dot
            ),
        })
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_so) => *is_so,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
