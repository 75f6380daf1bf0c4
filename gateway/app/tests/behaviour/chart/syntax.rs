//! Go's template syntax: text, and actions in double braces.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

pub(super) type Pipeline = Vec<Vec<Term>>;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Emit(Pipeline),
    Set(String, Pipeline),
    If(Pipeline, Vec<Node>, Vec<Node>),
    With(Pipeline, Vec<Node>),
    Range(Option<String>, Pipeline, Vec<Node>),
    Define(String, Vec<Node>),
}

#[derive(Clone, Debug)]
pub(super) enum Term {
    Path(Base, Vec<String>),
    Literal(Value),
    Function(String),
    Inner(Pipeline),
}

#[derive(Clone, Debug)]
pub(super) enum Base {
    Dot,
    Root,
    Variable(String),
}

/// A piece of a template: text, or what stands in braces.
enum Piece {
    Text(String),
    Action(String),
}

/// Reads a template.
pub(super) fn parse(template: &str) -> Result<Vec<Node>> {
    let mut pieces = pieces(template)?.into_iter();
    let (nodes, end) = block(&mut pieces)?;
    ensure!(end.is_none(), "{end:?} ends nothing");
    Ok(nodes)
}

fn pieces(template: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    let mut trims = false;
    while let Some(start) = rest.find("{{") {
        let (text, action) = (&rest[..start], &rest[start + 2..]);
        let end = action.find("}}").context("an action is not closed")?;
        let (mut inner, after) = (&action[..end], &action[end + 2..]);
        let mut text = if trims { text.trim_start() } else { text };
        if let Some(trimmed) = inner.strip_prefix("- ") {
            text = text.trim_end();
            inner = trimmed;
        }
        trims = inner.ends_with(" -");
        pieces.push(Piece::Text(text.to_owned()));
        pieces.push(Piece::Action(inner.strip_suffix(" -").unwrap_or(inner).trim().to_owned()));
        rest = after;
    }
    pieces.push(Piece::Text(if trims { rest.trim_start() } else { rest }.to_owned()));
    Ok(pieces)
}

/// Nodes up to the `end` or `else` of this block, or to the end of the template.
fn block(pieces: &mut std::vec::IntoIter<Piece>) -> Result<(Vec<Node>, Option<String>)> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let action = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(action) => action,
        };
        let (word, rest) = action.split_once(' ').unwrap_or((&action, ""));
        nodes.push(match word {
            "end" | "else" => return Ok((nodes, Some(action))),
            "if" => {
                let (then, mut end) = block(pieces)?;
                let mut otherwise = Vec::new();
                if end.as_deref() == Some("else") {
                    (otherwise, end) = block(pieces)?;
                }
                ensure!(end.as_deref() == Some("end"), "{action} is not ended: {end:?}");
                Node::If(pipeline(rest)?, then, otherwise)
            }
            "with" => Node::With(pipeline(rest)?, body(pieces)?),
            "define" => Node::Define(rest.trim_matches('"').to_owned(), body(pieces)?),
            "range" => match rest.split_once(":=") {
                Some((name, list)) => Node::Range(Some(variable(name)?), pipeline(list)?, body(pieces)?),
                None => Node::Range(None, pipeline(rest)?, body(pieces)?),
            },
            _ => match action.split_once(":=") {
                Some((name, value)) => Node::Set(variable(name)?, pipeline(value)?),
                None => Node::Emit(pipeline(&action)?),
            },
        });
    }
    Ok((nodes, None))
}

fn body(pieces: &mut std::vec::IntoIter<Piece>) -> Result<Vec<Node>> {
    let (body, end) = block(pieces)?;
    ensure!(end.as_deref() == Some("end"), "a block is not ended: {end:?}");
    Ok(body)
}

fn variable(name: &str) -> Result<String> {
    Ok(name.trim().strip_prefix('$').context("a variable begins with $")?.to_owned())
}

fn pipeline(text: &str) -> Result<Pipeline> {
    let mut words = words(text)?.into_iter();
    let read = commands(&mut words, false)?;
    ensure!(words.next().is_none(), "a bracket is closed that was not opened: {text}");
    Ok(read)
}

fn commands(words: &mut std::vec::IntoIter<String>, is_inner: bool) -> Result<Pipeline> {
    let mut read: Pipeline = vec![Vec::new()];
    while let Some(word) = words.next() {
        let term = match word.as_str() {
            "|" => {
                read.push(Vec::new());
                continue;
            }
            ")" => {
                ensure!(is_inner, "a bracket is closed that was not opened");
                return Ok(read);
            }
            "(" => Term::Inner(commands(words, true)?),
            word => term(word)?,
        };
        read.last_mut().context("there is a command")?.push(term);
    }
    ensure!(!is_inner, "a bracket is not closed");
    Ok(read)
}

fn term(word: &str) -> Result<Term> {
    let fields = |path: &str| path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    Ok(match word.as_bytes() {
        [b'"', ..] | [b'0'..=b'9', ..] => Term::Literal(serde_json::from_str(word)?),
        [b'.', ..] => Term::Path(Base::Dot, fields(word)),
        [b'$'] => Term::Path(Base::Root, Vec::new()),
        [b'$', b'.', ..] => Term::Path(Base::Root, fields(&word[1..])),
        [b'$', ..] => match word[1..].split_once('.') {
            Some((name, path)) => Term::Path(Base::Variable(name.to_owned()), fields(path)),
            None => Term::Path(Base::Variable(word[1..].to_owned()), Vec::new()),
        },
        [letter, ..] if letter.is_ascii_alphabetic() => Term::Function(word.to_owned()),
        _ => bail!("what is {word}?"),
    })
}

fn words(text: &str) -> Result<Vec<String>> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        let last = words.last_mut().context("there is one")?;
        match letter {
            '"' => {
                quoted = !quoted;
                last.push(letter);
            }
            _ if quoted => last.push(letter),
            '(' | ')' | '|' => words.extend([letter.to_string(), String::new()]),
            _ if letter.is_whitespace() => words.push(String::new()),
            _ => last.push(letter),
        }
    }
    ensure!(!quoted, "a quotation mark is not closed: {text}");
    words.retain(|word| !word.is_empty());
    Ok(words)
}
