//! Rows of the journal: what is read can be written, and is then read alike.

use tollgate_accounting::ledger::{Decoder, encode_entry};

/// No text of a row that has no more bytes is cut, and there is none too many of anything.
const SHORT: usize = 512;

pub(crate) fn check(bytes: &[u8]) {
    let mut decoder = Decoder::new();
    let Ok(row) = decoder.entry(bytes) else { return };
    let mut written = Vec::new();
    encode_entry(&row, &mut written);
    let again = decoder.entry(&written).unwrap_or_else(|fault| panic!("{fault}: {row:?}"));
    // Longer texts from outside are cut where they are written.
    if bytes.len() <= SHORT {
        assert_eq!(again, row);
    }
    let mut twice = Vec::new();
    encode_entry(&again, &mut twice);
    assert_eq!(twice, written, "{again:?}");
}
