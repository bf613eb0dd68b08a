//! What is wrong with a resource file, in the manner of a compiler.
//!
//! All problems of a file are reported together, in the order of the file, each with its place, the line it is in, and
//! what would be right.

use std::fmt;

/// Characters of a line that are shown at most; of a longer one, the part around the problem.
const MAX_SHOWN: usize = 160;
/// Characters that are shown before the problem in a line that is too long to be shown whole.
const SHOWN_BEFORE: usize = 60;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// Characters that are underlined; at least 1.
    pub length: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// What is allowed, or what was probably meant.
    pub help: Option<String>,
}

/// All problems of one resource file; at least one.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    file_name: String,
    lines: Vec<String>,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Sorts the problems by their place. `source` is the text that the places are in.
    pub(super) fn new(file_name: &str, source: &str, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        list.dedup();
        Self { file_name: file_name.to_owned(), lines: source.split('\n').map(str::to_owned).collect(), list }
    }

    /// In the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    fn write_one(&self, f: &mut fmt::Formatter<'_>, diagnostic: &Diagnostic, gutter: usize) -> fmt::Result {
        let Diagnostic { line, column, length, message, help } = diagnostic;
        let text = self.lines.get(line - 1).map_or("", String::as_str);
        let (text, caret) = excerpt(text, column - 1, *length);
        writeln!(f, "error: {message}")?;
        writeln!(f, "{:gutter$}--> {}:{line}:{column}", "", self.file_name)?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{line:>gutter$} | {text}")?;
        writeln!(f, "{:gutter$} | {caret}", "")?;
        if let Some(help) = help {
            writeln!(f, "{:gutter$} = help: {help}", "")?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = self.list.iter().map(|d| d.line.to_string().len()).max().unwrap_or_default();
        for diagnostic in &self.list {
            self.write_one(f, diagnostic, gutter)?;
        }
        let noun = if self.list.len() == 1 { "error" } else { "errors" };
        write!(f, "{}: {} {noun}", self.file_name, self.list.len())
    }
}

impl std::error::Error for Diagnostics {}

/// The part of a line to show, and the line of carets under it. Tabs take four columns; other control characters,
/// which could change what the terminal shows, are replaced.
fn excerpt(line: &str, start: usize, length: usize) -> (String, String) {
    let total = line.chars().count();
    let first = if total > MAX_SHOWN { start.saturating_sub(SHOWN_BEFORE) } else { 0 };
    let mut text = String::from(if first > 0 { "… " } else { "" });
    let mut caret = " ".repeat(if first > 0 { 2 } else { 0 });
    let underlined = start..start + length.max(1);
    for (i, c) in line.chars().enumerate().skip(first).take(MAX_SHOWN) {
        let shown = match c {
            '\t' => "    ".to_owned(),
            c if c.is_control() => '\u{fffd}'.to_string(),
            c => c.to_string(),
        };
        let mark = if underlined.contains(&i) { "^" } else { " " };
        caret.push_str(&mark.repeat(shown.chars().count()));
        text.push_str(&shown);
    }
    if first + MAX_SHOWN < total {
        text.push_str(" …");
    }
    // At the end of a line there is nothing to underline but the place itself.
    if start >= total {
        caret.push('^');
    }
    (text, caret.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(line: usize, column: usize, length: usize, message: &str) -> Diagnostic {
        Diagnostic { line, column, length, message: message.to_owned(), help: None }
    }

    #[test]
    fn shows_the_line_and_underlines_the_token() {
        let source = "type A {\n\tname: Strng\n}";
        let mut unknown = diagnostic(2, 8, 5, "unknown type `Strng`");
        unknown.help = Some("did you mean `String`?".to_owned());
        let all = Diagnostics::new("shop.graphql", source, vec![diagnostic(3, 2, 1, "end"), unknown]);
        let expected = "\
error: unknown type `Strng`
 --> shop.graphql:2:8
  |
2 |     name: Strng
  |           ^^^^^
  = help: did you mean `String`?

error: end
 --> shop.graphql:3:2
  |
3 | }
  |  ^

shop.graphql: 2 errors";
        assert_eq!(all.to_string(), expected);
    }

    #[test]
    fn a_long_line_is_cut_around_the_problem() {
        let line = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let (text, caret) = excerpt(&line, 500, 1);
        assert!(text.starts_with("… aaa") && text.ends_with("bbb …"));
        assert_eq!(text.chars().count(), MAX_SHOWN + 4);
        assert_eq!(text.chars().nth(caret.chars().count() - 1), Some('X'));
    }

    #[test]
    fn what_could_change_the_terminal_is_replaced() {
        assert_eq!(excerpt("a\u{1b}[31mb", 1, 1), ("a\u{fffd}[31mb".to_owned(), " ^".to_owned()));
    }
}
