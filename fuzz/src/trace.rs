//! Where a caller says that its request stands in a trace: the first line is a `traceparent`, those that
//! follow are values of `tracestate`.

use tollgate_domain::{TraceParent, TraceState};

pub(crate) fn check(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let parent = lines.next().unwrap_or_default();
    if let Some(place) = TraceParent::parse(parent) {
        let told = place.to_string();
        assert_eq!(TraceParent::parse(told.as_bytes()), Some(place), "{told}");
        // Ids pass as they came; of the flags only the known ones do.
        assert_eq!(told.as_bytes()[2..53], parent[2..53], "{told}");
        if parent.starts_with(b"00") {
            assert_eq!(parent.len(), told.len(), "{told}");
            assert_eq!(TraceParent::parse(&[parent, b"-"].concat()), None, "{told}");
        }
    }
    let values: Vec<&[u8]> = lines.collect();
    let taken = TraceState::parse(values.iter().copied());
    assert_eq!(TraceState::parse([&*values.join(&b',')]), taken, "several fields are one list");
    if let Some(state) = taken {
        let text = state.as_str();
        assert!(text.len() <= 512 && text.split(',').count() <= 32, "{text}");
        assert_eq!(TraceState::parse([text.as_bytes()]).as_ref(), Some(&state), "{text}");
        let mut given = values.iter().flat_map(|value| value.split(|byte| *byte == b','));
        for member in text.split(',') {
            // In their order, and each as it came.
            assert!(given.any(|one| one.trim_ascii() == member.trim_ascii().as_bytes()), "{member}");
        }
    }
}
