//! Introspection of the API of a catalog.

use serde_json::json;

use super::*;
use crate::schema::{Request, Response, types};

/// What `getIntrospectionQuery` of graphql-js gives with all its options.
const GRAPHQL_JS: &str = "
    query IntrospectionQuery {
      __schema {
        description
        queryType { name kind }
        mutationType { name kind }
        subscriptionType { name kind }
        types { ...FullType }
        directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } }
      }
    }
    fragment FullType on __Type {
      kind name description specifiedByURL isOneOf
      fields(includeDeprecated: true) {
        name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated
        deprecationReason
      }
      inputFields(includeDeprecated: true) { ...InputValue }
      interfaces { ...TypeRef }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
      possibleTypes { ...TypeRef }
    }
    fragment InputValue on __InputValue {
      name description type { ...TypeRef } defaultValue isDeprecated deprecationReason
    }
    fragment TypeRef on __Type {
      kind name
      ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
        ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
    }";

fn shop() -> Documents {
    Documents::new(types::build(&types::tests::shop()).unwrap().sdl).unwrap()
}

fn introspect(query: &str, variables: Value) -> Option<Response> {
    let request = Request { query: query.to_owned(), variables: object(variables), ..Request::default() };
    shop().introspect(&request)
}

fn data(query: &str, variables: Value) -> Value {
    let response = introspect(query, variables).expect("an introspection query");
    assert!(!response.is_request_error);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    body["data"].clone()
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn tools_can_read_the_whole_schema() {
    let data = data(GRAPHQL_JS, json!({}));
    let schema = &data["__schema"];
    assert_eq!(schema["subscriptionType"], json!({"name": "Subscription", "kind": "OBJECT"}));
    let by = named(&schema["types"], "ProductBy");
    assert_eq!((&by["kind"], &by["isOneOf"]), (&json!("INPUT_OBJECT"), &json!(true)));
    assert_eq!(named(&schema["types"], "ProductFilter")["isOneOf"], json!(false));
    assert_eq!(named(&schema["types"], "Product")["isOneOf"], json!(null));
    let products = named(&named(&schema["types"], "Query")["fields"], "products");
    assert_eq!(products["type"]["ofType"]["name"], "ProductConnection");
    assert!(named(&products["args"], "filter")["description"].is_string());
    for directive in ["skip", "include", "deprecated", "specifiedBy", "oneOf"] {
        named(&schema["directives"], directive);
    }
    let documents = shop();
    for (name, ty) in &documents.schema.types {
        let listed = named(&schema["types"], name);
        let fields = listed["fields"].as_array().or(listed["inputFields"].as_array());
        let expected = match ty {
            ExtendedType::Object(ty) => Some(ty.fields.len()),
            ExtendedType::Interface(ty) => Some(ty.fields.len()),
            ExtendedType::InputObject(ty) => Some(ty.fields.len()),
            _ => None,
        };
        assert_eq!(fields.map(Vec::len), expected, "{name}");
    }
}

#[test]
fn fragments_variables_aliases_and_conditions() {
    let query = "query ($name: String!, $yes: Boolean!) {
        ...F t: __typename none: __type(name: \"Nothing \\\"here\\\"\") { name } }
        fragment F on Query { a: __type(name: $name) { ...N isOneOf @skip(if: $yes) } a: __type(name: $name) { kind } }
        fragment N on __Type { n: name }";
    let expected = json!({"a": {"n": "Product", "kind": "OBJECT"}, "t": "Query", "none": null});
    assert_eq!(data(query, json!({"name": "Product", "yes": true})).to_string(), expected.to_string());
}

#[test]
fn what_is_deprecated_and_what_is_skipped() {
    let documents = documents();
    let query = "{ __type(name: \"Old\") {
        shown: fields { name }
        all: fields(includeDeprecated: true) { name isDeprecated deprecationReason args { name defaultValue } }
        nothing: fields { name @skip(if: true) }
        interfaces { name } possibleTypes { name } ofType { name }
    } }";
    let prepared = documents.prepare(query).unwrap();
    let operation = Operation::new(&documents, &prepared, None, &Map::new()).unwrap();
    let deprecated = |name: &str, reason: Value, args: Value| json!({"name": name, "isDeprecated": !reason.is_null(), "deprecationReason": reason, "args": args});
    let limits = json!([{"name": "limits", "defaultValue": "{required: 1, list: [1, 2]}"}]);
    let all = [
        deprecated("fresh", Value::Null, limits),
        deprecated("stale", json!("No longer supported"), json!([])),
        deprecated("rotten", json!("Smells."), json!([])),
    ];
    let expected = json!({"__type": {
        "shown": [{"name": "fresh"}], "all": all, "nothing": [{}], "interfaces": [], "possibleTypes": [], "ofType": null,
    }});
    assert_eq!(Value::Object(documents.introspect_part(&operation)), expected);
}

#[test]
fn other_requests_are_left_to_execution() {
    for query in [
        "{ viewer { sub } }",
        "{ __typename }",
        "{ viewer { __typename } }",
        "{ viewer { sub } __schema { queryType { name } } }",
        "{ viewer { sub } } # __schema",
        "{ viewer { sub",
    ] {
        assert!(introspect(query, json!({})).is_none(), "{query}");
    }
}

#[test]
fn invalid_introspection_is_refused() {
    let deep = "fields { type { ".repeat(3) + "name" + &" } }".repeat(3);
    for (query, code) in [
        ("{ __schema { nope } }", "GRAPHQL_VALIDATION_FAILED"),
        (&format!("{{ __schema {{ types {{ {deep} }} }} }}"), "GRAPHQL_VALIDATION_FAILED"),
        ("query ($n: String!) { __type(name: $n) { name } }", "BAD_USER_INPUT"),
    ] {
        let response = introspect(query, json!({})).unwrap();
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert!(response.is_request_error && body.get("data").is_none());
        assert_eq!(body["errors"][0]["extensions"]["code"], code, "{query}");
    }
}

#[test]
fn a_part_of_an_operation() {
    let documents = shop();
    let query = "query ($n: String = \"CustomerBy\") { viewer { sub } t: __type(name: $n) { isOneOf } __typename }";
    let prepared = documents.prepare(query).unwrap();
    let operation = Operation::new(&documents, &prepared, None, &Map::new()).unwrap();
    let expected = json!({"t": {"isOneOf": true}, "__typename": "Query"});
    assert_eq!(Value::Object(documents.introspect_part(&operation)), expected);
    let prepared = documents.prepare("{ viewer { sub } }").unwrap();
    let operation = Operation::new(&documents, &prepared, None, &Map::new()).unwrap();
    assert!(documents.introspect_part(&operation).is_empty());
}
