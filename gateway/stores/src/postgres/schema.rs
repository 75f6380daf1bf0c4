//! The tables, and the way from older to newer ones.

use tokio_postgres::Client;
use tollgate_accounting::ledger::StoreError;

use super::{Failure, Outcome};

/// Each step brings the schema one version up. A step that was released is never changed.
const STEPS: &[&str] = &[include_str!("schema_1.sql")];

/// Held by whoever changes the schema: the first eight letters of the program's name.
const LOCK: i64 = i64::from_be_bytes(*b"tollgate");

/// Runs the steps that the database has not seen. Of several processes that start at once, one does
/// it and the others wait for it.
pub(super) async fn bring_up_to_date(to: &Client, place: &str) -> Outcome<()> {
    to.execute_typed("SELECT pg_advisory_xact_lock($1)", &[(&LOCK, tokio_postgres::types::Type::INT8)])
        .await?;
    let found = version(to).await?;
    let missing = STEPS.get(found as usize..).ok_or_else(|| {
        let place = place.to_owned();
        Failure::Ledger(StoreError::TooNew { place, found, known: STEPS.len() as u32 })
    })?;
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        to.batch_execute(step).await?;
    }
    to.batch_execute(&format!("UPDATE tollgate.schema SET version = {}", STEPS.len())).await?;
    Ok(())
}

/// The version of the tables; 0 for none, and then the place for them is made.
async fn version(to: &Client) -> Outcome<u32> {
    let place = "SELECT to_regnamespace('tollgate') IS NOT NULL, to_regclass('tollgate.schema') IS NOT NULL";
    let place = to.query_typed_one(place, &[]).await?;
    // Asking first: `IF NOT EXISTS` wants the right to create even where there is nothing to do.
    if !place.try_get::<_, bool>(0)? {
        to.batch_execute("CREATE SCHEMA tollgate").await?;
    }
    if !place.try_get::<_, bool>(1)? {
        let make = "CREATE TABLE tollgate.schema (version integer NOT NULL);
                    INSERT INTO tollgate.schema VALUES (0)";
        to.batch_execute(make).await?;
    }
    let version = to.query_typed_one("SELECT version FROM tollgate.schema", &[]).await?;
    Ok(u32::try_from(version.try_get::<_, i32>(0)?).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use tollgate_accounting::ledger::COLUMNS;

    use super::STEPS;

    #[test]
    fn every_column_of_a_row_has_a_column_in_the_table() {
        let table = STEPS.concat();
        for column in COLUMNS {
            let named = table
                .lines()
                .any(|line| line.split_whitespace().any(|word| word.trim_matches('"') == column.name));
            assert!(named, "{} needs a column in a new step of the schema", column.name);
        }
    }
}
