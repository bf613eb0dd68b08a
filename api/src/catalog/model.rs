//! The parts of a [`Catalog`]. Built by the parser of the resource file, which guarantees the invariants stated here.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Datum, Filter, filter::RuleValue};

/// All resources and enums of one resource file.
#[derive(Debug, Default)]
pub struct Catalog {
    resources: Vec<Resource>,
    enums: Vec<EnumType>,
    by_name: HashMap<String, ResourceId>,
    by_prefix: HashMap<String, ResourceId>,
}

/// Index of a resource in its [`Catalog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(pub u16);

impl ResourceId {
    /// Of events about a resource that the file has no more. No catalog has it: whoever follows resources of the catalog
    /// passes such events over, and positions stay without gaps.
    pub const GONE: Self = Self(u16::MAX);
}

/// Index of a field in its [`Resource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u16);

/// Index of an enum in its [`Catalog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId(pub u16);

impl Catalog {
    /// Takes resources and enums whose ids are their positions in these lists.
    pub fn new(resources: Vec<Resource>, enums: Vec<EnumType>) -> Self {
        let ids = || (0..).map(ResourceId);
        let by_name = resources.iter().zip(ids()).map(|(r, id)| (r.name.clone(), id)).collect();
        let former = resources.iter().zip(ids()).filter_map(|(r, id)| Some((r.former_prefix()?, id)));
        let mut by_prefix: HashMap<_, _> = former.collect();
        by_prefix.extend(resources.iter().zip(ids()).map(|(r, id)| (r.prefix.clone(), id)));
        Self { resources, enums, by_name, by_prefix }
    }

    /// Its resources and enums, in the order of their ids.
    pub(super) fn into_parts(self) -> (Vec<Resource>, Vec<EnumType>) {
        (self.resources, self.enums)
    }

    /// The resource with this id. Ids come from this catalog, so it is there.
    pub fn resource(&self, id: ResourceId) -> &Resource {
        &self.resources[usize::from(id.0)]
    }

    /// All resources with their ids, in the order of the file.
    pub fn resources(&self) -> impl Iterator<Item = (ResourceId, &Resource)> {
        (0..).map(ResourceId).zip(&self.resources)
    }

    /// By type name, `OrderLine`.
    pub fn find(&self, name: &str) -> Option<ResourceId> {
        self.by_name.get(name).copied()
    }

    /// By the prefix of its ids and events, `order_line`, or by the one before a `@renamedFrom`.
    pub fn find_prefix(&self, prefix: &str) -> Option<ResourceId> {
        self.by_prefix.get(prefix).copied()
    }

    /// The enum with this id.
    pub fn enum_type(&self, id: EnumId) -> &EnumType {
        &self.enums[usize::from(id.0)]
    }

    /// All enums with their ids, in the order of the file.
    pub fn enums(&self) -> impl Iterator<Item = (EnumId, &EnumType)> {
        (0..).map(EnumId).zip(&self.enums)
    }
}

/// An `enum` of the resource file.
#[derive(Debug, Clone)]
pub struct EnumType {
    /// `OrderStatus`
    pub name: String,
    /// From the file.
    pub description: Option<String>,
    /// In the order of the file, which is also their sort order nowhere: values sort as strings.
    pub values: Vec<EnumValue>,
}

/// One value of an [`EnumType`].
#[derive(Debug, Clone)]
pub struct EnumValue {
    /// `PLACED`
    pub name: String,
    /// From the file.
    pub description: Option<String>,
    /// The name before a `@renamedFrom`.
    pub renamed_from: Option<String>,
}

/// A type marked `@resource`.
#[derive(Debug)]
pub struct Resource {
    /// Type name, `OrderLine`.
    pub name: String,
    /// `orderLine`: the root field that finds one, and the name in payloads.
    pub singular: String,
    /// `orderLines`: the root field that lists them.
    pub plural: String,
    /// `order_line`: prefix of ids and events, and name of the table.
    pub prefix: String,
    /// From the file.
    pub description: Option<String>,
    /// Whether it has root query fields and mutations of its own.
    pub root: bool,
    /// `id`, then the declared fields in the order of the file, then `createdAt`, `updatedAt`, `version`.
    pub fields: Vec<Field>,
    /// Unique keys besides the id, single-field ones included. Their fields are columns.
    pub unique_keys: Vec<Key>,
    /// Indexes asked for by `@index`. Foreign keys are indexed in any case and are not listed.
    pub indexes: Vec<Key>,
    /// Fields of `@search`, empty without.
    pub search: Vec<FieldId>,
    /// Who may do what.
    pub access: Access,
    /// The name before a `@renamedFrom`.
    pub renamed_from: Option<String>,
}

impl Resource {
    /// The field `id` of every resource.
    pub const ID: FieldId = FieldId(0);

    /// The field with this id. Ids come from this resource, so it is there.
    pub fn field(&self, id: FieldId) -> &Field {
        &self.fields[usize::from(id.0)]
    }

    /// The prefix before a `@renamedFrom`: as long as the directive stands in the file, what clients have kept is still
    /// understood.
    pub fn former_prefix(&self) -> Option<String> {
        self.renamed_from.as_deref().map(super::names::prefix)
    }

    /// By its name in the API, `unitPrice`.
    pub fn find(&self, name: &str) -> Option<FieldId> {
        self.fields.iter().position(|f| f.name == name).map(|i| FieldId(i as u16))
    }

    /// All fields with their ids, in order.
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, &Field)> {
        (0..).map(FieldId).zip(&self.fields)
    }

    /// The fields that are columns of the table: all but to-many relations.
    pub fn columns(&self) -> impl Iterator<Item = (FieldId, &Field)> {
        self.fields().filter(|(_, f)| f.is_column())
    }

    fn nth_from_end(&self, n: usize) -> FieldId {
        FieldId((self.fields.len() - n) as u16)
    }

    /// The field `createdAt` of every resource.
    pub fn created_at(&self) -> FieldId {
        self.nth_from_end(3)
    }

    /// The field `updatedAt` of every resource.
    pub fn updated_at(&self) -> FieldId {
        self.nth_from_end(2)
    }

    /// The field `version` of every resource.
    pub fn version(&self) -> FieldId {
        self.nth_from_end(1)
    }

    /// Whether this is one of the four fields that every resource has and no client writes.
    pub fn is_system(&self, id: FieldId) -> bool {
        id == Self::ID || id >= self.created_at()
    }
}

/// The fields of a unique key or of an index, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// At least one, all of them columns.
    pub fields: Vec<FieldId>,
}

/// One field of a resource.
#[derive(Debug)]
pub struct Field {
    /// Name in the API, `unitPrice`.
    pub name: String,
    /// Name of the column, `unit_price`; `customer_id` for a to-one relation; empty for a to-many relation.
    pub column: String,
    /// From the file.
    pub description: Option<String>,
    /// What it holds.
    pub ty: FieldType,
    /// Whether it may be null in the database.
    pub nullable: bool,
    /// What it is when a create leaves it out.
    pub default: Option<DefaultValue>,
    /// Checked on every write.
    pub constraint: Constraint,
    /// Never in the API.
    pub private: bool,
    /// Never written by a client.
    pub read_only: bool,
    /// Settable only on create.
    pub write_once: bool,
    /// Rules of its own, `None` without `@auth` on the field. A field that has them is nullable in the API.
    pub rules: Option<Vec<Rule>>,
    /// The name before a `@renamedFrom`.
    pub renamed_from: Option<String>,
}

impl Field {
    /// Whether the table has a column for it.
    pub fn is_column(&self) -> bool {
        !matches!(self.ty, FieldType::ToMany { .. })
    }

    /// The resource at the other side of a to-one relation.
    pub fn to_one(&self) -> Option<ResourceId> {
        match self.ty {
            FieldType::ToOne { target, .. } => Some(target),
            _ => None,
        }
    }

    /// The resource at the other side of a to-many relation, and the to-one field of it that points here.
    pub fn to_many(&self) -> Option<(ResourceId, FieldId)> {
        match self.ty {
            FieldType::ToMany { target, via } => Some((target, via)),
            _ => None,
        }
    }
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    /// The row's own id: a UUID in the database, a TypeID in the API.
    RowId,
    /// One scalar.
    Scalar(Scalar),
    /// One value of an enum.
    Enum(EnumId),
    /// A list of scalars that are never null.
    ScalarList(Scalar),
    /// A list of enum values that are never null.
    EnumList(EnumId),
    /// This side holds the foreign key, the id of a row of `target`.
    ToOne {
        /// The other side.
        target: ResourceId,
        /// What happens to this row when the other one is deleted.
        on_delete: OnDelete,
    },
    /// The other side of the to-one field `via` of `target`.
    ToMany {
        /// The other side.
        target: ResourceId,
        /// The to-one field of `target` that points here.
        via: FieldId,
    },
}

/// The scalar types of the resource file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// Unicode text, compared by code point.
    String,
    /// 32 bits, signed.
    Int,
    /// IEEE 754 double, finite.
    Float,
    /// true or false.
    Boolean,
    /// An opaque string.
    Id,
    /// 64 bits, signed; a string in JSON.
    BigInt,
    /// Exact; a string in JSON with exactly `scale` digits after the point. `precision` ≤ 18, `scale` ≤ `precision`.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// An instant with microseconds; RFC 3339 in UTC in JSON.
    DateTime,
    /// A calendar date; `YYYY-MM-DD` in JSON.
    Date,
    /// A UUID; lower case with hyphens in JSON.
    Uuid,
    /// Any JSON value.
    Json,
}

impl Scalar {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Int => "Int",
            Self::Float => "Float",
            Self::Boolean => "Boolean",
            Self::Id => "ID",
            Self::BigInt => "BigInt",
            Self::Decimal { .. } => "Decimal",
            Self::DateTime => "DateTime",
            Self::Date => "Date",
            Self::Uuid => "UUID",
            Self::Json => "JSON",
        }
    }
}

/// What happens to the rows that point at a deleted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// The delete is refused while there are any.
    Restrict,
    /// They are deleted too, before it.
    Cascade,
    /// Their foreign key becomes null.
    SetNull,
}

/// What a field is when a create leaves it out.
#[derive(Debug, Clone, PartialEq)]
pub enum DefaultValue {
    /// A value of the field's type.
    Literal(Datum),
    /// The caller's token claim of this name; a create by a caller without it is FORBIDDEN.
    Claim(String),
    /// The next number of the counter of this field.
    Sequence,
    /// The time of the write.
    Now,
}

/// What `@constraint` asks for.
#[derive(Debug, Clone, Default)]
pub struct Constraint {
    /// Least value, of the field's type.
    pub min: Option<Datum>,
    /// Greatest value, of the field's type.
    pub max: Option<Datum>,
    /// Least number of characters.
    pub min_length: Option<u32>,
    /// Greatest number of characters.
    pub max_length: Option<u32>,
    /// A regular expression that must match somewhere in the text.
    pub pattern: Option<regex::Regex>,
    /// A named format.
    pub format: Option<Format>,
    /// Least number of items.
    pub min_items: Option<u32>,
    /// Greatest number of items.
    pub max_items: Option<u32>,
}

/// The named formats of `@constraint(format:)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `local@domain`, as HTML's `<input type=email>` checks it.
    Email,
    /// An absolute URL with a scheme and a host.
    Url,
}

/// Who may do what with a resource.
#[derive(Debug, Clone)]
pub enum Access {
    /// Any rule that allows, allows. No rules: the admin role alone.
    Rules(Vec<Rule>),
    /// Whoever may do it with the row at the other side of this required to-one field. There are no cycles.
    Inherit(FieldId),
}

/// One rule of `@auth`.
#[derive(Debug, Clone)]
pub struct Rule {
    /// To whom.
    pub allow: Allow,
    /// For what.
    pub operations: Operations,
}

/// To whom a [`Rule`] allows.
#[derive(Debug, Clone)]
pub enum Allow {
    /// Everybody, anonymous callers too.
    Public,
    /// Everybody with a valid token.
    Authenticated,
    /// Whose `sub` this String or ID field of the row equals.
    Owner(FieldId),
    /// Who has one of these roles.
    Role(Vec<String>),
    /// For rows that match, after the caller's claims are put in.
    Where(Arc<Filter<RuleValue>>),
}

/// What a caller may want to do with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// See it.
    Read,
    /// Make it.
    Create,
    /// Change it.
    Update,
    /// Remove it.
    Delete,
}

/// A set of [`Operation`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operations(u8);

impl Operations {
    /// All four.
    pub const ALL: Self = Self(0b1111);
    /// None.
    pub const NONE: Self = Self(0);

    /// With one more.
    #[must_use]
    pub fn with(self, operation: Operation) -> Self {
        Self(self.0 | 1 << operation as u8)
    }

    /// Whether it is in the set.
    pub fn contains(self, operation: Operation) -> bool {
        self.0 & 1 << operation as u8 != 0
    }
}
