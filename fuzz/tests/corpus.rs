//! Every target over its corpus, and over seeded mutations of it: so many for each target as
//! `TOLLGATE_FUZZ_CASES` says.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use tollgate_fuzz::{Dictionary, Mutations, Target};

/// Mutations of a target where nothing says how many.
const CASES: usize = 100;
/// A corpus is to be read by people too.
const LARGEST_CORPUS: usize = 24 << 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    files
}

fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folders = target.corpora().into_iter().map(|name| root().join(name));
    folders
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| files(&folder))
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a readable file")))
        .collect()
}

/// Checks one input; a broken law is told with the input that broke it.
fn check(target: &Target, what: &str, input: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| target.check(input)));
    assert!(outcome.is_ok(), "{} on {what}: b\"{}\"", target.name(), input.escape_ascii());
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let mut wanted = BTreeSet::new();
    for target in Target::all() {
        let inputs = corpus(&target);
        assert!(!inputs.is_empty(), "nothing in corpus/{}", target.name());
        let size: usize = inputs.iter().map(|(_, input)| input.len()).sum();
        assert!(size <= LARGEST_CORPUS, "corpus/{} has {size} bytes", target.name());
        wanted.extend(target.corpora());
    }
    for folder in files(&root()) {
        let name = folder.file_name().and_then(|name| name.to_str()).expect("a plain name");
        assert!(wanted.contains(name), "corpus/{name} belongs to no target");
    }
}

#[test]
fn no_input_of_a_corpus_breaks_a_law() {
    for target in Target::all() {
        for (name, input) in corpus(&target) {
            check(&target, &name, &input);
        }
        check(&target, "nothing", b"");
    }
}

#[test]
fn no_mutation_of_a_corpus_breaks_a_law() {
    let cases = std::env::var("TOLLGATE_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    let text = fs::read_to_string(root().with_file_name("dictionary.txt")).expect("the dictionary");
    let dictionary = Dictionary::parse(&text);
    for (seed, target) in Target::all().into_iter().enumerate() {
        let inputs: Vec<Vec<u8>> = corpus(&target).into_iter().map(|(_, input)| input).collect();
        let mutations = Mutations::new(&inputs, &dictionary, seed as u64).take(cases.unwrap_or(CASES));
        for (number, input) in mutations.enumerate() {
            check(&target, &format!("mutation {number}"), &input);
        }
    }
}
