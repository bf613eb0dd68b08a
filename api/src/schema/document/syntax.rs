//! Syntax that the parser lets pass: arguments and input fields without a colon.
//!
//! apollo-parser drops them without an error, so that a document would run without what it says. The grammar is that of
//! <https://spec.graphql.org/September2025/#Arguments>. The document has been parsed already, so everything else is where
//! it belongs.

use apollo_parser::{Lexer, Token, TokenKind};

use super::error::{ErrorCode, GraphqlError, Location};

/// Where in the document a token stands.
enum Inside {
    /// `(name: value …)`; names and values take turns.
    Arguments,
    /// `{name: value …}` as a value.
    Object,
    /// `[value …]`
    List,
    /// `($name: Type = value …)`
    Variables,
}

/// Finds the first name of an argument or an input field that is not followed by a colon.
pub(super) fn check(text: &str) -> Result<(), GraphqlError> {
    let mut tokens = Lexer::new(text).flatten().filter(is_significant).peekable();
    let mut inside = Vec::new();
    while let Some(token) = tokens.next() {
        let next = tokens.peek().map(Token::kind);
        match (inside.last(), token.kind()) {
            (Some(Inside::Arguments | Inside::Object), TokenKind::Name) => {
                if next != Some(TokenKind::Colon) {
                    return Err(missing_colon(text, tokens.peek()));
                }
                tokens.next();
                let value = tokens.next();
                enter(&mut inside, value.as_ref(), &mut tokens);
            }
            (Some(Inside::Arguments | Inside::Variables), TokenKind::RParen)
            | (Some(Inside::Object), TokenKind::RCurly)
            | (Some(Inside::List), TokenKind::RBracket) => {
                inside.pop();
            }
            (Some(_), _) => enter(&mut inside, Some(&token), &mut tokens),
            (None, TokenKind::LParen) if next == Some(TokenKind::Dollar) => inside.push(Inside::Variables),
            (None, TokenKind::LParen) => inside.push(Inside::Arguments),
            (None, _) => {}
        }
    }
    Ok(())
}

/// Goes into the value that begins here. Of a variable the name is taken, too, since it is no name of an argument.
fn enter<'t>(inside: &mut Vec<Inside>, token: Option<&Token<'t>>, tokens: &mut impl Iterator<Item = Token<'t>>) {
    match token.map(Token::kind) {
        Some(TokenKind::LCurly) => inside.push(Inside::Object),
        Some(TokenKind::LBracket) => inside.push(Inside::List),
        // Of a directive on a variable.
        Some(TokenKind::LParen) => inside.push(Inside::Arguments),
        Some(TokenKind::Dollar) => {
            tokens.next();
        }
        _ => {}
    }
}

fn is_significant(token: &Token<'_>) -> bool {
    !matches!(token.kind(), TokenKind::Whitespace | TokenKind::Comment | TokenKind::Comma)
}

fn missing_colon(text: &str, found: Option<&Token<'_>>) -> GraphqlError {
    let shown = match found.map(|token| (token.kind(), token.data())) {
        None | Some((TokenKind::Eof, _)) => "<EOF>".to_owned(),
        Some((TokenKind::Name, name)) => format!("Name \"{name}\""),
        Some((_, data)) => format!("\"{data}\""),
    };
    let place = Location::at_offset(text, found.map_or(text.len(), Token::index));
    GraphqlError::new(ErrorCode::ParseFailed, format!("Syntax Error: Expected \":\", found {shown}.")).at(place)
}
