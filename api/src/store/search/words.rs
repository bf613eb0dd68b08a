//! Text → words.
//!
//! A word is a run of letters and digits, without case, without accents and in one of Unicode's several spellings (NFKD,
//! folded, NFC). Everything else parts words. In scripts that are written without spaces between words each character is
//! a word of its own; as a phrase, they find any part of a text.
//!
//! Words hold no ASCII but `a` to `z` and `0` to `9`, so they need no escapes in any query language.

use std::iter::Peekable;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word; the rest of a longer one is left out, in rows and in queries alike.
pub(super) const MAX_WORD_LENGTH: usize = 64;

/// Characters of a word before it is composed again: Hangul takes three for one.
const MAX_PARTS: usize = 4 * MAX_WORD_LENGTH;

/// The words of a text, in order.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    Words { chars: text.nfkd().peekable() }
}

struct Words<I: Iterator<Item = char>> {
    chars: Peekable<I>,
}

/// What a character does to the word that is being read.
enum Kind {
    /// Nothing, and it does not end the word either.
    Ignored,
    /// Belongs to the character before it.
    Mark,
    /// Begins the word or continues it.
    Letter,
    /// Is a word.
    Unspaced,
    /// Ends the word.
    Other,
}

impl<I: Iterator<Item = char>> Iterator for Words<I> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut word = Word::default();
        let mut is_unspaced = false;
        while let Some(c) = self.chars.peek().copied() {
            match kind(c) {
                Kind::Ignored => {}
                Kind::Mark if word.is_empty() => {}
                Kind::Mark => word.push(c),
                Kind::Letter | Kind::Unspaced if is_unspaced => break,
                Kind::Unspaced if !word.is_empty() => break,
                Kind::Letter => word.push_folded(c),
                Kind::Unspaced => {
                    is_unspaced = true;
                    word.push_folded(c);
                }
                Kind::Other if word.is_empty() => {}
                Kind::Other => break,
            }
            self.chars.next();
        }
        (!word.is_empty()).then(|| word.finish())
    }
}

fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Kind::Letter } else { Kind::Other };
    }
    if is_ignored(c) {
        Kind::Ignored
    } else if is_combining_mark(c) {
        Kind::Mark
    } else if !c.is_alphanumeric() {
        Kind::Other
    } else if is_unspaced(c) {
        Kind::Unspaced
    } else {
        Kind::Letter
    }
}

/// Accents of the alphabets, points of Hebrew and Arabic, and what is not seen at all: soft hyphens, joiners, selectors
/// of variants. Marks that are vowels of their scripts stay.
fn is_ignored(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}'
        | '\u{591}'..='\u{5BD}' | '\u{5BF}' | '\u{5C1}'..='\u{5C2}' | '\u{5C4}'..='\u{5C5}' | '\u{5C7}'
        | '\u{610}'..='\u{61A}' | '\u{640}' | '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{6D6}'..='\u{6DC}'
        | '\u{AD}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0100}'..='\u{E01EF}')
}

/// Thai, Lao, Burmese, Khmer, kana and Chinese characters.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{2E80}'..='\u{2FDF}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{303C}' | '\u{3040}'..='\u{30FF}'
        | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{A9E0}'..='\u{A9FF}'
        | '\u{AA60}'..='\u{AA7F}' | '\u{F900}'..='\u{FAFF}' | '\u{1B000}'..='\u{1B16F}' | '\u{20000}'..='\u{3FFFF}')
}

#[derive(Default)]
struct Word {
    text: String,
    length: usize,
}

impl Word {
    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn push(&mut self, c: char) {
        if self.length < MAX_PARTS {
            self.text.push(c);
            self.length += 1;
        }
    }

    /// Small letters alone would leave `ß` and `SS`, `ς` and `σ` apart.
    fn push_folded(&mut self, c: char) {
        if c.is_ascii() {
            return self.push(c.to_ascii_lowercase());
        }
        let folded = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
        folded.filter(|c| !is_ignored(*c)).for_each(|c| self.push(c));
    }

    fn finish(mut self) -> String {
        if self.text.is_ascii() {
            self.text.truncate(MAX_WORD_LENGTH);
            return self.text;
        }
        self.text.nfc().take(MAX_WORD_LENGTH).collect()
    }
}
