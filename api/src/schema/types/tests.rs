//! What the generated types look like, and that other tools accept them.

use std::collections::HashSet;

use apollo_compiler::Schema;
use apollo_compiler::schema::ExtendedType;

use super::names::{by_keys, is_required_on_create, owned_lists, to_one_is_nullable};
use super::*;
use crate::catalog::{
    Access, Allow, Constraint, Datum, DefaultValue, EnumId, EnumType, EnumValue, Field, FieldId, Key, OnDelete,
    Operation, Operations, Resource, Rule, Scalar,
};

const CUSTOMER: ResourceId = ResourceId(0);
const PRODUCT: ResourceId = ResourceId(1);
const ORDER: ResourceId = ResourceId(2);
const LINE: ResourceId = ResourceId(3);

fn field(name: &str, ty: FieldType) -> Field {
    Field {
        name: name.to_owned(),
        column: if matches!(ty, FieldType::ToMany { .. }) { String::new() } else { name.to_owned() },
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

fn scalar(name: &str, scalar: Scalar) -> Field {
    field(name, FieldType::Scalar(scalar))
}

fn to_one(name: &str, target: ResourceId) -> Field {
    field(name, FieldType::ToOne { target, on_delete: OnDelete::Restrict })
}

fn to_many(name: &str, target: ResourceId, via: u16) -> Field {
    field(name, FieldType::ToMany { target, via: FieldId(via) })
}

fn resource(name: &str, singular: &str, prefix: &str, access: Access, declared: Vec<Field>) -> Resource {
    let mut fields = vec![field("id", FieldType::RowId)];
    fields.extend(declared);
    fields.push(scalar("createdAt", Scalar::DateTime));
    fields.push(scalar("updatedAt", Scalar::DateTime));
    fields.push(scalar("version", Scalar::Int));
    Resource {
        name: name.to_owned(),
        singular: singular.to_owned(),
        plural: format!("{singular}s"),
        prefix: prefix.to_owned(),
        description: None,
        root: true,
        fields,
        unique_keys: Vec::new(),
        indexes: Vec::new(),
        search: Vec::new(),
        access,
        renamed_from: None,
    }
}

fn rule(allow: Allow) -> Access {
    Access::Rules(vec![Rule { allow, operations: Operations::NONE.with(Operation::Read) }])
}

pub(crate) fn shop() -> Catalog {
    changed_shop(|_| {})
}

/// A small shop in the shape of the one that the project ships, with one field of every type on its product.
fn changed_shop(change: impl FnOnce(&mut [Resource])) -> Catalog {
    let decimal = Scalar::Decimal { precision: 12, scale: 2 };
    let mut customer = resource(
        "Customer",
        "customer",
        "customer",
        rule(Allow::Owner(FieldId(1))),
        vec![
            Field { private: true, ..scalar("userId", Scalar::String) },
            scalar("email", Scalar::String),
            to_many("orders", ORDER, 2),
        ],
    );
    customer.unique_keys = vec![Key { fields: vec![FieldId(1)] }, Key { fields: vec![FieldId(2)] }];
    let product = resource(
        "Product",
        "product",
        "product",
        rule(Allow::Public),
        vec![
            Field {
                description: Some("Stock keeping unit, with \"\"\"quotes\"\"\"".to_owned()),
                constraint: Constraint {
                    min_length: Some(1),
                    max_length: Some(9),
                    pattern: Some(regex::Regex::new(r"^\w+$").unwrap()),
                    ..Constraint::default()
                },
                ..scalar("sku", Scalar::String)
            },
            Field {
                constraint: Constraint { min: Some(Datum::Decimal(0)), ..Constraint::default() },
                ..scalar("price", decimal)
            },
            Field { default: Some(DefaultValue::Literal(Datum::Int(0))), ..scalar("stock", Scalar::Int) },
            Field { rules: Some(Vec::new()), nullable: true, ..scalar("cost", decimal) },
            field("tags", FieldType::ScalarList(Scalar::String)),
            field("flags", FieldType::EnumList(EnumId(0))),
            Field { nullable: true, ..scalar("weight", Scalar::Float) },
            Field { nullable: true, ..scalar("active", Scalar::Boolean) },
            Field { nullable: true, ..scalar("external", Scalar::Id) },
            Field { nullable: true, ..scalar("released", Scalar::Date) },
            Field { nullable: true, ..scalar("batch", Scalar::Uuid) },
            Field { nullable: true, ..scalar("extra", Scalar::Json) },
            Field { nullable: true, ..field("extras", FieldType::ScalarList(Scalar::Json)) },
        ],
    );
    let mut order = resource(
        "Order",
        "order",
        "order",
        rule(Allow::Authenticated),
        vec![
            Field { default: Some(DefaultValue::Sequence), read_only: true, ..scalar("number", Scalar::BigInt) },
            Field { write_once: true, ..to_one("customer", CUSTOMER) },
            Field {
                default: Some(DefaultValue::Literal(Datum::Text("OPEN".to_owned()))),
                ..field("status", FieldType::Enum(EnumId(0)))
            },
            to_many("lines", LINE, 1),
        ],
    );
    order.unique_keys = vec![Key { fields: vec![FieldId(1)] }];
    let mut line = resource(
        "OrderLine",
        "orderLine",
        "order_line",
        Access::Inherit(FieldId(1)),
        vec![
            Field { write_once: true, ..to_one("order", ORDER) },
            to_one("product", PRODUCT),
            scalar("quantity", Scalar::Int),
        ],
    );
    line.root = false;
    line.unique_keys = vec![Key { fields: vec![FieldId(1), FieldId(2)] }];
    let value = |name: &str| EnumValue { name: name.to_owned(), description: None, renamed_from: None };
    let enums = [("OrderStatus", ["OPEN", "ON_HOLD"]), ("Unused", ["A", "B"])];
    let enums = enums.map(|(name, values)| EnumType {
        name: name.to_owned(),
        description: None,
        values: values.map(value).to_vec(),
    });
    let mut resources = vec![customer, product, order, line];
    change(&mut resources);
    Catalog::new(resources, enums.to_vec())
}

fn sdl(catalog: &Catalog) -> String {
    build(catalog).unwrap().sdl
}

fn parsed(catalog: &Catalog) -> Schema {
    Schema::parse_and_validate(sdl(catalog), "schema.graphql").unwrap().into_inner()
}

/// The definition with this first line, without descriptions and indentation.
fn definition(sdl: &str, head: &str) -> String {
    let document = apollo_compiler::ast::Document::parse(sdl, "schema.graphql").unwrap();
    let printed = document.to_string();
    let mut lines = Vec::new();
    let mut in_description = false;
    for line in printed.lines().skip_while(|line| !line.starts_with(head)) {
        let quotes = line.matches("\"\"\"").count();
        if quotes > 0 {
            in_description ^= quotes % 2 == 1;
        } else if !in_description {
            lines.push(line.trim());
        }
        if line == "}" {
            break;
        }
    }
    lines.join("\n")
}

#[track_caller]
fn check(sdl: &str, head: &str, expected: &[&str]) {
    let actual = definition(sdl, head);
    for line in expected {
        assert!(actual.lines().any(|l| l == *line), "{line:?} is not in\n{actual}");
    }
}

#[test]
fn the_sdl_is_valid_and_everything_is_described() {
    let schema = parsed(&shop());
    let mut missing = Vec::new();
    for (name, ty) in schema.types.iter().filter(|(_, ty)| !ty.is_built_in()) {
        let mut note = |described: bool, path: String| {
            if !described {
                missing.push(path);
            }
        };
        note(ty.description().is_some(), name.to_string());
        let fields = match ty {
            ExtendedType::Object(ty) => &ty.fields,
            ExtendedType::Interface(ty) => &ty.fields,
            ExtendedType::Enum(ty) => {
                ty.values.values().for_each(|v| note(v.description.is_some(), format!("{name}.{}", v.value)));
                continue;
            }
            ExtendedType::InputObject(ty) => {
                ty.fields.values().for_each(|f| note(f.description.is_some(), format!("{name}.{}", f.name)));
                continue;
            }
            ExtendedType::Scalar(_) | ExtendedType::Union(_) => continue,
        };
        for field in fields.values() {
            note(field.description.is_some(), format!("{name}.{}", field.name));
            let arguments = field.arguments.iter();
            arguments.for_each(|a| note(a.description.is_some(), format!("{name}.{}({})", field.name, a.name)));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_type_can_be_reached() {
    let schema = parsed(&shop());
    let mut reached: HashSet<String> = HashSet::new();
    let mut waiting: Vec<String> = [QUERY, MUTATION, SUBSCRIPTION].map(str::to_owned).to_vec();
    while let Some(name) = waiting.pop() {
        if !reached.insert(name.clone()) {
            continue;
        }
        match &schema.types[name.as_str()] {
            ExtendedType::Object(ty) => waiting.extend(ty.fields.values().flat_map(|f| referenced(f.as_ref()))),
            ExtendedType::Interface(ty) => {
                waiting.extend(ty.fields.values().flat_map(|f| referenced(f.as_ref())));
                let implementers = schema.types.iter().filter_map(|(n, t)| Some((n, t.as_object()?)));
                let implementers = implementers.filter(|(_, t)| t.implements_interfaces.contains(name.as_str()));
                waiting.extend(implementers.map(|(n, _)| n.to_string()));
            }
            ExtendedType::InputObject(ty) => {
                waiting.extend(ty.fields.values().map(|f| f.ty.inner_named_type().to_string()));
            }
            ExtendedType::Scalar(_) | ExtendedType::Enum(_) | ExtendedType::Union(_) => {}
        }
    }
    let own = schema.types.iter().filter(|(_, ty)| !ty.is_built_in()).map(|(name, _)| name.to_string());
    assert_eq!(own.filter(|name| !reached.contains(name)).collect::<Vec<_>>(), Vec::<String>::new());
    assert!(!reached.contains("Unused"));
}

fn referenced(field: &apollo_compiler::ast::FieldDefinition) -> Vec<String> {
    let arguments = field.arguments.iter().map(|argument| argument.ty.inner_named_type());
    arguments.chain([field.ty.inner_named_type()]).map(ToString::to_string).collect()
}

#[test]
fn objects_hide_what_is_private_and_open_what_may_be_hidden() {
    let sdl = sdl(&shop());
    check(&sdl, "type Customer implements Node {", &["id: ID!", "email: String!", "createdAt: DateTime!"]);
    assert!(!sdl.contains("userId"), "a private field is in the API");
    check(&sdl, "type Product implements Node {", &["price: Decimal!", "cost: Decimal", "flags: [OrderStatus!]!"]);
    check(&sdl, "type Order implements Node {", &["customer: Customer", "number: BigInt!"]);
    check(&sdl, "type OrderLine implements Node {", &["order: Order!", "product: Product!"]);
    check(&sdl, "type OrderLineSnapshot {", &["orderId: ID!", "productId: ID!", "version: Int!"]);
    check(&sdl, "type OrderLineChange implements Change {", &["after: OrderLine", "before: OrderLineSnapshot"]);
    assert!(!sdl.contains("orderLineChanged"), "a resource that is no root has root fields");
}

#[test]
fn nullability_of_a_related_row_follows_the_access_rules() {
    let catalog = shop();
    assert!(to_one_is_nullable(&catalog, ORDER, FieldId(2)), "only the owner sees the customer");
    assert!(!to_one_is_nullable(&catalog, LINE, FieldId(1)), "the order decides");
    assert!(!to_one_is_nullable(&catalog, LINE, FieldId(2)), "everybody sees products");
    let catalog = changed_shop(|resources| resources[1].access = rule(Allow::Authenticated));
    assert!(to_one_is_nullable(&catalog, LINE, FieldId(2)));
    let catalog = changed_shop(|resources| resources[3].fields[1].nullable = true);
    assert!(to_one_is_nullable(&catalog, LINE, FieldId(1)));
}

#[test]
fn creates_ask_for_what_nothing_fills_in() {
    let catalog = shop();
    let sdl = sdl(&catalog);
    check(&sdl, "input CreateProductInput {", &["sku: String!", "stock: Int", "cost: Decimal", "tags: [String!]!"]);
    let order = ["customerId: ID!", "status: OrderStatus", "lines: OrderLinesInput", "clientMutationId: String"];
    check(&sdl, "input CreateOrderInput {", &order);
    check(&sdl, "input OrderLinesInput {", &["create: [OrderLinesCreateInput!]!"]);
    let line = definition(&sdl, "input OrderLinesCreateInput {");
    assert_eq!(line, "input OrderLinesCreateInput {\nproductId: ID!\nquantity: Int!\n}");
    assert!(!is_required_on_create(catalog.resource(CUSTOMER), FieldId(1)), "the owner is filled in");
    assert!(owned_lists(&catalog, CUSTOMER).is_empty(), "orders are created by themselves");
    assert_eq!(owned_lists(&catalog, ORDER).len(), 1);
}

#[test]
fn patches_leave_out_what_cannot_change() {
    let sdl = sdl(&shop());
    assert_eq!(definition(&sdl, "input OrderPatch {"), "input OrderPatch {\nstatus: OrderStatus\n}");
    let input = ["id: ID!", "patch: OrderPatch!", "ifVersion: Int", "clientMutationId: String"];
    check(&sdl, "input UpdateOrderInput {", &input);
    check(&sdl, "type DeleteOrderPayload {", &["deletedOrderId: ID", "order: Order", "change: OrderChange"]);
    let fixed = changed_shop(|resources| resources[2].fields[3].read_only = true);
    let sdl = self::sdl(&fixed);
    assert!(!sdl.contains("updateOrder(") && !sdl.contains("OrderPatch"), "an update that could change nothing");
}

#[test]
fn keys_filters_and_orders_use_the_names_of_columns() {
    let catalog = shop();
    let sdl = sdl(&catalog);
    assert_eq!(definition(&sdl, "input CustomerBy @oneOf {"), "input CustomerBy @oneOf {\nid: ID\nemail: String\n}");
    let key = by_keys(&catalog, LINE).pop().unwrap();
    assert_eq!((key.name.as_str(), key.input_type.as_deref()), ("orderAndProduct", Some("OrderLineByOrderAndProduct")));
    assert_eq!(key.fields, [(FieldId(1), "orderId".to_owned()), (FieldId(2), "productId".to_owned())]);
    let filter = ["and: [OrderFilter!]", "customer: CustomerFilter", "customerId: NodeIDFilter", "id: NodeIDFilter"];
    check(&sdl, "input OrderFilter {", &filter);
    check(&sdl, "input OrderFilter {", &["status: OrderStatusFilter", "number: BigIntFilter"]);
    check(&sdl, "input ProductFilter {", &["tags: StringListFilter", "extras: JSONListFilter", "extra: JSONFilter"]);
    assert_eq!(definition(&sdl, "input JSONFilter {"), "input JSONFilter {\nisNull: Boolean\n}");
    check(&sdl, "input OrderOrder @oneOf {", &["customer: CustomerOrder", "number: OrderDirection"]);
    assert!(!definition(&sdl, "input ProductOrder @oneOf {").contains("tags"));
}

#[test]
fn descriptions_say_what_the_file_demands() {
    let sdl = sdl(&shop());
    assert!(sdl.contains(r#"Stock keeping unit, with \"""quotes\"""."#), "a description must be printed as it is");
    assert!(sdl.contains("1 to 9 characters. Matches `^\\w+$`."), "{}", definition(&sdl, "input CreateProductInput {"));
    assert!(sdl.contains("At least 0.00."));
    assert!(sdl.contains("Default: `0`."));
}

#[test]
fn names_that_come_twice_are_all_reported() {
    let catalog = changed_shop(|resources| {
        resources[0].name = "Change".to_owned();
        resources[1].singular = "order".to_owned();
    });
    let Err(Error::Conflicts(problems)) = build(&catalog) else { panic!("the conflicts went unnoticed") };
    assert!(problems.iter().any(|p| p.contains("two types with the name Change")), "{problems:?}");
    assert!(problems.iter().any(|p| p.contains("Query") && p.contains("order")), "{problems:?}");
}

#[test]
fn the_order_depends_on_the_catalog_alone() {
    let first = sdl(&shop());
    assert_eq!(first, sdl(&shop()));
    assert!(first.starts_with("\"\"\"What can be read.\"\"\"\ntype Query {"), "{}", &first[..80]);
}
