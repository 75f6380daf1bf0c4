//! Every form of file, read by the libraries that finance's tools are built on: pyarrow, DuckDB,
//! openpyxl and Python's own CSV reader. Each sees the ledger to the last digit.

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tollgate_accounting::ledger::{Entry, LedgerStore, Row};
use tollgate_finance::{
    FocusForm, FocusVersion, XlsxDetail, export_csv, export_focus, export_parquet, export_xlsx,
};

use crate::{
    ground::store_of,
    mixed::{Dice, mixed},
    same_total::Question,
};

/// What the script must have looked at in each folder.
const CHECKS: [&str; 10] = [
    "csv",
    "csv has no formulas",
    "parquet by pyarrow",
    "parquet by duckdb",
    "focus csv",
    "focus parquet",
    "xlsx teams",
    "xlsx summary",
    "xlsx requests",
    "xlsx notes",
];

#[test]
fn readers_of_other_makers_see_the_ledger_to_the_last_digit() {
    let cases = if env::var_os("TOLLGATE_LONG").is_some() { 500 } else { 2 };
    let entries = mixed(7, 400);
    let (_ledger, store) = store_of(&entries);
    let folder = TempDir::new().expect("a folder");
    let mut dice = Dice::new(77);
    for case in 0..cases {
        let question = Question::random(&mut dice);
        let place = folder.path().join(format!("case-{case}"));
        fs::create_dir(&place).expect("made");
        write_all(&store, &entries, &question, &place);
    }
    let told = python("python-readers", "read_exports.py", folder.path());
    let told: BTreeSet<&str> = told.lines().collect();
    for case in 0..cases {
        for check in CHECKS {
            assert!(told.contains(format!("case-{case}: {check}").as_str()), "{check} of case {case}");
        }
    }
}

fn write_all(store: &dyn LedgerStore, entries: &[Entry], question: &Question, place: &Path) {
    let create = |name: &str| BufWriter::new(File::create(place.join(name)).expect("created"));
    let mut ledger = create("ledger.jsonl");
    for entry in entries.iter().filter(|entry| question.holds(entry)) {
        serde_json::to_writer(&mut ledger, &Row(entry)).expect("written");
        ledger.write_all(b"\n").expect("written");
    }
    ledger.flush().expect("written");
    let (query, zone) = (question.rows(), &question.zone);
    export_csv(store, &query, &mut create("rows.csv")).expect("exported");
    export_parquet(store, &query, &mut create("rows.parquet")).expect("exported");
    for version in [FocusVersion::V1_2, FocusVersion::V1_4] {
        for (form, ending) in [(FocusForm::Csv, "csv"), (FocusForm::Parquet, "parquet")] {
            let mut out = create(&format!("focus-{}.{ending}", version.number()));
            export_focus(store, &query, (version, form), zone, &mut out).expect("exported");
        }
    }
    export_xlsx(store, &query, XlsxDetail::Requests, zone, &mut create("book.xlsx")).expect("exported");
}

/// Runs a script of ours on a folder, with the Python of an environment, and gives what it printed.
pub(crate) fn python(environment: &str, script: &str, folder: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exports/readers").join(script);
    let output = Command::new(interpreter(environment))
        .arg(&script)
        .arg(folder)
        // Nothing is left in the source tree.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("the interpreter runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// Where `cargo xtask setup` has put it: below the folder it tells, else below the target folder.
fn interpreter(environment: &str) -> PathBuf {
    let told = env::var_os("TOLLGATE_TEST_ENV").map(PathBuf::from);
    let executable = env::current_exe().expect("the test runs from somewhere");
    let found =
        || executable.ancestors().map(|folder| folder.join("test-env")).find(|folder| folder.is_dir());
    let folder = told.or_else(found).expect("run `cargo xtask setup` once: there is no test-env");
    let interpreter = folder.join(environment).join("bin").join("python");
    assert!(interpreter.exists(), "{} is missing: run `cargo xtask setup` once", interpreter.display());
    interpreter
}
