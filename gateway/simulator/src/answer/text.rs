//! The words that answers are made of: the same for the same length, so that a client can check them.

const WORDS: [&str; 24] = [
    "The",
    "gateway",
    "passes",
    "every",
    "word",
    "of",
    "this",
    "answer",
    "as",
    "it",
    "came",
    "from",
    "the",
    "provider",
    "and",
    "counts",
    "each",
    "one",
    "before",
    "its",
    "last",
    "byte",
    "is",
    "released.",
];

/// The text of one content chunk, counted from 0. Needs no escaping in JSON.
pub fn chunk_text(index: u32) -> &'static str {
    /// The same words with the blank that separates them from the one before.
    const SPACED: [&str; WORDS.len()] = [
        " The",
        " gateway",
        " passes",
        " every",
        " word",
        " of",
        " this",
        " answer",
        " as",
        " it",
        " came",
        " from",
        " the",
        " provider",
        " and",
        " counts",
        " each",
        " one",
        " before",
        " its",
        " last",
        " byte",
        " is",
        " released.",
    ];
    if index == 0 { WORDS[0] } else { SPACED[index as usize % WORDS.len()] }
}

/// The whole text of an answer of so many words.
pub fn text_of(chunks: u32) -> String {
    (0..chunks).map(chunk_text).collect()
}
