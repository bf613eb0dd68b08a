//! The tokens of a resource file.
//!
//! The GraphQL parser decides what is well formed. The tokens serve three ends beside it: they say where the parts of a
//! value stand, which the parser does not keep; they find what is better said in plain words (a string or a bracket that
//! is not closed); and they bound how deeply the file is nested before the parser, which is recursive, sees it.

use super::source::{Report, Source, Span};

/// Brackets may be nested this deep.
const MAX_DEPTH: usize = 48;

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: TokenKind,
}

/// The kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// `Product`
    Name,
    /// `-1.5`
    Number,
    /// `"text"`
    Text,
    /// `"""text"""`
    Block,
    /// One of the characters that stand for themselves.
    Punctuation(char),
}

/// All tokens, in order. Problems are reported, and then nothing else should be made of the text.
pub fn tokens(source: &Source, report: &mut Report) -> Vec<Token> {
    let mut lexer = Lexer { text: source.text(), at: 0, tokens: Vec::new() };
    while lexer.skip_ignored() {
        lexer.token(report);
    }
    if report.is_empty() {
        check_brackets(&lexer.tokens, report);
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Whether there is something after spaces, commas and comments.
    fn skip_ignored(&mut self) -> bool {
        loop {
            let rest = self.rest();
            let after = rest.trim_start_matches([' ', '\t', '\n', ',', '\u{feff}']);
            let skipped = rest.len() - after.len() + if after.starts_with('#') { line_length(after) } else { 0 };
            if skipped == 0 {
                return !rest.is_empty();
            }
            self.at += skipped;
        }
    }

    fn token(&mut self, report: &mut Report) {
        let rest = self.rest();
        let first = rest.chars().next().expect("there is something left");
        let (kind, length) = match first {
            'a'..='z' | 'A'..='Z' | '_' => (TokenKind::Name, run(rest, |c| c.is_ascii_alphanumeric() || c == '_')),
            '0'..='9' | '-' => (TokenKind::Number, number_length(rest)),
            '"' if rest.starts_with("\"\"\"") => (TokenKind::Block, self.block(report)),
            '"' => (TokenKind::Text, self.string(report)),
            '!' | '$' | '&' | '(' | ')' | '.' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' => {
                (TokenKind::Punctuation(first), 1)
            }
            other => {
                let span = Span { start: self.at, end: self.at + other.len_utf8() };
                report.error(span, format!("unexpected character `{}`", other.escape_debug()));
                self.at = span.end;
                return;
            }
        };
        let span = Span { start: self.at, end: self.at + length };
        self.tokens.push(Token { span, kind });
        self.at = span.end;
    }

    /// The length of the block string here.
    fn block(&self, report: &mut Report) -> usize {
        let rest = self.rest();
        let mut at = 3;
        loop {
            match rest[at..].find("\"\"\"") {
                Some(end) if rest[at..at + end].ends_with('\\') => at += end + 3,
                Some(end) => return at + end + 3,
                None => {
                    report.error(Span { start: self.at, end: self.at + 3 }, "this `\"\"\"` is never closed");
                    return rest.len();
                }
            }
        }
    }

    /// The length of the string here.
    fn string(&self, report: &mut Report) -> usize {
        let line = &self.rest()[..line_length(self.rest())];
        let mut chars = line.char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => return i + 1,
                '\\' => {
                    let escape = &line[i + 1..];
                    if let Some(help) = wrong_escape(escape) {
                        let length = 1 + escape.chars().next().map_or(0, char::len_utf8);
                        let span = Span { start: self.at + i, end: self.at + i + length };
                        report.error_help(span, "this is no escape of a string", help);
                    }
                    chars.next();
                }
                _ => {}
            }
        }
        report.error(Span { start: self.at, end: self.at + line.len() }, "this string is never closed");
        line.len()
    }
}

fn line_length(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn number_length(text: &str) -> usize {
    let digits = |from: usize| from + run(&text[from..], |c| c.is_ascii_digit());
    let mut end = digits(usize::from(text.starts_with('-')));
    if text[end..].starts_with('.') {
        end = digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        end = digits(end + 1 + sign);
    }
    end
}

/// What to write instead, if this does not follow a backslash.
fn wrong_escape(escape: &str) -> Option<String> {
    match escape.chars().next() {
        Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') | None => None,
        Some('u') => {
            let code = escape.get(1..5).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            match code.and_then(char::from_u32) {
                Some(_) => None,
                None => Some("write \\u and four hexadecimal digits, or the character itself".to_owned()),
            }
        }
        Some(other) => Some(format!("for a backslash and `{0}` write \\\\{0}", other.escape_debug())),
    }
}

/// Reports brackets without their other half, and nesting that is too deep.
fn check_brackets(tokens: &[Token], report: &mut Report) {
    let mut open: Vec<(char, Span)> = Vec::new();
    for token in tokens {
        let TokenKind::Punctuation(c) = token.kind else { continue };
        let opening = match c {
            '(' | '[' | '{' => {
                open.push((c, token.span));
                if open.len() > MAX_DEPTH {
                    report.error(token.span, format!("nested more than {MAX_DEPTH} brackets deep"));
                    return;
                }
                continue;
            }
            ')' => '(',
            ']' => '[',
            '}' => '{',
            _ => continue,
        };
        match open.pop() {
            Some((found, _)) if found == opening => {}
            Some((found, span)) => {
                report.error(span, format!("this `{found}` is not closed before the next `{c}`"));
                return;
            }
            None => {
                report.error(token.span, format!("there is no `{opening}` for this `{c}`"));
                return;
            }
        }
    }
    if let Some((found, span)) = open.last() {
        report.error(*span, format!("this `{found}` is never closed"));
    }
}
