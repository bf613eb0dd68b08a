use std::fmt::Write;

use super::parse;
use crate::catalog::{
    Access, Allow, Catalog, Datum, DefaultValue, Diagnostics, FieldType, Format, OnDelete, Operation, Resource, Scalar,
    filter::{CompareOp, Filter, RuleValue, Test},
};

const SHIPPED: &str = include_str!("../../../../resources.graphql");

/// Compares all that is said of a file, one problem a line.
fn check(source: &str, expected: &str) {
    assert_eq!(said(source), expected, "{source}");
}

fn said(source: &str) -> String {
    let mut out = String::new();
    if let Err(diagnostics) = parse("resources.graphql", source) {
        for d in diagnostics.iter() {
            let help = d.help.as_ref().map_or(String::new(), |help| format!(" ({help})"));
            let line = if d.line > 1 { format!("{}:", d.line) } else { String::new() };
            writeln!(out, "    {line}{}: {}{help}", d.column, d.message).unwrap();
        }
    }
    out
}

fn refused(source: &str) -> Diagnostics {
    parse("resources.graphql", source).expect_err("this file is wrong")
}

fn accepted(source: &str) -> Catalog {
    parse("resources.graphql", source).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

#[test]
fn says_what_is_wrong() {
    let table = include_str!("tests/refused.txt");
    let cases: Vec<_> = table.split("\n\n").skip(1).collect();
    assert!(cases.len() > 150);
    for case in cases {
        let (source, expected) = case.split_once('\n').expect("a file, and below it what is said");
        check(source, &format!("{}\n", expected.trim_end()));
    }
}

#[test]
fn a_shop_with_many_mistakes() {
    assert_eq!(refused(include_str!("tests/shop.graphql")).to_string(), include_str!("tests/shop.txt").trim_end());
}

#[test]
fn a_blog_with_other_mistakes() {
    assert_eq!(refused(include_str!("tests/blog.graphql")).to_string(), include_str!("tests/blog.txt").trim_end());
}

#[test]
fn a_syntax_error_looks_like_the_others() {
    let rendered = refused("type A @resource {\r\n  a Int\r\n}\r\n").to_string();
    let expected = "\
error: unexpected `Int`, expected `:`
 --> resources.graphql:2:5
  |
2 |   a Int
  |     ^^^

resources.graphql: 1 error";
    assert_eq!(rendered, expected);
}

#[test]
fn an_empty_file_is_refused() {
    check("", "    1: the file is empty; it must declare a type with @resource\n");
    check("# nothing\n", "    1: the file is empty; it must declare a type with @resource\n");
}

#[test]
fn everything_is_bounded() {
    let types = |n: usize| {
        let name = |mut i: usize| {
            let mut name = String::from("T");
            while i > 0 {
                name.push(char::from(b'a' + (i % 26) as u8));
                i /= 26;
            }
            name + "xyz"
        };
        (0..n).map(|i| format!("type {} @resource {{ a: Int }} ", name(i))).collect::<String>()
    };
    accepted(&types(200));
    assert!(said(&types(201)).contains("a file has at most 200 resources"));
    let fields = |n: usize| (0..n).map(|i| format!("f{i}: Int ")).collect::<String>();
    accepted(&format!("type A @resource {{ {} }}", fields(80)));
    assert!(said(&format!("type A @resource {{ {} }}", fields(81))).contains("a resource has at most 80 fields"));
    let values = (0..501).map(|i| format!("V{i} ")).collect::<String>();
    assert!(said(&format!("enum E {{ {values} }}")).contains("an enum has at most 500 values"));
    check(&" ".repeat(5 << 20), "    1: the file has more than 4 MiB\n");
    let deep =
        format!("type A @resource {{ a: JSON @default(value: {}1{}) }}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(said(&deep).contains("nested more than 48 brackets deep"));
}

#[test]
fn texts_are_read_as_graphql_says() {
    let catalog = accepted(
        r#"
        """
        A thing.

          Indented, with \""" inside.
        """
        type Thing @resource {
          "One \"line\", \u00e4."
          a: String @default(value: "tab\tand \\") @constraint(pattern: """^[^\d]+$""")
          b: JSON @default(value: { list: [1, 2.5, "x"], nothing: null })
        }"#,
    );
    let thing = catalog.resource(catalog.find("Thing").unwrap());
    assert_eq!(thing.description.as_deref(), Some("A thing.\n\n  Indented, with \"\"\" inside."));
    let (a, b) = (thing.field(thing.find("a").unwrap()), thing.field(thing.find("b").unwrap()));
    assert_eq!(a.description.as_deref(), Some("One \"line\", ä."));
    assert_eq!(a.default, Some(DefaultValue::Literal(Datum::Text("tab\tand \\".to_owned()))));
    assert_eq!(a.constraint.pattern.as_ref().unwrap().as_str(), r"^[^\d]+$");
    let json = serde_json::json!({ "list": [1, 2.5, "x"], "nothing": null });
    assert_eq!(b.default, Some(DefaultValue::Literal(Datum::Json(Box::new(json)))));
}

#[test]
fn numbers_lose_no_digit() {
    let catalog = accepted(
        "type A @resource {
           big: BigInt @default(value: 9223372036854775807)
           exact: Decimal @decimal(precision: 18, scale: 18) @constraint(max: 0.123456789012345678)
         }",
    );
    let a = catalog.resource(catalog.find("A").unwrap());
    assert_eq!(a.fields[1].default, Some(DefaultValue::Literal(Datum::Int(i64::MAX))));
    assert_eq!(a.fields[2].constraint.max, Some(Datum::Decimal(123_456_789_012_345_678)));
}

#[test]
fn what_is_allowed() {
    for source in [
        // A required private field that an owner's create fills in.
        r#"type A @resource @auth(rules: [{ allow: OWNER, ownerField: "by" }]) { by: ID! @private }"#,
        // Rights that pass through two types; a tree; a type that lives two levels down.
        r#"type A @resource { bs: [B!]! @inverse(field: "a") parent: A @relation(onDelete: SET_NULL) }
           type B @resource(root: false) @auth(inherit: "a") { a: A! cs: [C!]! @inverse(field: "b") }
           type C @resource(root: false) @auth(inherit: "b") { b: B! @relation(onDelete: CASCADE) }"#,
        // Several keys, and rules of a field.
        r#"type A @resource @unique(fields: ["a", "b"]) @unique(fields: ["b", "a"]) @index(fields: ["b"]) {
             a: Int! b: String @auth(rules: [{ allow: WHERE, filter: { a: { eq: 1 } }, operations: READ }]) }"#,
        r#"type A @resource @renamedFrom(name: "Old") { a: [E!]! @default(value: [X]) @renamedFrom(name: "old") } enum E { X }"#,
    ] {
        accepted(source);
    }
}

#[test]
fn the_shipped_file() {
    let catalog = accepted(SHIPPED);
    let names: Vec<_> =
        catalog.resources().map(|(_, r)| (r.name.as_str(), r.plural.as_str(), r.prefix.as_str(), r.root)).collect();
    assert_eq!(
        names,
        [
            ("Customer", "customers", "customer", true),
            ("Product", "products", "product", true),
            ("Order", "orders", "order", true),
            ("OrderLine", "orderLines", "order_line", false),
        ]
    );
    let resource = |name: &str| catalog.resource(catalog.find(name).unwrap());
    let (customer, product, order, line) =
        (resource("Customer"), resource("Product"), resource("Order"), resource("OrderLine"));
    let field = |of: &'_ Resource, name: &str| of.find(name).unwrap();

    let user_id = customer.field(field(customer, "userId"));
    assert!(user_id.private && !user_id.nullable);
    assert_eq!(user_id.column, "user_id");
    assert_eq!(user_id.description.as_deref(), Some("The `sub` of the person's token."));
    assert_eq!(user_id.default, Some(DefaultValue::Claim("sub".to_owned())));
    let email = &customer.field(field(customer, "email")).constraint;
    assert_eq!((email.format, email.max_length), (Some(Format::Email), Some(254)));
    let Access::Rules(rules) = &customer.access else { panic!("rules of its own") };
    assert!(matches!(rules[0].allow, Allow::Owner(id) if id == field(customer, "userId")));
    assert!(rules[0].operations.contains(Operation::Delete));
    assert!(matches!(&rules[1].allow, Allow::Role(roles) if roles == &["support"]));
    assert!(rules[1].operations.contains(Operation::Read) && !rules[1].operations.contains(Operation::Update));
    let orders = &customer.field(field(customer, "orders")).ty;
    let order_id = catalog.find("Order").unwrap();
    assert_eq!(*orders, FieldType::ToMany { target: order_id, via: field(order, "customer") });

    assert_eq!(product.search, [field(product, "sku"), field(product, "name")]);
    assert_eq!(product.unique_keys.len(), 1);
    assert_eq!(
        product.field(field(product, "price")).ty,
        FieldType::Scalar(Scalar::Decimal { precision: 12, scale: 2 })
    );
    assert_eq!(product.field(field(product, "tags")).ty, FieldType::ScalarList(Scalar::String));
    assert_eq!(product.field(field(product, "tags")).default, Some(DefaultValue::Literal(Datum::List(Vec::new()))));
    assert_eq!(product.field(field(product, "stock")).default, Some(DefaultValue::Literal(Datum::Int(0))));
    assert_eq!(product.field(field(product, "cost")).rules.as_ref().map(Vec::len), Some(1));

    assert_eq!(order.indexes[0].fields, [field(order, "customer"), order.created_at()]);
    let number = order.field(field(order, "number"));
    assert!(number.read_only && number.default == Some(DefaultValue::Sequence));
    let status = order.field(field(order, "status"));
    assert_eq!(status.default, Some(DefaultValue::Literal(Datum::Text("DRAFT".to_owned()))));
    let FieldType::Enum(id) = status.ty else { panic!("an enum") };
    assert_eq!(catalog.enum_type(id).values.len(), 5);
    assert!(order.field(field(order, "customer")).write_once);
    let Access::Rules(rules) = &order.access else { panic!("rules of its own") };
    let Allow::Where(filter) = &rules[0].allow else { panic!("a filter") };
    let is_sub = Test::Compare(CompareOp::Eq, RuleValue::Claim { path: "sub".to_owned() });
    let owned = Filter::Field(field(customer, "userId"), is_sub);
    assert_eq!(**filter, Filter::Related(field(order, "customer"), Box::new(owned)));

    assert!(matches!(line.access, Access::Inherit(id) if id == field(line, "order")));
    assert_eq!(line.unique_keys[0].fields, [field(line, "order"), field(line, "product")]);
    let to_order = line.field(field(line, "order"));
    assert_eq!(to_order.column, "order_id");
    assert_eq!(to_order.ty, FieldType::ToOne { target: order_id, on_delete: OnDelete::Cascade });
    assert_eq!((line.version(), line.is_system(line.version())), (field(line, "version"), true));
}

mod mutated {
    use proptest::prelude::*;

    use super::{SHIPPED, parse};

    /// What to put in: tokens that mean something somewhere, and some that mean nothing.
    const PIECES: &[&str] = &[
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "!",
        ":",
        "@",
        "$",
        "\"",
        "\"\"\"",
        "\\",
        "#",
        "\n",
        "\r",
        "\t",
        "\u{feff}",
        "é",
        "\0",
        "-",
        "1e9",
        "0",
        "null",
        "true",
        "type",
        "enum",
        "extend",
        "@resource",
        "@auth(inherit: \"order\")",
        "@inverse(field: \"order\")",
        "[Order!]!",
        "Customer",
        "String",
        "{ eq: 1 }",
        "{ and: [] }",
        "@default(value: ",
    ];

    fn boundary(at: usize) -> usize {
        (0..=at % (SHIPPED.len() + 1)).rev().find(|i| SHIPPED.is_char_boundary(*i)).unwrap_or_default()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever happens to the file, there is a catalog or a report that can be shown.
        #[test]
        fn files_never_panic(
            edits in prop::collection::vec((any::<usize>(), 0_usize..40, prop::sample::select(PIECES)), 1..4)
        ) {
            let mut source = SHIPPED.to_owned();
            for (at, removed, piece) in edits {
                let start = (0..=boundary(at).min(source.len())).rev().find(|i| source.is_char_boundary(*i)).unwrap_or(0);
                let end = (start + removed).min(source.len());
                let end = (end..=source.len()).find(|i| source.is_char_boundary(*i)).unwrap_or(source.len());
                source.replace_range(start..end, piece);
            }
            if let Err(diagnostics) = parse("mutated.graphql", &source) {
                prop_assert!(diagnostics.count() > 0);
                prop_assert!(diagnostics.to_string().contains("--> mutated.graphql:"));
            }
        }

        /// Nor does a file of nothing but pieces.
        #[test]
        fn rubbish_never_panics(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60)) {
            if let Err(diagnostics) = parse("rubbish.graphql", &pieces.join(" ")) {
                prop_assert!(!diagnostics.to_string().is_empty());
            }
        }
    }

    /// Every file that ends early, at each of its characters.
    #[test]
    fn cut_files_never_panic() {
        for (end, _) in SHIPPED.char_indices().step_by(3) {
            if let Err(diagnostics) = parse("cut.graphql", &SHIPPED[..end]) {
                assert!(!diagnostics.to_string().is_empty());
            }
        }
    }
}
