//! Second pass: what each field holds. The result is a catalog without rules, keys, constraints and defaults, which the
//! third pass needs in order to read those: a filter in a rule names fields of other resources, a default is a value of
//! its field's type.

use std::collections::HashSet;

use super::declare::{Declarations, DeclaredField, Named, ResourceDecl};
use super::reserved;
use super::source::Report;
use super::syntax::{Shape, TypeRef};
use super::vocabulary::{Kind, Use};
use crate::catalog::{
    Access, Catalog, Constraint, Field, FieldId, FieldType, OnDelete, Resource, ResourceId, Scalar, names, suggest,
};

/// Digits of a Decimal, so that it fits 64 bits.
const MAX_PRECISION: u32 = 18;

/// The catalog so far.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Its fields have their types and flags.
    pub catalog: Catalog,
    /// What it was made of.
    pub declared: Declarations<'a>,
    /// Fields whose type is not known, which has been reported. They hold JSON in the catalog, to hold something.
    broken: HashSet<(ResourceId, FieldId)>,
}

impl<'a> Draft<'a> {
    /// Finds out what each field holds.
    pub fn new(declared: Declarations<'a>, report: &mut Report) -> Self {
        let mut broken = HashSet::new();
        let mut resources = Vec::new();
        for (owner, decl) in (0..).map(ResourceId).zip(&declared.resources) {
            let mut fields = vec![system_field("id", FieldType::RowId)];
            for (id, field) in decl.fields() {
                let mut types = FieldTypes { declared: &declared, owner, field, report };
                let ty = types.resolve();
                check_applicable(field, ty.as_ref(), report);
                if ty.is_none() {
                    broken.insert((owner, id));
                }
                fields.push(draft_field(field, ty.unwrap_or(FieldType::Scalar(Scalar::Json))));
            }
            fields.push(system_field("createdAt", FieldType::Scalar(Scalar::DateTime)));
            fields.push(system_field("updatedAt", FieldType::Scalar(Scalar::DateTime)));
            fields.push(system_field("version", FieldType::Scalar(Scalar::Int)));
            check_renames(decl, report);
            resources.push(draft_resource(decl, fields));
        }
        check_type_renames(&declared, report);
        Self { catalog: Catalog::new(resources, declared.enums.clone()), declared, broken }
    }

    /// Whether the type of a field is unknown.
    pub fn is_broken(&self, resource: ResourceId, field: FieldId) -> bool {
        self.broken.contains(&(resource, field))
    }

    /// Whether there is any such field.
    pub fn has_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// The fields of a resource as they are declared, beside what they hold; broken ones are left out.
    pub fn fields(&self, id: ResourceId) -> impl Iterator<Item = (FieldId, &DeclaredField<'a>, &Field)> {
        let fields = self.declared.resource(id).fields().filter(move |(field, _)| !self.is_broken(id, *field));
        fields.map(move |(field, decl)| (field, decl, self.catalog.resource(id).field(field)))
    }

    /// All resources as they are declared.
    pub fn resources(&self) -> impl Iterator<Item = (ResourceId, &ResourceDecl<'a>)> {
        (0..).map(ResourceId).zip(&self.declared.resources)
    }
}

fn draft_resource(decl: &ResourceDecl, fields: Vec<Field>) -> Resource {
    let singular = names::singular(&decl.name.text);
    Resource {
        name: decl.name.text.clone(),
        plural: names::plural(&singular),
        singular,
        prefix: names::prefix(&decl.name.text),
        description: decl.description.clone(),
        root: decl.is_root(),
        fields,
        unique_keys: Vec::new(),
        indexes: Vec::new(),
        search: Vec::new(),
        access: Access::Rules(Vec::new()),
        renamed_from: decl
            .uses
            .get(Kind::RenamedFrom)
            .and_then(|one| one.text("name"))
            .map(|(name, _)| name.to_owned()),
    }
}

fn draft_field(field: &DeclaredField, ty: FieldType) -> Field {
    let (name, uses) = (&field.decl.name.text, &field.uses);
    let column = match ty {
        FieldType::ToOne { .. } => names::foreign_key_column(name),
        FieldType::ToMany { .. } => String::new(),
        FieldType::RowId
        | FieldType::Scalar(_)
        | FieldType::Enum(_)
        | FieldType::ScalarList(_)
        | FieldType::EnumList(_) => names::column(name),
    };
    Field {
        name: name.clone(),
        column,
        description: field.decl.description.clone(),
        ty,
        nullable: field.decl.ty.nullable,
        default: None,
        constraint: Constraint::default(),
        private: uses.has(Kind::Private),
        read_only: uses.has(Kind::ReadOnly),
        write_once: uses.has(Kind::WriteOnce),
        rules: None,
        renamed_from: uses.get(Kind::RenamedFrom).and_then(|one| one.text("name")).map(|(name, _)| name.to_owned()),
    }
}

fn system_field(name: &str, ty: FieldType) -> Field {
    let description = match name {
        "id" => "Its id in every channel.",
        "createdAt" => "When it was created.",
        "updatedAt" => "When it was last written.",
        _ => "1 at creation, plus 1 at each update.",
    };
    Field {
        name: name.to_owned(),
        column: names::column(name),
        description: Some(description.to_owned()),
        ty,
        nullable: false,
        default: None,
        constraint: Constraint::default(),
        private: false,
        read_only: true,
        write_once: false,
        rules: None,
        renamed_from: None,
    }
}

/// Finds out what one field holds.
struct FieldTypes<'d, 'a, 'r, 's> {
    declared: &'d Declarations<'a>,
    owner: ResourceId,
    field: &'d DeclaredField<'a>,
    report: &'r mut Report<'s>,
}

impl<'d> FieldTypes<'d, '_, '_, '_> {
    fn type_ref(&self) -> &'d TypeRef {
        &self.field.decl.ty
    }

    /// `None` if it cannot be said, which is then reported.
    fn resolve(&mut self) -> Option<FieldType> {
        let TypeRef { name, shape, span, .. } = self.type_ref();
        let (shape, span) = (*shape, *span);
        let is_list = match shape {
            Shape::Single => false,
            Shape::List => true,
            Shape::ListOfNullable => {
                let help = format!("write [{name}!]");
                self.report.error_help(span, "the items of a list cannot be null", help);
                return None;
            }
            Shape::Nested => {
                self.report.error(span, "a list of lists is not allowed");
                return None;
            }
        };
        if reserved::SCALARS.contains(&name.as_str()) {
            let scalar = self.scalar()?;
            return Some(if is_list { FieldType::ScalarList(scalar) } else { FieldType::Scalar(scalar) });
        }
        match self.declared.find(name) {
            Some(Named::Enum(id)) if is_list => Some(FieldType::EnumList(id)),
            Some(Named::Enum(id)) => Some(FieldType::Enum(id)),
            Some(Named::Resource(target)) if is_list => self.inverse(target),
            Some(Named::Resource(target)) => Some(self.relation(target)),
            Some(Named::Refused) => None,
            None => {
                let known = self.declared.type_names.iter().map(|name| name.text.as_str());
                let message = format!("unknown type `{name}`");
                self.report.unknown(span, message, name, reserved::SCALARS.iter().copied().chain(known));
                None
            }
        }
    }

    fn scalar(&mut self) -> Option<Scalar> {
        let ty = self.type_ref();
        Some(match ty.name.as_str() {
            "String" => Scalar::String,
            "Int" => Scalar::Int,
            "Float" => Scalar::Float,
            "Boolean" => Scalar::Boolean,
            "ID" => Scalar::Id,
            "BigInt" => Scalar::BigInt,
            "DateTime" => Scalar::DateTime,
            "Date" => Scalar::Date,
            "UUID" => Scalar::Uuid,
            "JSON" => Scalar::Json,
            _ => return self.decimal(),
        })
    }

    fn decimal(&mut self) -> Option<Scalar> {
        let Some(decimal) = self.field.uses.get(Kind::Decimal) else {
            let span = self.type_ref().span;
            self.report.error_help(span, "a Decimal needs @decimal", "such as @decimal(precision: 12, scale: 2)");
            return None;
        };
        let (precision, scale) = (decimal.count("precision")?, decimal.count("scale")?);
        let span = |name| decimal.value(name).map_or(decimal.span, |value| value.span);
        if !(1..=MAX_PRECISION).contains(&precision) {
            self.report.error(span("precision"), format!("`precision` must be from 1 to {MAX_PRECISION}"));
            return None;
        }
        if scale > precision {
            self.report.error(span("scale"), format!("`scale` must be at most the precision, {precision}"));
            return None;
        }
        Some(Scalar::Decimal { precision: precision as u8, scale: scale as u8 })
    }

    fn relation(&mut self, target: ResourceId) -> FieldType {
        let relation = self.field.uses.get(Kind::Relation);
        let on_delete = match relation.and_then(|one| one.text("onDelete")) {
            Some(("CASCADE", _)) => OnDelete::Cascade,
            Some(("SET_NULL", span)) => {
                if !self.type_ref().nullable {
                    let message = format!("`{}` is required, so it cannot be set to null", self.field.decl.name.text);
                    let help = format!("write {} without `!`, or onDelete: RESTRICT or CASCADE", self.type_ref().name);
                    self.report.error_help(span, message, help);
                }
                OnDelete::SetNull
            }
            _ => OnDelete::Restrict,
        };
        FieldType::ToOne { target, on_delete }
    }

    fn inverse(&mut self, target: ResourceId) -> Option<FieldType> {
        let owner = &self.declared.resource(self.owner).name.text;
        let other = self.declared.resource(target);
        let points_back = |field: &DeclaredField| field.decl.ty.shape == Shape::Single && field.decl.ty.name == *owner;
        let TypeRef { name, nullable, span, .. } = self.type_ref();
        let (name, nullable, span) = (name.clone(), *nullable, *span);
        let Some(inverse) = self.field.uses.get(Kind::Inverse) else {
            let help = match other.fields().find(|(_, field)| points_back(field)) {
                Some((_, field)) => format!("write @inverse(field: \"{}\")", field.decl.name.text),
                None => format!("give `{name}` a field of type {owner}, and name it in @inverse(field:)"),
            };
            self.report.error_help(span, format!("a list of `{name}` needs @inverse"), help);
            return None;
        };
        let (via_name, via_span) = inverse.text("field")?;
        let candidates: Vec<_> = other.fields().filter(|(_, field)| points_back(field)).collect();
        let found = candidates.iter().find(|(_, field)| field.decl.name.text == via_name);
        let Some((via, _)) = found else {
            let message = match other.find(via_name) {
                Some(_) => format!("`{name}.{via_name}` is no field of type {owner}, so it does not point back"),
                None => format!("`{name}` has no field `{via_name}`"),
            };
            let help = match candidates.iter().map(|(_, field)| field.decl.name.text.as_str()).collect::<Vec<_>>() {
                names if names.is_empty() => format!("give `{name}` a field of type {owner}"),
                names => suggest::help(via_name, names),
            };
            self.report.error_help(via_span, message, help);
            return None;
        };
        if nullable {
            self.report.error_help(span, "a list of related rows is never null", format!("write [{name}!]!"));
        }
        Some(FieldType::ToMany { target, via: *via })
    }
}

/// Reports directives that do not go with what the field holds. Without a type, with nothing.
fn check_applicable(field: &DeclaredField, ty: Option<&FieldType>, report: &mut Report) {
    let Some(ty) = ty else { return };
    for one in field.uses.iter() {
        if let Some((reason, help)) = inapplicable(one, ty) {
            report.error_help(one.span, format!("`{}` {reason}", one.name()), help);
        }
    }
}

fn inapplicable(one: &Use, ty: &FieldType) -> Option<(&'static str, &'static str)> {
    let is_decimal =
        matches!(ty, FieldType::Scalar(Scalar::Decimal { .. }) | FieldType::ScalarList(Scalar::Decimal { .. }));
    let is_to_one = matches!(ty, FieldType::ToOne { .. });
    match (one.kind, ty) {
        (Kind::Inverse, FieldType::ToMany { .. }) => None,
        (Kind::Inverse, _) => Some(("is for lists of resources only", "the field that it names holds the foreign key")),
        (Kind::Relation, FieldType::ToMany { .. }) => {
            Some(("goes on the other side", "put it on the field that @inverse names: it holds the foreign key"))
        }
        (_, FieldType::ToMany { .. }) => {
            Some(("does not go with a list of related rows", "only @inverse does: the rows say the rest themselves"))
        }
        (Kind::Relation, _) if !is_to_one => Some(("is for fields whose type is a resource", "leave it out")),
        (Kind::Decimal, _) if !is_decimal => Some(("is for fields of type Decimal only", "leave it out")),
        (Kind::Default, _) if is_to_one => Some(("does not go with a relation", "ids are made by the server")),
        (Kind::Constraint, _) if is_to_one => Some(("does not go with a relation", "leave it out")),
        _ => None,
    }
}

fn check_renames(decl: &ResourceDecl, report: &mut Report) {
    let mut olds: Vec<&str> = Vec::new();
    for (_, field) in decl.fields() {
        let Some((old, span)) = field.uses.get(Kind::RenamedFrom).and_then(|one| one.text("name")) else { continue };
        if !reserved::is_name(old) {
            report.error(span, format!("`{old}` cannot have been the name of a field"));
        } else if decl.find(old).is_some() {
            report.error(span, format!("`{}` has a field `{old}` still", decl.name.text));
        } else if olds.contains(&old) {
            report.error(span, format!("another field was `{old}` already"));
        }
        olds.push(old);
    }
}

fn check_type_renames(declared: &Declarations, report: &mut Report) {
    let mut olds: Vec<&str> = Vec::new();
    for decl in &declared.resources {
        let Some((old, span)) = decl.uses.get(Kind::RenamedFrom).and_then(|one| one.text("name")) else { continue };
        if !reserved::is_name(old) {
            report.error(span, format!("`{old}` cannot have been the name of a type"));
        } else if declared.find(old).is_some() {
            report.error(span, format!("there is a type `{old}` still"));
        } else if olds.contains(&old) {
            report.error(span, format!("another type was `{old}` already"));
        }
        olds.push(old);
    }
}
