//! What the figures in a text can come to at most.

use tollgate_domain::Usage;

/// The sum of all runs of digits in the bytes, wherever they stand.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let runs = bytes.split(|byte| !byte.is_ascii_digit()).filter(|run| !run.is_empty());
    runs.fold(0, |sum: u64, run| {
        let value = run
            .iter()
            .fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        sum.saturating_add(value)
    })
}

/// No count is larger than the figures in the text, each used once, can make it. What is counted and not
/// stated (pictures, searches) has at least a byte for each.
pub(crate) fn assert_stated(usage: &Usage, bytes: &[u8]) {
    let most = sum(bytes);
    let tokens = usage.input_tokens().saturating_add(usage.output_tokens());
    assert!(tokens <= most, "{tokens} tokens of figures that make {most}: {usage:?}");
    assert!(usage.cache_read_audio <= usage.cache_read, "{usage:?}");
    assert!(usage.cache_read_excess <= most, "{usage:?}");
    let counted = most.saturating_add(bytes.len() as u64);
    let units = usage.units;
    for (name, count) in [
        ("web_searches", usage.web_searches),
        ("images", units.images),
        ("characters", units.characters),
        ("search_units", units.search_units),
    ] {
        assert!(count <= counted, "{count} {name} of figures that make {most}");
    }
    // Seconds become milliseconds, and a part of one is rounded up.
    assert!(units.audio_millis <= most.saturating_mul(1_000).saturating_add(1), "{units:?}");
}
