//! Argument values, with the place of each part.

use serde_json::{Map, Value as Json};

use super::lexer::{Token, TokenKind};
use super::source::{Report, Source, Span};
use crate::catalog::{Catalog, Datum, FieldType, ResourceId, Scalar};

/// A constant of the resource file.
#[derive(Debug)]
pub struct Value {
    /// All of it.
    pub span: Span,
    /// What it is.
    pub kind: ValueKind,
}

/// The kinds of constants.
#[derive(Debug)]
pub enum ValueKind {
    /// `null`
    Null,
    /// `true`, `false`
    Boolean(bool),
    /// As it is written, so that no digit is lost.
    Number(String),
    /// A string, its escapes resolved.
    Text(String),
    /// A name without quotes, such as a value of an enum.
    Name(String),
    /// `[a, b]`
    List(Vec<Value>),
    /// `{a: 1, b: 2}`
    Object(Vec<Entry>),
}

/// One field of an object.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub name_span: Span,
    /// What it is set to.
    pub value: Value,
}

impl Value {
    /// Reads the value that starts with this token. `None` if there is none, which the GraphQL parser has ruled out.
    pub fn read(source: &Source, tokens: &[Token], start: usize) -> Option<Self> {
        Reader { source, tokens, at: start }.value()
    }

    /// `a string`, for messages that say what was found instead of what is allowed.
    pub fn describe(&self) -> String {
        match &self.kind {
            ValueKind::Null => "null".to_owned(),
            ValueKind::Boolean(value) => value.to_string(),
            ValueKind::Number(text) => format!("the number {text}"),
            ValueKind::Text(_) => "a string".to_owned(),
            ValueKind::Name(name) => format!("`{name}`"),
            ValueKind::List(_) => "a list".to_owned(),
            ValueKind::Object(_) => "an object".to_owned(),
        }
    }

    /// As JSON. Reports names that an object sets twice.
    pub fn to_json(&self, report: &mut Report) -> Json {
        match &self.kind {
            ValueKind::Null => Json::Null,
            ValueKind::Boolean(value) => Json::Bool(*value),
            ValueKind::Number(text) => text.parse().map_or(Json::Null, Json::Number),
            ValueKind::Text(text) | ValueKind::Name(text) => Json::String(text.clone()),
            ValueKind::List(items) => Json::Array(items.iter().map(|item| item.to_json(report)).collect()),
            ValueKind::Object(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    if map.insert(entry.name.clone(), entry.value.to_json(report)).is_some() {
                        report.error(entry.name_span, format!("`{}` is given twice", entry.name));
                    }
                }
                Json::Object(map)
            }
        }
    }

    /// The part at the end of a path of names and numbers; the name instead of the value if `in_name`.
    pub fn span_at(&self, path: &[String], in_name: bool) -> Span {
        let Some((first, rest)) = path.split_first() else { return self.span };
        let found = match &self.kind {
            ValueKind::Object(entries) => entries.iter().find(|entry| entry.name == *first).map(|entry| {
                if rest.is_empty() && in_name { entry.name_span } else { entry.value.span_at(rest, in_name) }
            }),
            ValueKind::List(items) => {
                first.parse().ok().and_then(|i: usize| items.get(i)).map(|item| item.span_at(rest, in_name))
            }
            ValueKind::Null
            | ValueKind::Boolean(_)
            | ValueKind::Number(_)
            | ValueKind::Text(_)
            | ValueKind::Name(_) => None,
        };
        found.unwrap_or(self.span)
    }

    /// Reads it as a value of a field. The error is a place and a sentence.
    pub fn to_datum(&self, catalog: &Catalog, owner: ResourceId, ty: &FieldType) -> Result<Datum, (Span, String)> {
        match (ty, &self.kind) {
            (FieldType::ScalarList(_) | FieldType::EnumList(_), ValueKind::List(items)) => {
                Ok(Datum::List(items.iter().map(|item| item.to_item(catalog, owner, ty)).collect::<Result<_, _>>()?))
            }
            (FieldType::ScalarList(_) | FieldType::EnumList(_), _) => {
                Ok(Datum::List(vec![self.to_item(catalog, owner, ty)?]))
            }
            _ => self.to_item(catalog, owner, ty),
        }
    }

    /// Reads it as an item of a list field, or as a value of a field that is no list.
    pub fn to_item(&self, catalog: &Catalog, owner: ResourceId, ty: &FieldType) -> Result<Datum, (Span, String)> {
        let fail = |message: String| Err((self.span, message));
        let enum_type = match ty {
            FieldType::Enum(id) | FieldType::EnumList(id) => Some(catalog.enum_type(*id)),
            _ => None,
        };
        let scalar = match ty {
            FieldType::Scalar(scalar) | FieldType::ScalarList(scalar) => Some(*scalar),
            _ => None,
        };
        let json = match (&self.kind, enum_type, scalar) {
            (ValueKind::Null, ..) => return fail("null is no value here".to_owned()),
            (ValueKind::Text(text), Some(_), _) => return fail(format!("write {text} without quotes")),
            (ValueKind::Name(name), None, _) => return fail(format!("write \"{name}\" with quotes")),
            (_, _, Some(Scalar::Json)) => self.plain_json()?,
            // Kept as text, these types do not pass through floating point.
            (ValueKind::Number(text), _, Some(Scalar::Decimal { .. } | Scalar::BigInt)) => Json::String(text.clone()),
            (ValueKind::Number(text), ..) => text.parse().map_or(Json::Null, Json::Number),
            (ValueKind::Boolean(value), ..) => Json::Bool(*value),
            (ValueKind::Text(text) | ValueKind::Name(text), ..) => Json::String(text.clone()),
            (ValueKind::List(_) | ValueKind::Object(_), ..) => Json::Array(Vec::new()),
        };
        Datum::parse_item(catalog, owner, ty, &json).or_else(fail)
    }

    /// As JSON in which no name stands without quotes and none is given twice.
    fn plain_json(&self) -> Result<Json, (Span, String)> {
        Ok(match &self.kind {
            ValueKind::Null => Json::Null,
            ValueKind::Boolean(value) => Json::Bool(*value),
            ValueKind::Number(text) => text.parse().map_or(Json::Null, Json::Number),
            ValueKind::Text(text) => Json::String(text.clone()),
            ValueKind::Name(name) => return Err((self.span, format!("write \"{name}\" with quotes"))),
            ValueKind::List(items) => Json::Array(items.iter().map(Self::plain_json).collect::<Result<_, _>>()?),
            ValueKind::Object(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    if map.insert(entry.name.clone(), entry.value.plain_json()?).is_some() {
                        return Err((entry.name_span, format!("`{}` is given twice", entry.name)));
                    }
                }
                Json::Object(map)
            }
        })
    }
}

struct Reader<'a> {
    source: &'a Source,
    tokens: &'a [Token],
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }

    fn next_is(&self, c: char) -> bool {
        self.tokens.get(self.at).is_some_and(|token| token.kind == TokenKind::Punctuation(c))
    }

    /// The brackets were counted before, so this does not go deep.
    fn value(&mut self) -> Option<Value> {
        let token = self.next()?;
        let text = self.source.slice(token.span);
        let mut span = token.span;
        let kind = match token.kind {
            TokenKind::Name => match text {
                "null" => ValueKind::Null,
                "true" => ValueKind::Boolean(true),
                "false" => ValueKind::Boolean(false),
                name => ValueKind::Name(name.to_owned()),
            },
            TokenKind::Number => ValueKind::Number(text.to_owned()),
            TokenKind::Text | TokenKind::Block => ValueKind::Text(unquote(token, text)),
            TokenKind::Punctuation('[') => {
                let mut items = Vec::new();
                while !self.next_is(']') {
                    items.push(self.value()?);
                }
                span = span.to(self.next()?.span);
                ValueKind::List(items)
            }
            TokenKind::Punctuation('{') => {
                let mut entries = Vec::new();
                while !self.next_is('}') {
                    entries.push(self.entry()?);
                }
                span = span.to(self.next()?.span);
                ValueKind::Object(entries)
            }
            TokenKind::Punctuation(_) => return None,
        };
        Some(Value { span, kind })
    }

    fn entry(&mut self) -> Option<Entry> {
        let name = self.next()?;
        if name.kind != TokenKind::Name || !self.next_is(':') {
            return None;
        }
        self.at += 1;
        let value = self.value()?;
        Some(Entry { name: self.source.slice(name.span).to_owned(), name_span: name.span, value })
    }
}

/// What a string token says. Its escapes were checked by the lexer.
pub fn unquote(token: Token, text: &str) -> String {
    if token.kind == TokenKind::Block {
        let inner = text.strip_prefix("\"\"\"").and_then(|rest| rest.strip_suffix("\"\"\"")).unwrap_or_default();
        return dedent(&inner.replace("\\\"\"\"", "\"\"\""));
    }
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let code = chars.by_ref().take(4).collect::<String>();
                u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Some(other) => other,
            None => break,
        });
    }
    out
}

/// The value of a block string (GraphQL specification, `BlockStringValue`).
fn dedent(raw: &str) -> String {
    let is_blank = |line: &&str| line.trim_matches([' ', '\t']).is_empty();
    let lines: Vec<_> = raw.split('\n').collect();
    let indent_of = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let indent = lines.iter().skip(1).filter(|line| !is_blank(line)).map(|line| indent_of(line)).min().unwrap_or(0);
    let mut out: Vec<_> = lines.iter().take(1).copied().collect();
    out.extend(lines.iter().skip(1).map(|line| line.get(indent..).unwrap_or_default()));
    let Some(first) = out.iter().position(|line| !is_blank(line)) else { return String::new() };
    let last = out.iter().rposition(|line| !is_blank(line)).unwrap_or(first);
    out[first..=last].join("\n")
}
