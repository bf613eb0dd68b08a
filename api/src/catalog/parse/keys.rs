//! `@unique`, `@index` and `@search`: which fields they name.

use super::draft::Draft;
use super::source::{Report, Span};
use super::vocabulary::{Kind, Use};
use crate::catalog::{Field, FieldId, FieldType, Key, Resource, ResourceId, Scalar, suggest};

/// Fields of a key.
const MAX_KEY_FIELDS: usize = 16;

/// What the directives about keys say of one resource.
#[derive(Debug, Default)]
pub struct Keys {
    /// See [`Resource::unique_keys`].
    pub unique: Vec<Key>,
    /// See [`Resource::indexes`].
    pub indexes: Vec<Key>,
    /// See [`Resource::search`].
    pub search: Vec<FieldId>,
}

/// Reads the keys of a resource: those of its fields first, in their order, then those of the type.
pub fn keys(draft: &Draft, id: ResourceId, report: &mut Report) -> Keys {
    let mut reader = KeyReader { draft, id, resource: draft.catalog.resource(id), report };
    let mut keys = Keys::default();
    for (field, decl, drafted) in draft.fields(id).filter(|(.., drafted)| drafted.is_column()) {
        for one in decl.uses.iter().filter(|one| matches!(one.kind, Kind::Unique | Kind::Index)) {
            let name = &decl.decl.name.text;
            if let Some(problem) = no_key_field(drafted) {
                reader.report.error(one.span, format!("`{name}` {problem}"));
            } else if one.kind == Kind::Unique {
                reader.add(&mut keys.unique, Key { fields: vec![field] }, one.span);
            } else {
                reader.add_index(&mut keys, Key { fields: vec![field] }, one.span);
            }
        }
    }
    let uses = &draft.declared.resource(id).uses;
    for one in uses.all(Kind::Unique) {
        if let Some(key) = reader.key(one) {
            reader.add(&mut keys.unique, key, one.span);
        }
    }
    for one in uses.all(Kind::Index) {
        if let Some(key) = reader.key(one) {
            reader.add_index(&mut keys, key, one.span);
        }
    }
    if let Some(one) = uses.get(Kind::Search) {
        keys.search = reader.search(one);
    }
    keys
}

struct KeyReader<'d, 'a, 'r, 's> {
    draft: &'d Draft<'a>,
    id: ResourceId,
    resource: &'d Resource,
    report: &'r mut Report<'s>,
}

impl KeyReader<'_, '_, '_, '_> {
    /// `None` if one of its fields is wrong.
    fn key(&mut self, one: &Use) -> Option<Key> {
        let named = one.texts("fields");
        let mut fields = Vec::new();
        let mut complete = !named.is_empty();
        for (name, span) in named {
            match self.field(name, span) {
                Some(field) if fields.contains(&field) => {
                    self.report.error(span, format!("`{name}` is named twice"));
                    complete = false;
                }
                Some(field) if no_key_field(self.resource.field(field)).is_some() => {
                    let problem = no_key_field(self.resource.field(field)).unwrap_or_default();
                    self.report.error(span, format!("`{name}` {problem}"));
                    complete = false;
                }
                Some(field) => fields.push(field),
                None => complete = false,
            }
        }
        if fields.len() > MAX_KEY_FIELDS {
            self.report.error(one.span, format!("a key has at most {MAX_KEY_FIELDS} fields"));
        }
        if complete && one.kind == Kind::Unique && fields.contains(&Resource::ID) {
            self.report.error(one.span, "the id is unique by itself");
            return None;
        }
        complete.then_some(Key { fields })
    }

    /// `None` if there is no such field, which is reported, or if its type is unknown, which was.
    fn field(&mut self, name: &str, span: Span) -> Option<FieldId> {
        let resource = self.resource;
        let Some(field) = resource.find(name) else {
            let relation = name.strip_suffix("Id").filter(|stem| {
                let field = resource.find(stem).map(|field| resource.field(field));
                field.is_some_and(|field| field.to_one().is_some())
            });
            let help = match relation {
                Some(stem) => format!("write \"{stem}\""),
                None => suggest::help(name, resource.columns().map(|(_, field)| field.name.as_str())),
            };
            self.report.error_help(span, format!("`{}` has no field `{name}`", resource.name), help);
            return None;
        };
        (!self.draft.is_broken(self.id, field)).then_some(field)
    }

    fn add_index(&mut self, keys: &mut Keys, key: Key, span: Span) {
        match key.fields.as_slice() {
            [field] if self.resource.field(*field).to_one().is_some() => {
                self.report.error_help(span, "a relation is always indexed", "leave @index out");
            }
            _ if keys.unique.contains(&key) => {
                self.report.error_help(span, "a unique key is always indexed", "leave @index out");
            }
            _ => self.add(&mut keys.indexes, key, span),
        }
    }

    fn add(&mut self, keys: &mut Vec<Key>, key: Key, span: Span) {
        if keys.contains(&key) {
            let names: Vec<_> = key.fields.iter().map(|field| self.resource.field(*field).name.as_str()).collect();
            self.report.error(span, format!("there is a key of {} already", names.join(", ")));
        } else {
            keys.push(key);
        }
    }

    fn search(&mut self, one: &Use) -> Vec<FieldId> {
        let mut fields = Vec::new();
        for (name, span) in one.texts("fields") {
            let Some(id) = self.field(name, span) else { continue };
            let field = self.resource.field(id);
            if field.ty != FieldType::Scalar(Scalar::String) {
                self.report.error(span, format!("`{name}` is no String, so it cannot be searched"));
            } else if field.private {
                self.report.error(span, format!("`{name}` is private, so it cannot be searched"));
            } else if fields.contains(&id) {
                self.report.error(span, format!("`{name}` is named twice"));
            } else {
                fields.push(id);
            }
        }
        fields
    }
}

/// Why a field cannot be part of a key.
fn no_key_field(field: &Field) -> Option<&'static str> {
    match field.ty {
        FieldType::ToMany { .. } => Some("is a list of related rows, so it cannot be part of a key"),
        FieldType::ScalarList(_) | FieldType::EnumList(_) => Some("is a list, so it cannot be part of a key"),
        FieldType::Scalar(Scalar::Json) => Some("is JSON, so it cannot be part of a key"),
        FieldType::RowId | FieldType::Scalar(_) | FieldType::Enum(_) | FieldType::ToOne { .. } => None,
    }
}
