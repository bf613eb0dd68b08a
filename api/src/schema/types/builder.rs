//! Collects the types of the API and hands them to async-graphql.
//!
//! Types and fields are written here as they stand in SDL (`"[Product!]!"`), each with its description, so none can
//! lack one. A name that comes twice is a problem to report, not a panic: names are made from the resource file.

use std::collections::{BTreeSet, HashSet};

use async_graphql::Value;
use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, FieldValue, InputObject, InputValue, Interface, InterfaceField, Object,
    ResolverContext, Scalar, Schema, Subscription, SubscriptionField, SubscriptionFieldFuture, Type, TypeRef,
};
use futures_util::stream::Empty;

use super::Error;

/// A field of an object, an interface or the subscription root.
pub(super) struct Output {
    name: String,
    ty: String,
    description: String,
    arguments: Vec<Input>,
}

/// An argument, or a field of an input object.
pub(super) struct Input {
    name: String,
    ty: String,
    description: String,
    default: Option<Value>,
}

/// A field of this SDL type.
pub(super) fn output(name: impl Into<String>, ty: impl Into<String>, description: impl Into<String>) -> Output {
    Output { name: name.into(), ty: ty.into(), description: description.into(), arguments: Vec::new() }
}

/// An argument or input field of this SDL type.
pub(super) fn input(name: impl Into<String>, ty: impl Into<String>, description: impl Into<String>) -> Input {
    Input { name: name.into(), ty: ty.into(), description: description.into(), default: None }
}

impl Output {
    pub(super) fn arguments(mut self, arguments: impl IntoIterator<Item = Input>) -> Self {
        self.arguments.extend(arguments);
        self
    }
}

impl Input {
    pub(super) fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    fn build(self) -> InputValue {
        let value = InputValue::new(self.name, type_ref(&self.ty)).description(printable(&self.description));
        match self.default {
            Some(default) => value.default_value(default),
            None => value,
        }
    }
}

/// The types so far.
#[derive(Default)]
pub(super) struct Builder {
    types: Vec<Type>,
    /// Names in the order in which the SDL shows them.
    order: Vec<String>,
    used: BTreeSet<String>,
    problems: Vec<String>,
}

impl Builder {
    /// Whether some field or argument so far has this type.
    pub(super) fn uses(&self, name: &str) -> bool {
        self.used.contains(name)
    }

    pub(super) fn scalar(&mut self, name: &str, description: &str, specified_by: Option<&str>) {
        let scalar = Scalar::new(name).description(printable(description));
        let scalar = match specified_by {
            Some(url) => scalar.specified_by_url(url),
            None => scalar,
        };
        self.add(name, scalar);
    }

    /// Values are pairs of name and description.
    pub(super) fn enumeration<N, D>(
        &mut self,
        name: &str,
        description: impl AsRef<str>,
        values: impl IntoIterator<Item = (N, D)>,
    ) where
        N: Into<String>,
        D: AsRef<str>,
    {
        let items = values.into_iter().map(|(name, text)| EnumItem::new(name).description(printable(text.as_ref())));
        let ty = Enum::new(name).description(printable(description.as_ref())).items(items);
        self.add(name, ty);
    }

    pub(super) fn interface(&mut self, name: &str, description: impl AsRef<str>, fields: Vec<Output>) {
        let mut ty = Interface::new(name).description(printable(description.as_ref()));
        for field in self.distinct(name, fields, |field| &field.name) {
            self.note_output(&field);
            let built = InterfaceField::new(field.name, type_ref(&field.ty)).description(printable(&field.description));
            ty = ty.field(field.arguments.into_iter().fold(built, |built, arg| built.argument(arg.build())));
        }
        self.add(name, ty);
    }

    pub(super) fn object(
        &mut self,
        name: &str,
        description: impl AsRef<str>,
        interfaces: &[&str],
        fields: Vec<Output>,
    ) {
        let mut ty = Object::new(name).description(printable(description.as_ref()));
        ty = interfaces.iter().fold(ty, |ty, interface| ty.implement(*interface));
        for field in self.distinct(name, fields, |field| &field.name) {
            self.note_output(&field);
            let built =
                Field::new(field.name, type_ref(&field.ty), unresolved).description(printable(&field.description));
            ty = ty.field(field.arguments.into_iter().fold(built, |built, arg| built.argument(arg.build())));
        }
        self.add(name, ty);
    }

    pub(super) fn subscription(&mut self, name: &str, description: impl AsRef<str>, fields: Vec<Output>) {
        let mut ty = Subscription::new(name).description(printable(description.as_ref()));
        for field in self.distinct(name, fields, |field| &field.name) {
            self.note_output(&field);
            let built = SubscriptionField::new(field.name, type_ref(&field.ty), unresolved_stream)
                .description(printable(&field.description));
            ty = ty.field(field.arguments.into_iter().fold(built, |built, arg| built.argument(arg.build())));
        }
        self.add(name, ty);
    }

    pub(super) fn input_object(&mut self, name: &str, description: impl AsRef<str>, fields: Vec<Input>) {
        let ty = self.input_type(name, description.as_ref(), fields);
        self.add(name, ty);
    }

    /// An input object of which exactly one field is given. Its fields are nullable and have no defaults.
    pub(super) fn one_of(&mut self, name: &str, description: impl AsRef<str>, fields: Vec<Input>) {
        let ty = self.input_type(name, description.as_ref(), fields).oneof();
        self.add(name, ty);
    }

    /// The schema, and its type names in the order of the calls.
    pub(super) fn finish(self) -> Result<(Schema, Vec<String>), Error> {
        if !self.problems.is_empty() {
            return Err(Error::Conflicts(self.problems));
        }
        let empty = Schema::build(super::QUERY, Some(super::MUTATION), Some(super::SUBSCRIPTION));
        let builder = self.types.into_iter().fold(empty, |builder, ty| builder.register(ty));
        let schema = builder.finish().map_err(|error| Error::Invalid(error.0))?;
        Ok((schema, self.order))
    }

    fn input_type(&mut self, name: &str, description: &str, fields: Vec<Input>) -> InputObject {
        let mut ty = InputObject::new(name).description(printable(description));
        for field in self.distinct(name, fields, |field| &field.name) {
            self.note(&field.ty);
            ty = ty.field(field.build());
        }
        ty
    }

    fn add(&mut self, name: &str, ty: impl Into<Type>) {
        if self.order.iter().any(|known| known == name) {
            self.problems.push(format!("the API would have two types with the name {name}"));
            return;
        }
        self.order.push(name.to_owned());
        self.types.push(ty.into());
    }

    fn note_output(&mut self, field: &Output) {
        self.note(&field.ty);
        field.arguments.iter().for_each(|argument| self.note(&argument.ty));
    }

    fn note(&mut self, ty: &str) {
        self.used.insert(ty.trim_matches(['[', ']', '!']).to_owned());
    }

    /// The fields without those whose name came before, which are reported.
    fn distinct<T>(&mut self, ty: &str, fields: Vec<T>, name: impl Fn(&T) -> &String) -> Vec<T> {
        let mut seen = HashSet::new();
        let problems = &mut self.problems;
        let mut is_new = |field: &T| {
            let new = seen.insert(name(field).clone());
            if !new {
                problems.push(format!("the type {ty} of the API would have two fields with the name {}", name(field)));
            }
            new
        };
        fields.into_iter().filter(|field| is_new(field)).collect()
    }
}

/// Reads a type as SDL writes it.
fn type_ref(text: &str) -> TypeRef {
    if let Some(inner) = text.strip_suffix('!') {
        return TypeRef::NonNull(Box::new(type_ref(inner)));
    }
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => TypeRef::List(Box::new(type_ref(inner))),
        None => TypeRef::named(text),
    }
}

/// async-graphql prints descriptions between triple quotes and escapes nothing.
fn printable(description: &str) -> String {
    description.replace("\"\"\"", "\\\"\"\"")
}

const UNRESOLVED: &str = "operations are run by Tandem's own engine; this schema holds only the types";

fn unresolved(_: ResolverContext<'_>) -> FieldFuture<'_> {
    FieldFuture::new(async { Err::<Option<FieldValue<'_>>, _>(async_graphql::Error::new(UNRESOLVED)) })
}

fn unresolved_stream(_: ResolverContext<'_>) -> SubscriptionFieldFuture<'_> {
    SubscriptionFieldFuture::new(async {
        Err::<Empty<async_graphql::Result<FieldValue<'_>>>, _>(async_graphql::Error::new(UNRESOLVED))
    })
}
