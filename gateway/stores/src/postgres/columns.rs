//! A row as a line of `COPY … FROM STDIN` in its text format.

use std::{fmt::Write as _, sync::LazyLock};

use tollgate_accounting::ledger::{BatchRow, COLUMNS, Value, rfc3339};
use tollgate_domain::UnixMillis;

use super::{FIRST, LAST, months, signed};

/// The statement that takes the lines.
pub(super) static COPY: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<String> = COLUMNS.iter().map(|column| format!("\"{}\"", column.name)).collect();
    format!("COPY tollgate.entries ({}, log, lsn, entry) FROM STDIN", names.join(", "))
});

/// Appends the line of a row that has the number `seq`.
pub(super) fn write_line(to: &mut String, row: &BatchRow, seq: i64, encoded: &[u8]) {
    let entry = &row.entry;
    for column in COLUMNS {
        match (column.name, column.value(entry)) {
            ("seq", _) => write_display(to, seq),
            // As the id has it, which the key relies on.
            ("started_at", _) => to.push_str(&rfc3339(months::started(entry.id))),
            (_, value) => write_value(to, &value),
        }
        to.push('\t');
    }
    let _ = write!(to, "{}\t{}\t\\\\x", row.log, signed(row.lsn));
    for byte in encoded {
        to.push(char::from(HEX[usize::from(byte >> 4)]));
        to.push(char::from(HEX[usize::from(byte & 0xf)]));
    }
    to.push('\n');
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn write_value(to: &mut String, value: &Value<'_>) {
    match value {
        Value::Null => to.push_str("\\N"),
        Value::Text(text) => write_escaped(to, text),
        Value::Amount(amount) => to.push_str(amount.to_text().as_str()),
        Value::Instant(at) => to.push_str(&rfc3339(clamped(*at))),
        Value::Number(number) => write_display(to, number),
        Value::Truth(truth) => to.push(if *truth { 't' } else { 'f' }),
        Value::Tags(_) | Value::Meters(_) | Value::Attempts(_) | Value::Flags(_) => {
            let json = serde_json::to_string(value).expect("a row's lists are JSON");
            // `jsonb` has no place for this character.
            write_escaped(to, &json.replace("\\u0000", "\\ufffd"));
        }
    }
}

/// The nearest instant that the table can hold.
fn clamped(at: UnixMillis) -> UnixMillis {
    UnixMillis::new(at.get().clamp(FIRST, LAST))
}

fn write_display(to: &mut String, value: impl std::fmt::Display) {
    let _ = write!(to, "{value}");
}

/// Text with what would end a field, a line or an escape written as an escape, and without the one
/// character that the server has no place for.
fn write_escaped(to: &mut String, text: &str) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'\\' => "\\\\",
            b'\t' => "\\t",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\0' => "\u{fffd}",
            _ => continue,
        };
        to.push_str(&text[plain..at]);
        to.push_str(escape);
        plain = at + 1;
    }
    to.push_str(&text[plain..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_a_field_or_a_line() {
        let mut line = String::new();
        write_escaped(&mut line, "a\tb\nc\rd\\.e\0f\\N");
        assert_eq!(line, "a\\tb\\nc\\rd\\\\.e\u{fffd}f\\\\N");
    }

    #[test]
    fn the_statement_names_every_column_quoted() {
        assert!(COPY.starts_with("COPY tollgate.entries (\"id\", \"seq\", \"kind\", "));
        assert!(COPY.contains("\"end\""));
        assert!(COPY.ends_with("\"flags\", log, lsn, entry) FROM STDIN"));
    }
}
