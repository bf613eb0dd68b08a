//! First pass: which types and fields there are. Names are checked and everything gets its id, so that the second pass
//! can resolve names whatever the order of the file.

use std::collections::HashMap;

use super::reserved;
use super::source::Report;
use super::syntax::{Body, FieldDecl, Name, TypeDecl, ValueDecl};
use super::vocabulary::{self, Kind, Place, Uses};
use crate::catalog::{EnumId, EnumType, EnumValue, FieldId, ResourceId};

/// Resources and enums in a file, each.
const MAX_TYPES: usize = 200;
/// Declared fields of a resource.
const MAX_FIELDS: usize = 80;
/// Values of an enum.
const MAX_ENUM_VALUES: usize = 500;

/// What a type name of the file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// A resource.
    Resource(ResourceId),
    /// An enum.
    Enum(EnumId),
    /// Something that the file cannot have, which has been reported.
    Refused,
}

/// The types of the file by their ids.
#[derive(Debug)]
pub struct Declarations<'a> {
    /// By [`ResourceId`].
    pub resources: Vec<ResourceDecl<'a>>,
    /// By [`EnumId`].
    pub enums: Vec<EnumType>,
    /// The names of both, in the order of the file.
    pub type_names: Vec<&'a Name>,
    names: HashMap<&'a str, Named>,
}

/// A resource as it is declared.
#[derive(Debug)]
pub struct ResourceDecl<'a> {
    /// Its name.
    pub name: &'a Name,
    /// The text before it.
    pub description: Option<String>,
    /// Its directives.
    pub uses: Uses<'a>,
    /// By [`FieldId`], without the fields that every resource has.
    pub fields: Vec<DeclaredField<'a>>,
}

/// A field as it is declared.
#[derive(Debug)]
pub struct DeclaredField<'a> {
    /// Name, type, description.
    pub decl: &'a FieldDecl,
    /// Its directives.
    pub uses: Uses<'a>,
}

impl<'a> Declarations<'a> {
    /// What a type name stands for, if the file declares it.
    pub fn find(&self, name: &str) -> Option<Named> {
        self.names.get(name).copied()
    }

    /// The resource with this id.
    pub fn resource(&self, id: ResourceId) -> &ResourceDecl<'a> {
        &self.resources[usize::from(id.0)]
    }
}

impl<'a> ResourceDecl<'a> {
    /// Whether it has root fields of its own.
    pub fn is_root(&self) -> bool {
        self.uses.get(Kind::Resource).and_then(|one| one.flag("root")).unwrap_or(true)
    }

    /// The declared fields and their ids: the first field of every resource is `id`.
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, &DeclaredField<'a>)> {
        (1..).map(FieldId).zip(&self.fields)
    }

    /// A declared field by name.
    pub fn find(&self, name: &str) -> Option<(FieldId, &DeclaredField<'a>)> {
        self.fields().find(|(_, field)| field.decl.name.text == name)
    }
}

/// Collects the types of the file.
pub fn declare<'a>(types: &'a [TypeDecl], report: &mut Report) -> Declarations<'a> {
    let mut all =
        Declarations { resources: Vec::new(), enums: Vec::new(), type_names: Vec::new(), names: HashMap::new() };
    for ty in types {
        reserved::check_type_name(&ty.name, matches!(ty.body, Body::Object(_)), report);
        if all.find(&ty.name.text).is_some() {
            report.error(ty.name.span, format!("`{}` is declared twice", ty.name.text));
            continue;
        }
        let named = match &ty.body {
            Body::Object(fields) if all.resources.len() < MAX_TYPES => {
                let resource = declare_resource(ty, fields, report);
                all.resources.push(resource);
                Named::Resource(ResourceId((all.resources.len() - 1) as u16))
            }
            Body::Enum(values) if all.enums.len() < MAX_TYPES => {
                let enum_type = declare_enum(ty, values, report);
                all.enums.push(enum_type);
                Named::Enum(EnumId((all.enums.len() - 1) as u16))
            }
            Body::Object(_) => {
                report.error(ty.name.span, format!("a file has at most {MAX_TYPES} resources"));
                Named::Refused
            }
            Body::Enum(_) => {
                report.error(ty.name.span, format!("a file has at most {MAX_TYPES} enums"));
                Named::Refused
            }
            Body::Refused => Named::Refused,
        };
        if named != Named::Refused {
            all.type_names.push(&ty.name);
        }
        all.names.insert(&ty.name.text, named);
    }
    all
}

fn declare_resource<'a>(ty: &'a TypeDecl, fields: &'a [FieldDecl], report: &mut Report) -> ResourceDecl<'a> {
    let uses = vocabulary::check(&ty.directives, Place::Type, report);
    let name = &ty.name;
    if !uses.has(Kind::Resource) && !vocabulary::has_mistyped_resource(&ty.directives) {
        let message = format!("type `{}` is no resource", name.text);
        report.error_help(name.span, message, format!("write: type {} @resource", name.text));
    }
    if fields.is_empty() {
        report.error(name.span, format!("`{}` has no fields", name.text));
    }
    let mut declared: Vec<DeclaredField<'_>> = Vec::new();
    for decl in fields {
        reserved::check_field_name(&decl.name, report);
        let uses = vocabulary::check(&decl.directives, Place::Field, report);
        if declared.iter().any(|other| other.decl.name.text == decl.name.text) {
            report.error(decl.name.span, format!("the field `{}` is declared twice", decl.name.text));
        } else if declared.len() == MAX_FIELDS {
            report.error(decl.name.span, format!("a resource has at most {MAX_FIELDS} fields"));
            break;
        } else {
            declared.push(DeclaredField { decl, uses });
        }
    }
    ResourceDecl { name, description: ty.description.clone(), uses, fields: declared }
}

fn declare_enum(ty: &TypeDecl, values: &[ValueDecl], report: &mut Report) -> EnumType {
    vocabulary::check(&ty.directives, Place::Enum, report);
    if values.is_empty() {
        report.error(ty.name.span, format!("the enum `{}` has no values", ty.name.text));
    }
    if let Some(value) = values.get(MAX_ENUM_VALUES) {
        report.error(value.name.span, format!("an enum has at most {MAX_ENUM_VALUES} values"));
    }
    let mut known: Vec<EnumValue> = Vec::new();
    let mut olds: Vec<&str> = Vec::new();
    for value in values.iter().take(MAX_ENUM_VALUES) {
        let uses = vocabulary::check(&value.directives, Place::EnumValue, report);
        reserved::check_enum_value(&value.name, report);
        if known.iter().any(|other| other.name == value.name.text) {
            report.error(value.name.span, format!("the value `{}` is declared twice", value.name.text));
        } else {
            let renamed = uses.get(Kind::RenamedFrom).and_then(|one| one.text("name"));
            if let Some((old, span)) = renamed {
                if values.iter().any(|other| other.name.text == old) {
                    report.error(span, format!("`{}` has a value `{old}` still", ty.name.text));
                } else if olds.contains(&old) {
                    report.error(span, format!("another value was `{old}` already"));
                }
                olds.push(old);
            }
            let (name, description) = (value.name.text.clone(), value.description.clone());
            known.push(EnumValue { name, description, renamed_from: renamed.map(|(old, _)| old.to_owned()) });
        }
    }
    EnumType { name: ty.name.text.clone(), description: ty.description.clone(), values: known }
}
