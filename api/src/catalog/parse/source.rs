//! The text of a resource file, places in it, and the problems found in it so far.

use async_graphql::Pos;

use crate::catalog::diagnostic::{Diagnostic, Diagnostics};
use crate::catalog::suggest;

/// Some bytes of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// After the last byte.
    pub end: usize,
}

impl Span {
    /// From the start of this one to the end of the other.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

/// The text, with `\n` as its only line end.
#[derive(Debug)]
pub struct Source {
    text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// Takes any text; other line ends become `\n`, so that all that count lines agree.
    pub fn new(text: &str) -> Self {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Self { text, line_starts }
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of a span.
    pub fn slice(&self, span: Span) -> &str {
        &self.text[span.start..span.end]
    }

    /// The byte at a place that the GraphQL parser names, which counts characters.
    pub fn offset(&self, pos: Pos) -> usize {
        let Some(start) = pos.line.checked_sub(1).and_then(|line| self.line_starts.get(line)) else {
            return self.text.len();
        };
        let rest = &self.text[*start..];
        rest.char_indices().nth(pos.column.saturating_sub(1)).map_or(self.text.len(), |(i, _)| start + i)
    }

    /// Line, column and length in characters, the length cut at the end of the line.
    fn place(&self, span: Span) -> (usize, usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= span.start);
        let start = self.line_starts[line - 1];
        let column = self.text[start..span.start].chars().count() + 1;
        let length = self.slice(span).split('\n').next().map_or(0, |text| text.trim_end().chars().count());
        (line, column, length.max(1))
    }
}

/// Collects the problems.
#[derive(Debug)]
pub struct Report<'s> {
    /// The text that they are about.
    pub source: &'s Source,
    list: Vec<Diagnostic>,
}

impl<'s> Report<'s> {
    /// Without any problem yet.
    pub fn new(source: &'s Source) -> Self {
        Self { source, list: Vec::new() }
    }

    /// Adds a problem.
    pub fn error(&mut self, span: Span, message: impl Into<String>) {
        self.add(span, message.into(), None);
    }

    /// Adds a problem, and what would be right.
    pub fn error_help(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(span, message.into(), Some(help.into()));
    }

    /// Adds a problem with a name that is none of the allowed ones.
    pub fn unknown<'a>(
        &mut self,
        span: Span,
        message: impl Into<String>,
        name: &str,
        allowed: impl IntoIterator<Item = &'a str>,
    ) {
        self.add(span, message.into(), Some(suggest::help(name, allowed)));
    }

    fn add(&mut self, span: Span, message: String, help: Option<String>) {
        let (line, column, length) = self.source.place(span);
        self.list.push(Diagnostic { line, column, length, message, help });
    }

    /// Whether there is no problem.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All problems, of a file with this name.
    pub fn finish(self, file_name: &str) -> Diagnostics {
        Diagnostics::new(file_name, self.source.text(), self.list)
    }
}
