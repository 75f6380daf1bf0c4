//! The table of clients and what each was seen to do, as it stands in `README.md`.

use std::{env, fs, path::Path};

use anyhow::{Context as _, Result, ensure};

const BEGIN: &str = "<!-- clients: written by the test of this name -->\n";
const END: &str = "<!-- end of clients -->\n";

/// A line of the table: the client, then a cell for each step.
pub(crate) type Line = Vec<String>;

/// The table as Markdown.
pub(crate) fn render(head: &[&str], lines: &[Line]) -> String {
    let row = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|---|{}\n", ":-:|".repeat(head.len().saturating_sub(1)));
    let body = lines.iter().map(|line| row(&line.iter().map(String::as_str).collect::<Vec<_>>()));
    [row(head), rule].into_iter().chain(body).collect()
}

/// Compares a table with the one in the README; `TOLLGATE_BLESS=1` writes it there instead.
///
/// # Errors
/// They differ, or the README has no place for it.
pub(crate) fn compare_with_readme(table: &str) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(&file).context("no README")?;
    if env::var_os("TOLLGATE_BLESS").is_some() {
        let (before, _, after) = around_the_table(&readme)?;
        return fs::write(&file, [before, BEGIN, table, END, after].concat()).context("cannot write README");
    }
    compare(&readme, table)
}

fn compare(readme: &str, table: &str) -> Result<()> {
    let (_, standing, _) = around_the_table(readme)?;
    ensure!(
        standing == table,
        "README.md tells something else of the clients than what was seen: look whether what was seen is \
         right, then run `TOLLGATE_BLESS=1 cargo test -p tollgate-app --test sdk clients::`\n\
         in README.md:\n{standing}seen:\n{table}"
    );
    Ok(())
}

/// What stands before the table, the table, and what stands after it.
fn around_the_table(readme: &str) -> Result<(&str, &str, &str)> {
    let (before, rest) = readme.split_once(BEGIN).context("README.md has no place for the table")?;
    let (standing, after) = rest.split_once(END).context("the table in README.md has no end")?;
    Ok((before, standing, after))
}

#[test]
fn a_table_has_a_row_for_each_client_and_a_column_for_each_step() {
    let line = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let table = render(&["client", "chat", "tools"], &[line(["one", "yes", "n/a"])]);
    assert_eq!(table, "| client | chat | tools |\n|---|:-:|:-:|\n| one | yes | n/a |\n");
}

#[test]
fn a_readme_that_tells_something_else_is_red() {
    let readme = |table: &str| format!("# Title\n{BEGIN}{table}{END}more\n");
    assert!(compare(&readme("| one |\n"), "| one |\n").is_ok());
    for other in [readme("| two |\n"), readme(""), "# Title\n".to_owned()] {
        assert!(compare(&other, "| one |\n").is_err(), "{other}");
    }
}
