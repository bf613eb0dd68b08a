//! Which fields are selected.

use serde_json::json;

use super::*;

/// The selected fields as text, with those of objects as if every object were of this type.
fn collect(query: &str, variables: Value, concrete: &str) -> String {
    fn write(operation: &Operation<'_>, fields: &[Selected<'_>], concrete: &str) -> String {
        let one = |field: &Selected<'_>| {
            let below = operation.sub_fields(field, concrete);
            let name =
                if field.key == field.name { field.key.to_owned() } else { format!("{}:{}", field.key, field.name) };
            let count = if field.fields.len() > 1 { format!("*{}", field.fields.len()) } else { String::new() };
            let below = if below.is_empty() { String::new() } else { write(operation, &below, concrete) };
            format!("{name}{count}{below}")
        };
        format!("{{{}}}", fields.iter().map(one).collect::<Vec<_>>().join(" "))
    }
    let documents = documents();
    let prepared = documents.prepare(query).unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    let operation = Operation::new(&documents, &prepared, None, &object(variables)).unwrap();
    write(&operation, &operation.root_fields(), concrete)
}

#[test]
fn fields_are_merged_by_response_key_in_order() {
    let query =
        "{ cat { id a: name } node { id } ...F cat { lives id } x: cat { id } } fragment F on Query { cat { name } }";
    assert_eq!(collect(query, json!({}), "Cat"), "{cat*3{id*2 a:name name lives} node{id} x:cat{id}}");
}

#[test]
fn fragments_apply_to_their_types() {
    let query =
        "{ node { id ... on Cat { lives } ... on Dog { barks } ... on Named { name } ... { __typename } ...C ...C }
        pet { ... on Node { id } ...C ... on Dog { barks } } }
        fragment C on Cat { name friend { ...D } } fragment D on Node { id ... on Dog { barks } }";
    let cat = "{node{id lives name*2 __typename friend{id}} pet{id name friend{id}}}";
    assert_eq!(collect(query, json!({}), "Cat"), cat);
    assert_eq!(collect(query, json!({}), "Dog"), "{node{id barks __typename} pet{id barks}}");
}

#[test]
fn skip_and_include() {
    let query = "query ($yes: Boolean!, $no: Boolean = false) {
        a: cat @skip(if: true) { id } b: cat @include(if: false) { id }
        c: cat @skip(if: $no) { id @include(if: $yes) name @skip(if: $yes) }
        d: cat @include(if: $yes) @skip(if: $yes) { id }
        ... @include(if: $no) { e: cat { id } } ...F @skip(if: $yes) ... on Query @include(if: $yes) { g: cat { id } }
        ...F @include(if: $yes) }
        fragment F on Query { f: cat { id } }";
    assert_eq!(collect(query, json!({"yes": true}), "Cat"), "{c:cat{id} g:cat{id} f:cat{id}}");
    assert_eq!(collect(query, json!({"yes": false, "no": true}), "Cat"), "{e:cat{id} f:cat{id}}");
}

#[test]
fn null_is_no_condition() {
    let documents = documents();
    let query = "query ($no: Boolean = false) {\n  cat { id @skip(if: $no) } }";
    let prepared = documents.prepare(query).unwrap();
    let errors = Operation::new(&documents, &prepared, None, &object(json!({"no": null}))).unwrap_err();
    let expected = "BAD_USER_INPUT 2:12 Argument \"if\" of non-null type \"Boolean!\" must not be null.";
    assert_eq!(lines(&errors), expected);
}

#[test]
fn kinds_and_places() {
    let documents = documents();
    let text = "query Q { cat { id } } mutation M { write } subscription S {\r\n\tä: follow { id } }";
    let text = text.replace("ä", "a");
    let prepared = documents.prepare(&text).unwrap();
    for (name, kind, place) in [
        ("Q", OperationKind::Query, (1, 11)),
        ("M", OperationKind::Mutation, (1, 37)),
        ("S", OperationKind::Subscription, (2, 2)),
    ] {
        let operation = Operation::new(&documents, &prepared, Some(name), &Map::new()).unwrap();
        let Location { line, column } = operation.root_fields()[0].location();
        assert_eq!((operation.kind(), (line, column)), (kind, place), "{name}");
    }
}
