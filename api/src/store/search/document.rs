//! The words of a row, in the form that each database keeps.
//!
//! Everything here is bounded by what a `tsvector` of PostgreSQL holds, on both databases alike: 16,383 places, 1 MiB of
//! words, 256 places of one word.

use std::collections::HashMap;
use std::fmt::Write;

use super::words::words;
use crate::catalog::{Resource, Row};

/// Words of a row that can be found: the first ones.
pub(super) const MAX_WORDS: usize = 16_000;

/// Bytes of the words of a row that can be found.
const MAX_SIZE_BYTES: usize = 512 * 1024;

/// Places of one word that a phrase can be found at: the first ones.
pub(super) const MAX_PLACES: usize = 250;

/// Stands at a place where no word can be found. It is no word, so nobody can look for it.
const GAP: &str = "—";

/// The words of a row, with a space between any two.
#[derive(Debug, PartialEq)]
pub(in crate::store) struct Document(String);

impl Document {
    /// Of a row, by the fields that its resource is searched by.
    pub(in crate::store) fn of(resource: &Resource, row: &Row) -> Self {
        Self::new(resource.search.iter().filter_map(|field| row.get(*field).as_text()))
    }

    /// Of some texts. No phrase goes from one text to the next.
    pub(in crate::store) fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut document = Self(String::new());
        let mut count = 0;
        let mut places: HashMap<String, usize> = HashMap::new();
        for text in texts {
            let gap = (count > 0).then(|| GAP.to_owned());
            for word in gap.into_iter().chain(words(text)) {
                if count == MAX_WORDS || document.0.len() + word.len() >= MAX_SIZE_BYTES {
                    return document;
                }
                count += 1;
                let place = places.entry(word.clone()).or_default();
                *place += 1;
                document.push(if *place > MAX_PLACES { GAP } else { &word });
            }
        }
        document
    }

    fn push(&mut self, word: &str) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(word);
    }

    /// For the tokenizer `ascii` of FTS5, which parts words at spaces and leaves them as they are.
    pub(in crate::store) fn into_sqlite(self) -> String {
        self.0
    }

    /// The text of a `tsvector`: `'red':2 'shirt':3,7`.
    pub(in crate::store) fn to_postgres(&self) -> String {
        let mut text = String::with_capacity(self.0.len() * 2);
        for places in self.places().chunk_by(|a, b| a.0 == b.0) {
            let separator = if text.is_empty() { "" } else { " " };
            write!(text, "{separator}'{}'", places[0].0).expect("writing to a string does not fail");
            for (i, (_, place)) in places.iter().enumerate() {
                let separator = if i == 0 { ':' } else { ',' };
                write!(text, "{separator}{place}").expect("writing to a string does not fail");
            }
        }
        text
    }

    /// The same as PostgreSQL's function `tsvectorrecv` reads it: the number of words, and each of them with a zero at its
    /// end, the number of its places, and these, all in network byte order.
    pub(in crate::store) fn write_postgres(&self, out: &mut Vec<u8>) {
        let places = self.places();
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        let mut words = 0_u32;
        for places in places.chunk_by(|a, b| a.0 == b.0) {
            words += 1;
            out.extend_from_slice(places[0].0.as_bytes());
            out.push(0);
            out.extend_from_slice(&(places.len() as u16).to_be_bytes());
            for (_, place) in places {
                out.extend_from_slice(&place.to_be_bytes());
            }
        }
        out[start..start + 4].copy_from_slice(&words.to_be_bytes());
    }

    /// Each word with each of its places, in the order of the words.
    fn places(&self) -> Vec<(&str, u16)> {
        let mut places: Vec<_> = self.0.split(' ').zip(1..).filter(|(word, _)| !matches!(*word, "" | GAP)).collect();
        places.sort_unstable();
        places
    }
}
