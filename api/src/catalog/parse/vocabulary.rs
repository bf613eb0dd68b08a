//! The directives of the resource file: where each may stand, its arguments and their types.
//!
//! What can be said about a directive without knowing the type it stands on is checked here, once for all of them.

use super::source::{Report, Span};
use super::syntax::Directive;
use super::value::{Value, ValueKind};
use crate::catalog::suggest;

/// The directives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `@resource`
    Resource,
    /// `@auth`
    Auth,
    /// `@unique`
    Unique,
    /// `@index`
    Index,
    /// `@default`
    Default,
    /// `@constraint`
    Constraint,
    /// `@decimal`
    Decimal,
    /// `@relation`
    Relation,
    /// `@inverse`
    Inverse,
    /// `@private`
    Private,
    /// `@readOnly`
    ReadOnly,
    /// `@writeOnce`
    WriteOnce,
    /// `@search`
    Search,
    /// `@renamedFrom`
    RenamedFrom,
}

/// Where a directive stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On an object type.
    Type,
    /// On a field.
    Field,
    /// On an enum.
    Enum,
    /// On a value of an enum.
    EnumValue,
}

#[derive(Debug, Clone, Copy)]
enum ArgumentType {
    Boolean,
    Text,
    Texts,
    Count,
    OneOf(&'static [&'static str]),
    List,
    Any,
}

#[derive(Debug, Clone, Copy)]
struct Argument {
    name: &'static str,
    ty: ArgumentType,
    required: bool,
}

struct Spec {
    kind: Kind,
    name: &'static str,
    on_type: Option<&'static [Argument]>,
    on_field: Option<&'static [Argument]>,
    on_value: Option<&'static [Argument]>,
    /// Whether a type may have several.
    repeatable: bool,
}

const fn optional(name: &'static str, ty: ArgumentType) -> Argument {
    Argument { name, ty, required: false }
}

const fn required(name: &'static str, ty: ArgumentType) -> Argument {
    Argument { name, ty, required: true }
}

const fn on_type(kind: Kind, name: &'static str, arguments: &'static [Argument]) -> Spec {
    Spec { kind, name, on_type: Some(arguments), on_field: None, on_value: None, repeatable: false }
}

const fn on_field(kind: Kind, name: &'static str, arguments: &'static [Argument]) -> Spec {
    Spec { kind, name, on_type: None, on_field: Some(arguments), on_value: None, repeatable: false }
}

const fn key(kind: Kind, name: &'static str) -> Spec {
    const FIELDS: &[Argument] = &[required("fields", Texts)];
    Spec { kind, name, on_type: Some(FIELDS), on_field: Some(&[]), on_value: None, repeatable: true }
}

use ArgumentType::{Any, Boolean, Count, List, OneOf, Text, Texts};

const RENAMED: &[Argument] = &[required("name", Text)];

const VOCABULARY: &[Spec] = &[
    on_type(Kind::Resource, "resource", &[optional("root", Boolean)]),
    Spec {
        kind: Kind::Auth,
        name: "auth",
        on_type: Some(&[optional("rules", List), optional("inherit", Text)]),
        on_field: Some(&[required("rules", List)]),
        on_value: None,
        repeatable: false,
    },
    key(Kind::Unique, "unique"),
    key(Kind::Index, "index"),
    on_field(
        Kind::Default,
        "default",
        &[optional("value", Any), optional("claim", Text), optional("sequence", Boolean), optional("now", Boolean)],
    ),
    on_field(
        Kind::Constraint,
        "constraint",
        &[
            optional("min", Any),
            optional("max", Any),
            optional("minLength", Count),
            optional("maxLength", Count),
            optional("pattern", Text),
            optional("format", OneOf(&["EMAIL", "URL"])),
            optional("minItems", Count),
            optional("maxItems", Count),
        ],
    ),
    on_field(Kind::Decimal, "decimal", &[required("precision", Count), required("scale", Count)]),
    on_field(Kind::Relation, "relation", &[required("onDelete", OneOf(&["RESTRICT", "CASCADE", "SET_NULL"]))]),
    on_field(Kind::Inverse, "inverse", &[required("field", Text)]),
    on_field(Kind::Private, "private", &[]),
    on_field(Kind::ReadOnly, "readOnly", &[]),
    on_field(Kind::WriteOnce, "writeOnce", &[]),
    on_type(Kind::Search, "search", &[required("fields", Texts)]),
    Spec {
        kind: Kind::RenamedFrom,
        name: "renamedFrom",
        on_type: Some(RENAMED),
        on_field: Some(RENAMED),
        on_value: Some(RENAMED),
        repeatable: false,
    },
];

/// A directive that may stand where it does, with those of its arguments that have the right type.
#[derive(Debug)]
pub struct Use<'a> {
    /// Which.
    pub kind: Kind,
    /// `@name`
    pub span: Span,
    /// Whether it is written without any argument, right or wrong.
    pub is_bare: bool,
    arguments: Vec<(&'static str, Span, &'a Value)>,
}

/// The directives of one type or field.
#[derive(Debug)]
pub struct Uses<'a>(Vec<Use<'a>>);

impl<'a> Uses<'a> {
    /// The first of a kind.
    pub fn get(&self, kind: Kind) -> Option<&Use<'a>> {
        self.all(kind).next()
    }

    /// All of a kind.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Use<'a>> {
        self.0.iter().filter(move |one| one.kind == kind)
    }

    /// Whether there is one of a kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.get(kind).is_some()
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Use<'a>> {
        self.0.iter()
    }
}

impl<'a> Use<'a> {
    /// `@name`
    pub fn name(&self) -> String {
        let spec = VOCABULARY.iter().find(|spec| spec.kind == self.kind).expect("every kind is in the vocabulary");
        format!("@{}", spec.name)
    }

    /// The arguments: name, place of the name, value.
    pub fn arguments(&self) -> impl Iterator<Item = (&'static str, Span, &'a Value)> {
        self.arguments.iter().copied()
    }

    /// An argument.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.arguments.iter().find(|(n, ..)| *n == name).map(|(.., value)| *value)
    }

    /// A string or a name, and its place.
    pub fn text(&self, name: &str) -> Option<(&'a str, Span)> {
        let value = self.value(name)?;
        match &value.kind {
            ValueKind::Text(text) | ValueKind::Name(text) => Some((text, value.span)),
            _ => None,
        }
    }

    /// A list of strings and their places.
    pub fn texts(&self, name: &str) -> Vec<(&'a str, Span)> {
        match self.value(name).map(|value| &value.kind) {
            Some(ValueKind::List(items)) => items.iter().filter_map(|item| Some((text(item)?, item.span))).collect(),
            _ => Vec::new(),
        }
    }

    /// A whole number from 0 on.
    pub fn count(&self, name: &str) -> Option<u32> {
        count(self.value(name)?)
    }

    /// `true` or `false`
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.value(name)?.kind {
            ValueKind::Boolean(value) => Some(value),
            _ => None,
        }
    }
}

fn text(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::Text(text) => Some(text),
        _ => None,
    }
}

fn count(value: &Value) -> Option<u32> {
    match &value.kind {
        ValueKind::Number(text) => text.parse().ok(),
        _ => None,
    }
}

/// Keeps the directives that are right in themselves, and reports what is wrong with the others.
pub fn check<'a>(directives: &'a [Directive], place: Place, report: &mut Report) -> Uses<'a> {
    let mut uses: Vec<Use<'a>> = Vec::new();
    for directive in directives {
        let Some(spec) = VOCABULARY.iter().find(|spec| spec.name == directive.name) else {
            let message = format!("unknown directive `@{}`", directive.name);
            report.error_help(directive.span, message, help_for_name(&directive.name, place));
            continue;
        };
        let Some(arguments) = spec.arguments(place) else {
            let message = format!("`@{}` is not allowed on {}", spec.name, place.describe());
            report.error_help(directive.span, message, format!("it goes on {}", spec.places()));
            continue;
        };
        let repeatable = spec.repeatable && place == Place::Type;
        if !repeatable && uses.iter().any(|other| other.kind == spec.kind) {
            report.error(directive.span, format!("`@{}` is given twice", spec.name));
            continue;
        }
        let arguments = check_arguments(directive, arguments, report);
        uses.push(Use { kind: spec.kind, span: directive.span, is_bare: directive.arguments.is_empty(), arguments });
    }
    Uses(uses)
}

fn help_for_name(name: &str, place: Place) -> String {
    let allowed = VOCABULARY.iter().filter(|spec| spec.arguments(place).is_some());
    let allowed: Vec<_> = allowed.map(|spec| format!("@{}", spec.name)).collect();
    suggest::help(&format!("@{name}"), allowed.iter().map(String::as_str))
}

/// Whether one of the directives of a type is unknown, and probably meant as `@resource`.
pub fn has_mistyped_resource(directives: &[Directive]) -> bool {
    let is_unknown = |name: &str| VOCABULARY.iter().all(|spec| spec.name != name);
    let means_resource = |name: &str| help_for_name(name, Place::Type).contains("`@resource`");
    directives.iter().any(|directive| is_unknown(&directive.name) && means_resource(&directive.name))
}

fn check_arguments<'a>(
    directive: &'a Directive,
    specs: &[Argument],
    report: &mut Report,
) -> Vec<(&'static str, Span, &'a Value)> {
    let mut found: Vec<(&'static str, Span, &Value)> = Vec::new();
    let mut seen = Vec::new();
    for (name, value) in &directive.arguments {
        let Some(spec) = specs.iter().find(|spec| spec.name == name.text) else {
            let message = format!("`@{}` has no argument `{}` here", directive.name, name.text);
            report.unknown(name.span, message, &name.text, specs.iter().map(|spec| spec.name));
            continue;
        };
        if seen.contains(&spec.name) {
            report.error(name.span, format!("the argument `{}` is given twice", spec.name));
            continue;
        }
        seen.push(spec.name);
        match spec.ty.problem(value) {
            None => found.push((spec.name, name.span, value)),
            Some((span, expected, found, help)) => {
                let message = format!("`{}` must be {expected}, not {found}", spec.name);
                match help {
                    Some(help) => report.error_help(span, message, help),
                    None => report.error(span, message),
                }
            }
        }
    }
    for spec in specs.iter().filter(|spec| spec.required && !seen.contains(&spec.name)) {
        report.error(directive.span, format!("`@{}` needs the argument `{}` here", directive.name, spec.name));
    }
    found
}

type Problem = (Span, &'static str, String, Option<String>);

impl ArgumentType {
    /// Why the value does not fit: where, what is expected, what was found, and what would be right.
    fn problem(self, value: &Value) -> Option<Problem> {
        let wrong = |expected| Some((value.span, expected, value.describe(), None));
        match (self, &value.kind) {
            (Any, _) | (Boolean, ValueKind::Boolean(_)) | (Text, ValueKind::Text(_)) => None,
            (Boolean, _) => wrong("true or false"),
            (Text, _) => wrong("a string"),
            (Count, _) => count(value).map_or_else(|| wrong("a whole number from 0 on"), |_| None),
            (Texts, ValueKind::List(items)) => match items.iter().find(|item| text(item).is_none()) {
                Some(item) => Some((item.span, "a list of strings", format!("a list with {}", item.describe()), None)),
                None if items.is_empty() => wrong("a list of at least one string").map(empty_list),
                None => None,
            },
            (List, ValueKind::List(items)) if items.is_empty() => wrong("a list of at least one rule").map(empty_list),
            (List, ValueKind::List(_)) => None,
            (Texts, _) => wrong("a list of strings"),
            (List, _) => wrong("a list"),
            (OneOf(allowed), ValueKind::Name(name)) if allowed.contains(&name.as_str()) => None,
            (OneOf(allowed), ValueKind::Name(name)) => Some((
                value.span,
                "one of the known names",
                value.describe(),
                Some(suggest::help(name, allowed.iter().copied())),
            )),
            (OneOf(allowed), _) => {
                Some((value.span, "a name without quotes", value.describe(), Some(suggest::list(allowed))))
            }
        }
    }
}

fn empty_list((span, expected, _, help): Problem) -> Problem {
    (span, expected, "an empty one".to_owned(), help)
}

impl Spec {
    fn arguments(&self, place: Place) -> Option<&'static [Argument]> {
        match place {
            Place::Type => self.on_type,
            Place::Field => self.on_field,
            Place::EnumValue => self.on_value,
            Place::Enum => None,
        }
    }

    fn places(&self) -> &'static str {
        match (self.on_type, self.on_field) {
            (Some(_), Some(_)) if self.on_value.is_some() => "a type, a field or a value of an enum",
            (Some(_), Some(_)) => "a type or a field",
            (Some(_), None) => "a type",
            _ => "a field",
        }
    }
}

impl Place {
    fn describe(self) -> &'static str {
        match self {
            Self::Type => "a type",
            Self::Field => "a field",
            Self::Enum => "an enum",
            Self::EnumValue => "a value of an enum",
        }
    }
}
