//! Catalogs for tests, by hand.

use crate::catalog::{
    Access, Catalog, Constraint, Datum, DefaultValue, EnumId, EnumType, EnumValue, Field, FieldId, FieldType, Key,
    OnDelete, Resource, ResourceId, Scalar,
};

pub(in super::super) const STRING: FieldType = FieldType::Scalar(Scalar::String);
pub(in super::super) const INT: FieldType = FieldType::Scalar(Scalar::Int);
pub(in super::super) const BIG_INT: FieldType = FieldType::Scalar(Scalar::BigInt);
pub(in super::super) const STATUS: FieldType = FieldType::Enum(EnumId(0));

pub(in super::super) fn decimal(precision: u8) -> FieldType {
    FieldType::Scalar(Scalar::Decimal { precision, scale: 2 })
}

pub(in super::super) fn to_one(target: u16) -> FieldType {
    FieldType::ToOne { target: ResourceId(target), on_delete: OnDelete::Restrict }
}

/// Required, and nothing else.
pub(in super::super) fn field(name: &str, ty: FieldType) -> Field {
    let id = if matches!(ty, FieldType::ToOne { .. }) { "_id" } else { "" };
    Field {
        name: name.to_owned(),
        column: snake_case(name) + id,
        description: None,
        ty,
        nullable: false,
        default: None,
        constraint: Constraint::default(),
        private: false,
        read_only: false,
        write_once: false,
        rules: None,
        renamed_from: None,
    }
}

pub(in super::super) fn optional(name: &str, ty: FieldType) -> Field {
    Field { nullable: true, ..field(name, ty) }
}

pub(in super::super) fn with_default(name: &str, ty: FieldType, value: Datum) -> Field {
    Field { default: Some(DefaultValue::Literal(value)), ..field(name, ty) }
}

pub(in super::super) fn resource(name: &str, fields: Vec<Field>) -> Resource {
    let instant = || FieldType::Scalar(Scalar::DateTime);
    let last = [field("createdAt", instant()), field("updatedAt", instant()), field("version", INT)];
    let id = field("id", FieldType::RowId);
    Resource {
        name: name.to_owned(),
        singular: name.to_owned(),
        plural: format!("{name}s"),
        prefix: snake_case(name),
        description: None,
        root: true,
        fields: std::iter::once(id).chain(fields).chain(last).collect(),
        unique_keys: Vec::new(),
        indexes: Vec::new(),
        search: Vec::new(),
        access: Access::Rules(Vec::new()),
        renamed_from: None,
    }
}

/// Of fields of the resource by name.
pub(in super::super) fn key(resource: &Resource, fields: &[&str]) -> Key {
    Key { fields: fields.iter().map(|name| resource.find(name).unwrap()).collect() }
}

pub(in super::super) fn unique(mut resource: Resource, fields: &[&str]) -> Resource {
    resource.unique_keys.push(key(&resource, fields));
    resource
}

pub(in super::super) fn indexed(mut resource: Resource, fields: &[&str]) -> Resource {
    resource.indexes.push(key(&resource, fields));
    resource
}

pub(in super::super) fn status(values: &[&str]) -> EnumType {
    enum_type("Status", values)
}

pub(in super::super) fn enum_type(name: &str, values: &[&str]) -> EnumType {
    let values = values.iter().map(|v| EnumValue { name: (*v).to_owned(), description: None, renamed_from: None });
    EnumType { name: name.to_owned(), description: None, values: values.collect() }
}

/// One resource `Item` with these fields, and the enum `Status` of OPEN and DONE.
pub(in super::super) fn items(fields: Vec<Field>) -> Catalog {
    Catalog::new(vec![resource("Item", fields)], vec![status(&["OPEN", "DONE"])])
}

/// The store that the project ships.
pub(in super::super) fn shop() -> Catalog {
    let (customer, product, order, line) = (0, 1, 2, 3);
    let list = |target, via| FieldType::ToMany { target: ResourceId(target), via: FieldId(via) };
    let sequence = Field { default: Some(DefaultValue::Sequence), ..field("number", BIG_INT) };
    let sub = Field { default: Some(DefaultValue::Claim("sub".to_owned())), ..field("userId", STRING) };
    let customers = resource(
        "Customer",
        vec![sub, field("email", STRING), optional("name", STRING), field("orders", list(order, 4))],
    );
    let products = resource(
        "Product",
        vec![
            field("sku", STRING),
            field("name", STRING),
            field("price", decimal(12)),
            with_default("stock", INT, Datum::Int(0)),
            with_default("tags", FieldType::ScalarList(Scalar::String), Datum::List(Vec::new())),
            optional("cost", decimal(12)),
            field("orderLines", list(line, 2)),
        ],
    );
    let orders = resource(
        "Order",
        vec![
            sequence,
            with_default("status", STATUS, Datum::Text("DRAFT".to_owned())),
            optional("note", STRING),
            field("customer", to_one(customer)),
            field("lines", list(line, 1)),
        ],
    );
    let lines = resource(
        "OrderLine",
        vec![
            field("order", to_one(order)),
            field("product", to_one(product)),
            field("quantity", INT),
            field("unitPrice", decimal(12)),
        ],
    );
    Catalog::new(
        vec![
            unique(unique(customers, &["userId"]), &["email"]),
            unique(products, &["sku"]),
            indexed(unique(orders, &["number"]), &["customer", "createdAt"]),
            unique(lines, &["order", "product"]),
        ],
        vec![enum_type("OrderStatus", &["DRAFT", "PLACED", "PAID", "SHIPPED", "CANCELLED"])],
    )
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
