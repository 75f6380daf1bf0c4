//! From a path to a [`Document`]: read, include, expand, type, check.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    check,
    expand::expand,
    file::{ConfigFile, Key, Project, Team},
    prices::{self, PriceFile},
    problem::{Errors, Path, Place, Problem, Severity},
    sources::Sources,
    tree::{Node, Value},
    typed,
};

/// A configuration that was read and checked whole, and what is needed to point into its files.
pub struct Document {
    /// What the files say.
    pub file: ConfigFile,
    /// What the price files say.
    pub prices: PriceFile,
    /// What is perhaps not as meant.
    pub warnings: Vec<Problem>,
    /// Every file that the configuration was made of, secrets and certificates included.
    pub watched: Vec<PathBuf>,
    /// The text of the configuration, its includes and its price files, the main file first.
    pub parts: Vec<Part>,
    /// The path of the main file, as it was given.
    pub path: PathBuf,
    /// What [`fingerprint`] gives as long as no watched file has changed since it was read.
    pub fingerprint: u64,
    pub(super) tree: Node,
    pub(super) sources: Sources,
}

impl Document {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it. A file whose text or types are at fault is reported so far;
    /// references are followed once all texts are sound.
    pub fn load(path: &FilePath, sources: &Sources) -> Result<Self, Errors> {
        let text = read_text(path, sources)?;
        Self::parse(path, text, sources)
    }

    /// Reads and checks a configuration whose main text is given instead of read: a candidate that
    /// somebody wants validated under the name of the file it would replace.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(path: &FilePath, text: String, sources: &Sources) -> Result<Self, Errors> {
        let mut watched = vec![sources.resolve(path)];
        let mut problems = Vec::new();
        let mut tree = Node::parse(&shown(path), &text)?;
        let mut parts = vec![Part { path: path.to_owned(), text }];
        include(&mut tree, sources, &mut watched, &mut parts, &mut problems);
        expand(&mut tree, sources, &mut watched, &mut problems);
        // What is refused is taken out while reading; the whole tree is kept for its places.
        let typed = typed::read::<ConfigFile>(&mut tree.clone());
        let file = match typed {
            Ok(file) if problems.is_empty() => file,
            Ok(_) => return Err(Errors(problems)),
            Err(more) => {
                problems.extend(more);
                return Err(Errors(problems));
            }
        };
        let prices = read_prices(&file, &tree, sources, &mut parts, &mut problems);
        watched.extend(file.prices.iter().map(|path| sources.resolve(path)));
        let is_sound = problems.is_empty();
        problems.extend(check::check(&file, &prices, &tree, is_sound));
        by_place(&mut problems, path);
        if problems.iter().any(Problem::is_error) {
            return Err(Errors(problems));
        }
        let (path, sources) = (path.to_owned(), sources.clone());
        watched.extend(certificates(&file).map(|path| sources.resolve(path)));
        // From the texts that were read: what changed since must make a difference.
        let read = |path: &FilePath| parts.iter().find(|part| sources.resolve(&part.path) == path);
        let fingerprint = hash_files(&watched, |path| read(path).map(|part| part.text.as_bytes()));
        Ok(Self { file, prices, warnings: problems, watched, parts, path, fingerprint, tree, sources })
    }

    /// SHA-256 over all parts, in hexadecimal: equal for configurations of equal text.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for part in &self.parts {
            hash.update(part.path.as_os_str().as_encoded_bytes());
            hash.update([0]);
            hash.update(part.text.as_bytes());
            hash.update([0]);
        }
        hex::encode(hash.finalize())
    }

    /// Where its files and variables came from.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What keeps a key from being added to one of its projects, in words.
    #[must_use]
    pub fn faults_of_key(&self, owner: (&Team, &Project), key: &Key) -> Vec<String> {
        let problems = check::key(self, owner, key);
        let faults = problems.into_iter().filter(Problem::is_error);
        faults
            .map(|problem| {
                let suggestion = problem.suggestion.map(|name| format!("; did you mean `{name}`?"));
                format!("{}: {}{}", problem.path, problem.message, suggestion.unwrap_or_default())
            })
            .collect()
    }

    /// An error at a value of the configuration.
    pub(super) fn problem(&self, path: Path, message: impl Into<String>) -> Problem {
        let place = self.tree.place_of(&path).clone();
        Problem { path, ..Problem::at(Some(place), message) }
    }
}

/// One file of a configuration.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Part {
    /// Its path, as the configuration names it.
    pub path: PathBuf,
    /// What it says; secrets are references, unless somebody wrote them in.
    pub text: String,
}

/// Differs when the content of a file does, or when a file has come or gone in a folder.
#[must_use]
pub fn fingerprint(watched: &[PathBuf]) -> u64 {
    hash_files(watched, |_| None)
}

fn hash_files<'a>(watched: &[PathBuf], known: impl Fn(&FilePath) -> Option<&'a [u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in watched {
        match (known(path), std::fs::read_dir(path)) {
            (Some(bytes), _) => bytes.hash(&mut hasher),
            (None, Ok(entries)) => {
                let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
                names.sort();
                names.hash(&mut hasher);
            }
            (None, Err(_)) => std::fs::read(path).unwrap_or_default().hash(&mut hasher),
        }
    }
    hasher.finish()
}

pub(super) fn shown(path: &FilePath) -> Arc<str> {
    path.display().to_string().into()
}

pub(super) fn read_text(path: &FilePath, sources: &Sources) -> Result<String, Problem> {
    let bytes = std::fs::read(sources.resolve(path))
        .map_err(|error| Problem::at(None, sources.cannot_read(path, &error)))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + valid.iter().rev().take_while(|byte| **byte != b'\n').count();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let place = Place { file: shown(path), line: number(line), column: number(column) };
        Problem::at(Some(place), "this is not UTF-8 text: save the file as UTF-8")
    })
}

/// As somebody reads the files: the main one from its beginning, then the others.
fn by_place(problems: &mut [Problem], main: &FilePath) {
    let main = shown(main);
    problems.sort_by(|a, b| {
        let key = |problem: &Problem| {
            let place = problem.place.clone()?;
            Some((place.file != main, place.file, place.line, place.column))
        };
        key(a).cmp(&key(b))
    });
}

/// Merges every included file into the tree.
fn include(
    tree: &mut Node,
    sources: &Sources,
    watched: &mut Vec<PathBuf>,
    parts: &mut Vec<Part>,
    problems: &mut Vec<Problem>,
) {
    let at = Path::default().field("include");
    let Some(Node { value: Value::List(patterns), .. }) = tree.find(&at).cloned() else { return };
    for (index, pattern) in patterns.iter().enumerate() {
        // What is no text is refused by its type.
        let Value::Text(text) = &pattern.value else { continue };
        let fail = |message: String| {
            let path = at.index(index);
            Problem { path, ..Problem::at(Some(pattern.place.clone()), message) }
        };
        let paths = match matching(FilePath::new(&text.text), sources) {
            Ok(paths) => paths,
            Err(message) => {
                problems.push(fail(message));
                continue;
            }
        };
        // The folder too: a new file that fits the pattern is a change.
        watched.extend(FilePath::new(&text.text).parent().map(|folder| sources.resolve(folder)));
        for path in paths {
            watched.push(sources.resolve(&path));
            let part = read_text(&path, sources).map_err(|problem| match problem.place {
                Some(_) => problem,
                None => fail(problem.message),
            });
            let part = part.and_then(|text| {
                let node = Node::parse(&shown(&path), &text);
                parts.push(Part { path, text });
                node
            });
            match part {
                Ok(part) => merge(tree, part, &Path::default(), problems),
                Err(problem) => problems.push(problem),
            }
        }
    }
}

/// Groups of fields merge, lists are joined, and a plain value may be given once only.
fn merge(into: &mut Node, part: Node, path: &Path, problems: &mut Vec<Problem>) {
    match (&mut into.value, part.value) {
        // An included file may be empty.
        (_, Value::Null) => {}
        (Value::Map(entries), Value::Map(added)) => {
            for (key, value) in added {
                let path = path.field(&key.name);
                if path.steps().len() == 1 && key.name == "include" {
                    let message = "only the main file may include others: name this one's there";
                    problems.push(Problem { path, ..Problem::at(Some(key.place), message) });
                    continue;
                }
                match entries.iter_mut().find(|(known, _)| known.name == key.name) {
                    Some((_, known)) => merge(known, value, &path, problems),
                    None => entries.push((key, value)),
                }
            }
        }
        (Value::List(items), Value::List(added)) => items.extend(added),
        (Value::Null, value) => into.value = value,
        _ => {
            let message = format!("already given at {}: keep it in one place", into.place);
            problems.push(Problem {
                severity: Severity::Error,
                path: path.clone(),
                ..Problem::at(Some(part.place), message)
            });
        }
    }
}

/// The files that a pattern names, in the order of their names. `*` and `?` stand for characters of
/// a file's name, not for folders.
fn matching(pattern: &FilePath, sources: &Sources) -> Result<Vec<PathBuf>, String> {
    let folder = pattern.parent().unwrap_or(FilePath::new(""));
    let name = pattern
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or("expected the name of a file, such as config/teams/*.yaml")?;
    if folder.to_string_lossy().contains(['*', '?']) {
        return Err("`*` and `?` may stand in the last part of a path only".into());
    }
    if !name.contains(['*', '?']) {
        return Ok(vec![pattern.to_owned()]);
    }
    let cannot = |error| format!("cannot read the folder {}: {error}", folder.display());
    let opened = sources.resolve(folder);
    let opened = if opened.as_os_str().is_empty() { PathBuf::from(".") } else { opened };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(opened).map_err(cannot)? {
        let found = entry.map_err(cannot)?.file_name();
        // As in a shell, hidden files (an editor's, Kubernetes' `..data`) are named or left alone.
        let fits = |found: &&str| !found.starts_with('.') && fits(name.as_bytes(), found.as_bytes());
        if let Some(found) = found.to_str().filter(fits) {
            paths.push(folder.join(found));
        }
    }
    paths.sort();
    Ok(paths)
}

fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => fits(rest, name),
        (Some((b'*', rest)), Some((_, shorter))) => fits(rest, name) || fits(pattern, shorter),
        (Some((b'?', rest)), Some((_, shorter))) => fits(rest, shorter),
        (Some((want, rest)), Some((have, shorter))) => want == have && fits(rest, shorter),
        _ => false,
    }
}

fn read_prices(
    file: &ConfigFile,
    tree: &Node,
    sources: &Sources,
    parts: &mut Vec<Part>,
    problems: &mut Vec<Problem>,
) -> PriceFile {
    let mut prices = PriceFile::default();
    for (index, path) in file.prices.iter().enumerate() {
        match read_text(path, sources) {
            Ok(text) => {
                prices::read(&shown(path), &text, &mut prices, problems);
                parts.push(Part { path: path.clone(), text });
            }
            Err(problem) => {
                let path = Path::default().field("prices").index(index);
                let place = problem.place.clone().or_else(|| Some(tree.place_of(&path).clone()));
                problems.push(Problem { place, path, ..problem });
            }
        }
    }
    prices
}

fn certificates(file: &ConfigFile) -> impl Iterator<Item = &FilePath> {
    let listeners = [Some(&file.listen.data), Some(&file.listen.admin), file.listen.status.as_ref()];
    let servers = listeners.into_iter().flatten().filter_map(|listener| listener.tls.as_ref());
    let servers = servers.flat_map(|tls| [&tls.cert, &tls.key]);
    let clients = file.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref());
    let clients = clients.flat_map(|tls| [&tls.ca, &tls.cert, &tls.key].into_iter().flatten());
    servers.chain(clients).map(PathBuf::as_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        let cases = [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", ".yaml", true),
            ("a*b*c", "axxbyyc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.yaml", "a.yml", false),
        ];
        for (pattern, name, want) in cases {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), want, "{pattern} {name}");
        }
    }
}
