//! What a caller looks for.
//!
//! Every word has to be there, in any of the searched fields and in any order. What stands without a space between, such
//! as `abc-123`, has to stand so in a row: one word right after the other. The last word of it may be the beginning of a
//! longer one. A text in quotes is a phrase of whole words.

use super::index;
use super::words::words;
use crate::catalog::Resource;
use crate::database::{Dialect, Sql};

/// Characters of a text to look for.
const MAX_LENGTH: usize = 500;

/// Words to look for.
const MAX_WORDS: usize = 64;

/// What rows have to hold. At least one phrase.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    phrases: Vec<Phrase>,
}

/// Words that stand one after the other.
#[derive(Debug, Clone, PartialEq)]
struct Phrase {
    /// At least one.
    words: Vec<String>,
    /// Whether the last one may be the beginning of a longer word.
    is_open: bool,
}

/// What is wrong with a text to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has too many characters.
    #[error("has at most {MAX_LENGTH} characters")]
    TooLong,
    /// It has too many words.
    #[error("has at most {MAX_WORDS} words")]
    TooManyWords,
}

impl Search {
    /// Reads what a caller wrote. Any text has a meaning; one without words asks for nothing, which is `None`.
    ///
    /// # Errors
    /// If it is too long.
    pub fn parse(text: &str) -> Result<Option<Self>, Problem> {
        if text.chars().nth(MAX_LENGTH).is_some() {
            return Err(Problem::TooLong);
        }
        let mut phrases = Vec::new();
        let parts: Vec<&str> = text.split(['"', '“', '”', '„']).collect();
        for (i, part) in parts.iter().enumerate() {
            let is_quoted = i % 2 == 1;
            if is_quoted {
                // Somebody may still be typing a phrase whose end is not there.
                phrases.extend(Phrase::of(part, i + 1 == parts.len()));
            } else {
                phrases.extend(part.split_whitespace().filter_map(|part| Phrase::of(part, true)));
            }
        }
        if phrases.iter().map(|phrase| phrase.words.len()).sum::<usize>() > MAX_WORDS {
            return Err(Problem::TooManyWords);
        }
        Ok((!phrases.is_empty()).then_some(Self { phrases }))
    }

    /// Adds the condition that a row of the resource, which the statement calls `alias`, holds all this.
    pub(in crate::store) fn push(&self, sql: &mut Sql, resource: &Resource, alias: &str) {
        sql.column(alias, &resource.field(Resource::ID).column);
        let query = match sql.dialect() {
            Dialect::Sqlite => self.to_sqlite(),
            Dialect::Postgres => self.to_postgres(),
        };
        index::push_in_found(sql, &resource.prefix, query);
    }

    /// In the query language of FTS5: `"red" * AND "abc 123" *`.
    pub(super) fn to_sqlite(&self) -> String {
        let phrase =
            |phrase: &Phrase| format!("\"{}\"{}", phrase.words.join(" "), if phrase.is_open { " *" } else { "" });
        self.phrases.iter().map(phrase).collect::<Vec<_>>().join(" AND ")
    }

    /// As the text of a `tsquery`: `'red':* & 'abc' <-> '123':*`.
    pub(super) fn to_postgres(&self) -> String {
        let phrase = |phrase: &Phrase| {
            let words: Vec<_> = phrase.words.iter().map(|word| format!("'{word}'")).collect();
            format!("{}{}", words.join(" <-> "), if phrase.is_open { ":*" } else { "" })
        };
        self.phrases.iter().map(phrase).collect::<Vec<_>>().join(" & ")
    }
}

impl Phrase {
    fn of(text: &str, is_open: bool) -> Option<Self> {
        let words: Vec<_> = words(text).collect();
        (!words.is_empty()).then_some(Self { words, is_open })
    }
}
