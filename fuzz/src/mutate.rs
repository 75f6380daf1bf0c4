//! Seeded changes to the inputs of a corpus, for the form of the targets that every test run has.

use crate::cut::Random;

/// No mutated input is longer than this.
const LONGEST: usize = 4 << 10;
/// Changes to one input, at most.
const MOST_CHANGES: usize = 4;

/// Pieces that these formats are made of, in libFuzzer's form: one to a line, in quotes, with `\xNN`,
/// `\"` and `\\`.
#[derive(Clone, Debug, Default)]
pub struct Dictionary(Vec<Vec<u8>>);

impl Dictionary {
    /// Reads a dictionary; lines that begin with `#` say nothing.
    ///
    /// # Panics
    /// A line is none of a dictionary.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(|line| token(line).unwrap_or_else(|| panic!("no token: {line}"))).collect())
    }
}

fn token(line: &str) -> Option<Vec<u8>> {
    let inner = line.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let (mut token, mut at) = (Vec::new(), 0);
    while let Some(&byte) = inner.get(at) {
        at += 1;
        if byte != b'\\' {
            token.push(byte);
            continue;
        }
        match inner.get(at)? {
            b'x' => {
                let code = str::from_utf8(inner.get(at + 1..at + 3)?).ok()?;
                token.push(u8::from_str_radix(code, 16).ok()?);
                at += 3;
            }
            plain @ (b'"' | b'\\') => {
                token.push(*plain);
                at += 1;
            }
            _ => return None,
        }
    }
    Some(token)
}

/// Endless changes to the inputs of a corpus, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    dictionary: &'a Dictionary,
    random: Random,
}

impl<'a> Mutations<'a> {
    /// Changes to these inputs.
    #[must_use]
    pub const fn new(corpus: &'a [Vec<u8>], dictionary: &'a Dictionary, seed: u64) -> Self {
        Self { corpus, dictionary, random: Random::new(seed) }
    }

    fn place(&mut self, bytes: &[u8]) -> usize {
        self.random.below(bytes.len() + 1)
    }

    fn range(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.place(bytes);
        let longest = [1, 4, 16, 200][self.random.below(4)];
        let length = self.random.below(longest + 1).min(bytes.len() - start);
        start..start + length
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.place(bytes);
        match self.random.below(8) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(self.random.below(256)).unwrap_or(0);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
            2 => {
                let range = self.range(bytes);
                bytes.drain(range);
            }
            3 => {
                let range = self.range(bytes);
                let piece = bytes[range].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let other = &self.corpus[self.random.below(self.corpus.len())];
                let range = self.range(other);
                bytes.splice(at..at, other[range].iter().copied());
            }
            5 => bytes.truncate(at),
            _ => {
                let place = self.random.below(self.dictionary.0.len());
                if let Some(token) = self.dictionary.0.get(place) {
                    // In place of something as often as between.
                    let end =
                        if self.random.below(2) == 0 { at } else { (at + token.len()).min(bytes.len()) };
                    bytes.splice(at..end, token.iter().copied());
                }
            }
        }
    }
}

impl Iterator for Mutations<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.corpus.get(self.random.below(self.corpus.len()))?.clone();
        for _ in 0..=self.random.below(MOST_CHANGES) {
            self.change(&mut bytes);
        }
        bytes.truncate(LONGEST);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_says_bytes_and_quotes() {
        let dictionary = Dictionary::parse("# note\n\"data: \"\n\n\"\\\"model\\\"\"\n\"\\x00\\\\\\xff\"\n");
        assert_eq!(dictionary.0, [&b"data: "[..], b"\"model\"", b"\0\\\xff"]);
    }

    #[test]
    fn a_seed_gives_the_same_mutations_every_time_and_another_gives_others() {
        let corpus = [b"{\"model\":\"m\"}".to_vec(), b"data: x\n\n".to_vec()];
        let dictionary = Dictionary::parse("\"null\"");
        let some = |seed| Mutations::new(&corpus, &dictionary, seed).take(50).collect::<Vec<_>>();
        assert_eq!(some(1), some(1));
        assert_ne!(some(1), some(2));
        assert!(some(1).iter().any(|input| !corpus.contains(input)));
    }
}
