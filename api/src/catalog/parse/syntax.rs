//! Text → syntax tree. The only part that knows the GraphQL parser; all others see names, types, directives and values
//! with their places.

use async_graphql::Pos;
use async_graphql::parser::types::{
    BaseType, ConstDirective, FieldDefinition, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
};
use async_graphql::parser::{self, Positioned};

use super::lexer::{self, Token, TokenKind};
use super::source::{Report, Source, Span};
use super::value::{self, Value};

/// A name and its place.
#[derive(Debug)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// A type of the file.
#[derive(Debug)]
pub struct TypeDecl {
    /// Its name.
    pub name: Name,
    /// The text before it.
    pub description: Option<String>,
    /// In order.
    pub directives: Vec<Directive>,
    /// What it is.
    pub body: Body,
}

/// The kinds of types that a resource file may have.
#[derive(Debug)]
pub enum Body {
    /// `type`
    Object(Vec<FieldDecl>),
    /// `enum`
    Enum(Vec<ValueDecl>),
    /// Something else, which has been reported; its name is known, so that its uses are not reported again.
    Refused,
}

/// A field of an object type.
#[derive(Debug)]
pub struct FieldDecl {
    /// Its name.
    pub name: Name,
    /// The text before it.
    pub description: Option<String>,
    /// Its type.
    pub ty: TypeRef,
    /// In order.
    pub directives: Vec<Directive>,
}

/// The type of a field.
#[derive(Debug)]
pub struct TypeRef {
    /// Of the type at its core.
    pub name: String,
    /// What is around it.
    pub shape: Shape,
    /// Whether it has no `!` at its end.
    pub nullable: bool,
    /// All of it.
    pub span: Span,
}

/// Whether a type is a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `String`
    Single,
    /// `[String!]`
    List,
    /// `[String]`
    ListOfNullable,
    /// `[[String!]!]`
    Nested,
}

/// A value of an enum.
#[derive(Debug)]
pub struct ValueDecl {
    /// Its name.
    pub name: Name,
    /// The text before it.
    pub description: Option<String>,
    /// In order.
    pub directives: Vec<Directive>,
}

/// A directive as it is used.
#[derive(Debug)]
pub struct Directive {
    /// Without the `@`.
    pub name: String,
    /// With the `@`.
    pub span: Span,
    /// In order.
    pub arguments: Vec<(Name, Value)>,
}

/// The types of the file, in order. Problems are reported; if the text is no GraphQL at all, there are no types.
pub fn read(source: &Source, report: &mut Report) -> Vec<TypeDecl> {
    let tokens = lexer::tokens(source, report);
    if !report.is_empty() {
        return Vec::new();
    }
    if tokens.is_empty() {
        report.error(Span { start: 0, end: 0 }, "the file is empty; it must declare a type with @resource");
        return Vec::new();
    }
    let document = match parser::parse_schema(source.text()) {
        Ok(document) => document,
        Err(error) => {
            report_syntax(&error, source, &tokens, report);
            return Vec::new();
        }
    };
    let mut reader = TreeReader { source, tokens: &tokens, report };
    document.definitions.iter().filter_map(|definition| reader.definition(definition)).collect()
}

struct TreeReader<'a, 'r, 's> {
    source: &'a Source,
    tokens: &'a [Token],
    report: &'r mut Report<'s>,
}

impl TreeReader<'_, '_, '_> {
    fn definition(&mut self, definition: &TypeSystemDefinition) -> Option<TypeDecl> {
        match definition {
            TypeSystemDefinition::Type(ty) => Some(self.type_decl(&ty.node)),
            TypeSystemDefinition::Schema(schema) => {
                let message = "a schema definition is not allowed: the root types follow from the resources";
                self.report.error(self.token_span(schema.pos), message);
                None
            }
            TypeSystemDefinition::Directive(directive) => {
                let message = "directives cannot be defined here: the vocabulary is fixed";
                self.report.error(self.token_span(directive.pos), message);
                None
            }
        }
    }

    fn type_decl(&mut self, ty: &TypeDefinition) -> TypeDecl {
        let name = self.name(ty.name.pos, &ty.name.node);
        let refused = match &ty.kind {
            _ if ty.extend => Some("an extension"),
            TypeKind::Object(_) | TypeKind::Enum(_) => None,
            TypeKind::Scalar => Some("a scalar type"),
            TypeKind::Interface(_) => Some("an interface"),
            TypeKind::Union(_) => Some("a union"),
            TypeKind::InputObject(_) => Some("an input type"),
        };
        let body = match (&ty.kind, refused) {
            (_, Some(what)) => {
                let message = format!("`{}` is {what}, which a resource file cannot have", name.text);
                self.report.error_help(name.span, message, "allowed: type with @resource, enum");
                Body::Refused
            }
            (TypeKind::Object(object), None) => {
                for interface in &object.implements {
                    let span = self.name(interface.pos, &interface.node).span;
                    self.report.error(span, "`implements` is not allowed: every resource is a Node, and nothing else");
                }
                Body::Object(object.fields.iter().map(|field| self.field(&field.node)).collect())
            }
            (TypeKind::Enum(values), None) => {
                let value = |this: &mut Self, value: &parser::types::EnumValueDefinition| ValueDecl {
                    name: this.name(value.value.pos, &value.value.node),
                    description: this.description(value.description.as_ref()),
                    directives: this.directives(&value.directives),
                };
                Body::Enum(values.values.iter().map(|v| value(self, &v.node)).collect())
            }
            (_, None) => Body::Refused,
        };
        let description = self.description(ty.description.as_ref());
        TypeDecl { name, description, directives: self.directives(&ty.directives), body }
    }

    fn field(&mut self, field: &FieldDefinition) -> FieldDecl {
        let name = self.name(field.name.pos, &field.name.node);
        for argument in &field.arguments {
            let span = self.name(argument.node.name.pos, &argument.node.name.node).span;
            self.report.error(span, "a field of a resource has no arguments");
        }
        let directives = self.directives(&field.directives);
        let description = self.description(field.description.as_ref());
        FieldDecl { name, description, ty: self.type_ref(&field.ty), directives }
    }

    fn type_ref(&self, ty: &Positioned<Type>) -> TypeRef {
        let start = self.source.offset(ty.pos);
        // A type is one token to the parser: there are no spaces in it.
        let end = (start + ty.node.to_string().len()).min(self.source.text().len());
        let (name, shape) = match &ty.node.base {
            BaseType::Named(name) => (name.to_string(), Shape::Single),
            BaseType::List(item) => match &item.base {
                BaseType::Named(name) if item.nullable => (name.to_string(), Shape::ListOfNullable),
                BaseType::Named(name) => (name.to_string(), Shape::List),
                BaseType::List(_) => (String::new(), Shape::Nested),
            },
        };
        TypeRef { name, shape, nullable: ty.node.nullable, span: Span { start, end } }
    }

    fn directives(&mut self, directives: &[Positioned<ConstDirective>]) -> Vec<Directive> {
        directives.iter().map(|directive| self.directive(directive)).collect()
    }

    fn directive(&mut self, directive: &Positioned<ConstDirective>) -> Directive {
        let at = self.token_span(directive.pos);
        let name = self.name(directive.node.name.pos, &directive.node.name.node);
        let mut arguments = Vec::new();
        for (argument, value) in &directive.node.arguments {
            let argument = self.name(argument.pos, &argument.node);
            let start = self.tokens.partition_point(|token| token.span.start < self.source.offset(value.pos));
            match Value::read(self.source, self.tokens, start) {
                Some(value) => arguments.push((argument, value)),
                None => self.report.error(self.token_span(value.pos), "this is no value"),
            }
        }
        Directive { span: at.to(name.span), name: name.text, arguments }
    }

    /// The parser leaves the escapes of block strings as they are; so the token is read instead.
    fn description(&self, description: Option<&Positioned<String>>) -> Option<String> {
        let description = description?;
        let token = token_at(self.tokens, self.source.offset(description.pos))?;
        let text = match token.kind {
            TokenKind::Text | TokenKind::Block => value::unquote(token, self.source.slice(token.span)),
            TokenKind::Name | TokenKind::Number | TokenKind::Punctuation(_) => description.node.clone(),
        };
        Some(text).filter(|text| !text.trim().is_empty())
    }

    fn name(&self, pos: Pos, name: &str) -> Name {
        let start = self.source.offset(pos);
        Name { text: name.to_owned(), span: Span { start, end: start + name.len() } }
    }

    fn token_span(&self, pos: Pos) -> Span {
        let start = self.source.offset(pos);
        token_at(self.tokens, start).map_or(Span { start, end: start }, |token| token.span)
    }
}

/// The token that holds this byte, or else the one after it.
fn token_at(tokens: &[Token], offset: usize) -> Option<Token> {
    tokens.get(tokens.partition_point(|token| token.span.end <= offset)).copied()
}

fn report_syntax(error: &parser::Error, source: &Source, tokens: &[Token], report: &mut Report) {
    let Some(pos) = error.positions().next() else {
        report.error(Span { start: 0, end: 0 }, error.to_string());
        return;
    };
    let offset = source.offset(pos);
    let token = token_at(tokens, offset);
    let span = token.map_or(Span { start: offset, end: offset }, |token| token.span);
    let parser::Error::Syntax { message, .. } = error else {
        // What is wrong inside a schema definition does not matter: there must be none.
        report.error(span, "a schema definition is not allowed: the root types follow from the resources");
        return;
    };
    // The parser draws a picture, whose last line begins with `=` and says what it wants.
    let reason = message.lines().last().unwrap_or_default().trim().trim_start_matches("= ");
    let found = token.map_or("the end of the file".to_owned(), |token| format!("`{}`", source.slice(token.span)));
    let begins = |start: &str| token.is_some_and(|token| source.slice(token.span).starts_with(start));
    match reason.strip_prefix("expected ") {
        // The parser does not take them even as the beginning of a name.
        Some("enum_value_definition") if ["true", "false", "null"].into_iter().any(begins) => {
            report.error(span, "the value of an enum is not called true, false or null, nor begins like that");
        }
        Some(expected) => report.error(span, format!("unexpected {found}, expected {}", plain_words(expected))),
        None if reason.starts_with("invalid number") => {
            report.error(span, format!("the number {found} is out of range"))
        }
        None => report.error(span, format!("unexpected {found}: {reason}")),
    }
}

/// Puts what the grammar calls its rules in the words of this documentation.
fn plain_words(expected: &str) -> String {
    let names = expected.split([' ', ',']).filter(|word| !word.is_empty() && *word != "or");
    let mut words: Vec<_> = names
        .map(|name| match name {
            "EOI" => "the end of the file",
            "type_" => "a type without spaces, such as [String!]!",
            "name" => "a name",
            "const_value" => "a value",
            "const_argument" => "an argument",
            "const_arguments" => "arguments",
            "const_directive" | "const_directives" => "a directive",
            "const_object_field" => "a field of an object",
            "field_definition" | "fields_definition" => "a field",
            "enum_value" | "enum_value_definition" | "enum_values" => "a value of the enum",
            "arguments_definition" => "`:`",
            "input_value_definition" => "an argument definition",
            "string" => "a description",
            "type_system_definition" | "schema_definition" | "type_definition" => "`type` or `enum`",
            "implements_interfaces" => "`implements`",
            "extend" => "`extend`",
            "directive_definition" => "`directive`",
            other => other,
        })
        .collect();
    words.dedup();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "something else".to_owned(),
    }
}
