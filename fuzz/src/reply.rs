//! Plain answers: a reader takes no more than is stated, however the answer is written down.

use tollgate_dialect::{Dialect, Reported, error_message};

use crate::{known, numbers, spaced};

const STATUSES: [u16; 8] = [302, 400, 401, 404, 429, 500, 503, 529];

pub(crate) fn check(dialect: Dialect, bytes: &[u8]) {
    let codec = dialect.codec();
    let spaced = spaced::is_plain_json(bytes).then(|| spaced::spaced(bytes));
    for operation in known::operations(dialect) {
        let reported = codec.reply(*operation, bytes);
        assert_stated(&reported, bytes);
        if let Some(spaced) = &spaced {
            let other = codec.reply(*operation, spaced);
            assert_eq!(other, reported, "{operation:?}: blanks made a difference");
        }
    }
    for status in STATUSES {
        let fault = codec.fault(status, bytes);
        if let Some(spaced) = &spaced {
            assert_eq!(codec.fault(status, spaced), fault, "{status}: blanks made a difference");
        }
    }
    codec.wait(bytes);
    assert!(error_message(bytes).is_none_or(|message| !message.is_empty()));
}

/// Every figure has its place in the text.
pub(crate) fn assert_stated(reported: &Reported, bytes: &[u8]) {
    let beside = reported.beside.iter().map(|pass| pass.usage);
    if let Some(all) = reported.usage.into_iter().chain(beside).reduce(|sum, usage| sum.plus(&usage)) {
        numbers::assert_stated(&all, bytes);
    }
    if let Some(units) = reported.counted_units {
        assert!(units.images <= bytes.len() as u64, "{units:?}");
    }
    // A token has a byte at least; a lossy reading makes three of one.
    assert!(reported.counted_output.unwrap_or(0) <= 3 * bytes.len() as u64, "{reported:?}");
    for text in [&reported.response_id, &reported.served_model, &reported.service_tier].into_iter().flatten()
    {
        assert!(!text.is_empty(), "{reported:?}");
    }
}
