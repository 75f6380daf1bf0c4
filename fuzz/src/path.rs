//! Request lines: one meaning for all the ways in which a path can be written.

use tollgate_dialect::{Dialect, Recognised, recognise};

pub(crate) fn check(bytes: &[u8]) {
    let Ok(line) = str::from_utf8(bytes) else { return };
    let (method, path) = line.split_once(' ').unwrap_or(("POST", line));
    for has_header in [false, true] {
        let found = recognise(method, path, |_| has_header);
        if let Recognised::Call(call) = &found
            && let Some(named) = call.model.as_deref()
        {
            let is_one = !named.is_empty() && !matches!(named, "." | "..");
            assert!(
                is_one && (call.dialect == Dialect::Bedrock || !named.contains(['/', '\\', '\0'])),
                "{path}: {named:?}"
            );
        }
        if let Recognised::Unknown { hint: Some(hint), .. } = &found {
            leads_somewhere(hint);
        }
        // Bedrock's paths are told apart before they are decoded: their models may have slashes.
        if path.contains("model/") || path.contains("bedrock") || is_bedrocks(&found) {
            continue;
        }
        for other in [path.replace('/', "//"), format!("{path}/"), coded(path)] {
            assert_eq!(recognise(method, &other, |_| has_header), found, "{path} as {other}");
        }
    }
}

fn is_bedrocks(found: &Recognised<'_>) -> bool {
    match found {
        Recognised::Call(call) => call.dialect == Dialect::Bedrock,
        Recognised::Unsupported { dialect, .. }
        | Recognised::WrongMethod { dialect, .. }
        | Recognised::Unknown { dialect, .. } => *dialect == Dialect::Bedrock,
        Recognised::Probe => false,
    }
}

/// What an unknown path is answered with is itself a path.
fn leads_somewhere(hint: &str) {
    let hint = hint.replace("{model}", "m");
    let found = ["POST", "GET"].map(|method| recognise(method, &hint, |_| false));
    assert!(found.iter().any(|found| matches!(found, Recognised::Call(_))), "{hint}: {found:?}");
}

/// The path with each letter and digit written as a percent code; as it is where it has codes already.
fn coded(path: &str) -> String {
    if path.contains('%') {
        return path.to_owned();
    }
    let code = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() => format!("%{:02x}", u32::from(letter)),
        letter => letter.to_string(),
    };
    path.chars().map(code).collect()
}
