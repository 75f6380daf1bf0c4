//! Counting tokens of text that a provider did not count for us.
//!
//! The encoding is `o200k_base`, exact for the OpenAI families of today and a fair measure for
//! others, which publish none.

/// Tokens of `text`.
#[must_use]
pub fn count(text: &str) -> u64 {
    bpe_openai::o200k_base().count(text) as u64
}

/// Builds the tables now, a fraction of a second, so that no request waits for them.
pub fn warm() {
    let _ = bpe_openai::o200k_base();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_published_encoding() {
        assert_eq!(count(""), 0);
        assert_eq!(count("hello world"), 2);
        assert_eq!(count("tiktoken is great!"), 6);
    }
}
