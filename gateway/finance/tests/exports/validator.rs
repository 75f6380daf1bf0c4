//! The FinOps foundation's own validator on the FOCUS 1.2 files of a mixed month. It finds nothing
//! there, and it finds what is planted.

use std::fs::File;

use jiff::tz::TimeZone;
use tempfile::TempDir;
use tollgate_finance::{FocusForm, FocusVersion, export_focus};

use crate::{
    ground::{all_kinds, store_of},
    mixed::mixed,
    readers::python,
};

#[test]
fn the_public_validator_finds_no_broken_rule_in_a_mixed_month_and_finds_planted_ones() {
    let (_ledger, store) = store_of(&mixed(8, 300));
    let folder = TempDir::new().expect("a folder");
    for (form, name) in [(FocusForm::Csv, "focus.csv"), (FocusForm::Parquet, "focus.parquet")] {
        let mut out = File::create(folder.path().join(name)).expect("created");
        let version = (FocusVersion::V1_2, form);
        export_focus(&store, &all_kinds(), version, &TimeZone::UTC, &mut out).expect("exported");
    }
    let told = python("python-focus", "validate_focus.py", folder.path());
    let want = ["focus.csv: no broken rule", "focus.parquet: no broken rule", "planted: found"];
    assert_eq!(told.lines().collect::<Vec<_>>(), want);
}
