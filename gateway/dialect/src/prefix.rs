//! What the requests of one conversation begin with, so that they can be sent where its prefix is cached.

use std::ops::ControlFlow;

use smallvec::SmallVec;

use crate::peek;

/// So much of each part is looked at: what differs later belongs to the same prefix.
const MOST: usize = 4 << 10;

/// The stable beginning of a request's prompt, as parts of its body.
pub type Prefix<'a> = SmallVec<[&'a [u8]; 4]>;

/// The bytes by which requests of one conversation are told: `prompt_cache_key` alone where the client
/// gives one; else the system prompt (`system`, `instructions`, `systemInstruction`) and what was said
/// up to the first word of the user (`messages`, `input`, `contents`), each up to 4 KiB. These stay the
/// same as a conversation grows. Empty where a body has none of them.
#[must_use]
pub fn prompt_prefix(body: &[u8]) -> Prefix<'_> {
    let mut key = None;
    let mut parts = Prefix::new();
    let read = peek::members(body, |name, span| {
        let value = &body[span];
        match name {
            b"prompt_cache_key" if value != b"null" => key = Some(value),
            b"system" | b"instructions" | b"systemInstruction" | b"system_instruction" => {
                parts.push(cut(value));
            }
            b"messages" | b"input" | b"contents" => beginning(value, &mut parts),
            _ => {}
        }
        Ok(())
    });
    match (read, key) {
        (Err(_), _) => Prefix::new(),
        (Ok(_), Some(key)) => SmallVec::from_slice(&[key]),
        (Ok(_), None) => parts,
    }
}

fn cut(value: &[u8]) -> &[u8] {
    &value[..value.len().min(MOST)]
}

/// What was said up to the first word of the user; a prompt that is one text as a whole.
fn beginning<'a>(said: &'a [u8], parts: &mut Prefix<'a>) {
    if said.first() != Some(&b'[') {
        return parts.push(cut(said));
    }
    peek::elements(said, |span| {
        let element = &said[span];
        parts.push(cut(element));
        if is_of_user(element) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
}

/// An element without a role is the user's own.
fn is_of_user(element: &[u8]) -> bool {
    let mut role = None;
    let read = peek::members(element, |name, span| {
        if name == b"role" {
            role = Some(&element[span]);
        }
        Ok(())
    });
    read.is_err() || role.is_none_or(|role| role == br#""user""#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(body: &str) -> Vec<&str> {
        let parts = prompt_prefix(body.as_bytes());
        parts.into_iter().map(|part| std::str::from_utf8(part).expect("text")).collect()
    }

    #[test]
    fn a_conversation_that_grows_keeps_its_beginning() {
        let said = r#"{"role":"system","content":"Be kind."},{"role":"user","content":"Hi."}"#;
        let first = format!(r#"{{"model":"m","messages":[{said}]}}"#);
        let later = format!(
            r#"{{"messages":[{said},{{"role":"assistant","content":"Yes?"}},{{"role":"user","content":"Go."}}],"model":"m"}}"#
        );
        assert_eq!(prefix(&first).len(), 2);
        assert_eq!(prefix(&first), prefix(&later));
    }

    #[test]
    fn every_way_to_ask_has_its_beginning() {
        let cases = [
            (
                r#"{"system":"S","messages":[{"role":"user","content":"U"}]}"#,
                vec![r#""S""#, r#"{"role":"user","content":"U"}"#],
            ),
            (r#"{"instructions":"S","input":"U"}"#, vec![r#""S""#, r#""U""#]),
            (
                r#"{"systemInstruction":{"parts":[]},"contents":[{"parts":[]},{"role":"model"}]}"#,
                vec![r#"{"parts":[]}"#, r#"{"parts":[]}"#],
            ),
            (r#"{"prompt_cache_key":"k","input":"U"}"#, vec![r#""k""#]),
            (r#"{"prompt_cache_key":null,"input":"U"}"#, vec![r#""U""#]),
            (r#"{"messages":[]}"#, vec![]),
            (r#"{"messages":["#, vec![]),
            ("not JSON", vec![]),
        ];
        for (body, want) in cases {
            assert_eq!(prefix(body), want, "{body}");
        }
    }

    #[test]
    fn a_long_part_is_cut() {
        let body = format!(r#"{{"input":"{}"}}"#, "x".repeat(3 * MOST));
        assert_eq!(prompt_prefix(body.as_bytes())[0].len(), MOST);
    }
}
