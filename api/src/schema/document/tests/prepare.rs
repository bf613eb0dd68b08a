//! What documents are refused for, and with which errors.

use serde_json::json;

use super::*;

#[track_caller]
fn check(query: &str, expected: &[&str]) {
    let expected: Vec<_> = expected.iter().map(|line| format!("GRAPHQL_VALIDATION_FAILED {line}")).collect();
    assert_eq!(refusal(query), expected.join("\n"), "{query}");
}

#[test]
fn syntax() {
    for query in [
        "",
        "  # nothing\n",
        "{",
        "{ cat { id }",
        "query ($a) { cat }",
        "{ echo(string: \"a) }",
        "}",
        "{ cat { id } } ]",
        "{ cat(x 1) { id } }",
        "{ cat(x) { id } }",
        "{ cat(x: {a: 1}null) { id } }",
        "{ cat(x: {a 1}) { id } }",
        "{ cat(x: [{a: [1]}, {b}]) { id } }",
        "{ cat @skip(if) { id } }",
        "query ($a: JSON = {b}) { cat { id } }",
        "query ($a: JSON = [{b: 1}] @d(c) ) { cat { id } }",
        "ä",
    ] {
        let errors = refusal(query);
        assert!(errors.starts_with("GRAPHQL_PARSE_FAILED "), "{query}: {errors}");
    }
    let errors = refusal("{ cat {\n  id(: 1) } }");
    assert!(errors.starts_with("GRAPHQL_PARSE_FAILED 2:6 Syntax Error: "), "{errors}");
    for (query, expected) in [
        ("{ echo(string: \"a(b\",\n int ,) }", "2:7 Syntax Error: Expected \":\", found \")\"."),
        ("{ echo(json: {a: {b c}}) }", "1:21 Syntax Error: Expected \":\", found Name \"c\"."),
    ] {
        assert_eq!(refusal(query), format!("GRAPHQL_PARSE_FAILED {expected}"), "{query}");
    }
    // Names that are followed by no colon, all of them where they may be.
    let query = "query ($a: [Int!] = [1], $b: JSON = {c: [d, {e: f}]}) {
        echo(int: 1 ints: $a json: {a: b, c: $b, d: [e f {g: h}], string: $b} boolean: true) @skip(if: false)
        more: echo(string: \"\"\"(a b\"\"\", color: RED) # (a b)
    }";
    documents().prepare(query).unwrap();
}

#[test]
fn all_errors_are_reported_at_once() {
    check(
        "{ cat { nope }\n  echo(color: \"RED\", int: \"1\", other: 1)\n  required\n  node }",
        &[
            "1:9 Cannot query field \"nope\" on type \"Cat\".",
            "2:15 Color cannot represent value: \"RED\"",
            "2:27 Int cannot represent value: \"1\"",
            "2:32 Unknown argument \"other\" on field \"Query.echo\".",
            "3:3 Field \"required\" argument \"int\" of type \"Int!\" is required, but it was not provided.",
            "4:3 Field \"node\" of type \"Query\" must have a selection of subfields. Did you mean \"node { ... }\"?",
        ],
    );
    let many: String = (0..200).map(|i| format!(" f{i}")).collect();
    assert_eq!(refusal(&format!("{{ {} }}", &many)).lines().count(), 100);
}

#[test]
fn variables_fit_where_they_stand() {
    let used = |name: &str, ty: &str, expected: &str| {
        format!("Variable \"${name}\" of type \"{ty}\" used in position expecting type \"{expected}\".")
    };
    check("query ($i: ID!) { echo(int: $i) }", &[&format!("1:24 {}", used("i", "ID!", "Int"))]);
    check("query ($i: Int) { echo(nested: {required: $i}) }", &[&format!("1:43 {}", used("i", "Int", "Int!"))]);
    check("query ($i: [Int]) { echo(strict: $i) }", &[&format!("1:26 {}", used("i", "[Int]", "[Int!]"))]);
    check("query ($i: Int) { echo(strict: [1, $i]) }", &[&format!("1:36 {}", used("i", "Int", "Int!"))]);
    check("query ($i: [Int!]) { echo(matrix: [[$i]]) }", &[&format!("1:37 {}", used("i", "[Int!]", "Int"))]);
    check("query ($i: Int = null) { required(int: $i) }", &[&format!("1:40 {}", used("i", "Int", "Int!"))]);
    check(
        "query ($b: Boolean = null) { cat { id @skip(if: $b) } }",
        &[&format!("1:49 {}", used("b", "Boolean", "Boolean!"))],
    );
    check("query Q { echo(json: {a: {b: $i}}) }", &["1:30 Variable \"$i\" is not defined by operation \"Q\"."]);
    check("query Q { ...F } fragment F on Query { echo(int: $i) }", &["1:50 Variable \"$i\" is not defined."]);
    check("query ($i: Int) { cat { id } }", &["1:8 Variable \"$i\" is never used."]);
    for query in [
        "query ($i: Int = 1) { required(int: $i) }",
        "query ($i: Int) { defaults(int: $i) }",
        "query ($i: Int) { echo(nested: {required: 1, withDefault: $i}) }",
        "query ($i: String) { echo(json: {a: [{b: $i}]}) }",
    ] {
        documents().prepare(query).unwrap_or_else(|errors| panic!("{query}: {}", lines(&errors)));
    }
}

#[test]
fn fields_that_merge_have_the_same_lists() {
    let conflict = |key| {
        format!(
            "Fields \"{key}\" conflict because they have differing arguments. Use different aliases on the fields to fetch \
             both if this was intentional."
        )
    };
    check("{ echo(ints: [1, 2]) echo(ints: [1]) }", &[&format!("1:22 {}", conflict("echo"))]);
    check("{ echo(ints: []) echo(ints: [1]) }", &[&format!("1:18 {}", conflict("echo"))]);
    check("{ a: echo(matrix: [[1]]) a: echo(matrix: [[1, 2]]) }", &[&format!("1:26 {}", conflict("a"))]);
    let nested =
        "{ echo(nested: {required: 1, list: [1]}) ...F } fragment F on Query { echo(nested: {required: 1, list: []}) }";
    check(nested, &[&format!("1:71 {}", conflict("echo"))]);
    let below =
        "{ root { echo(ints: [1]) } ...F root { e: echo(ints: []) } } fragment F on Query { root { echo(ints: []) } }";
    check(below, &[&format!("1:91 {}", conflict("echo"))]);
    for fits in [
        "{ echo(ints: [1, 2]) echo(ints: [1, 2]) other: echo(ints: [1]) }",
        "{ echo(ints: [1]) root { echo(ints: [1, 2]) } }",
        "{ node { ... on Cat { f: list(of: [1]) } ... on Dog { f: list(of: []) } } }",
    ] {
        documents().prepare(fits).unwrap_or_else(|errors| panic!("{fits}: {}", lines(&errors)));
    }
    check(
        "{ node { ... on Cat { f: list(of: [1]) } ... on Cat { f: list(of: []) } } }",
        &[&format!("1:55 {}", conflict("f"))],
    );
}

#[test]
fn input_objects() {
    let exactly = "OneOf Input Object \"By\" must specify exactly one key.";
    check("{ echo(by: {}) }", &[&format!("1:12 {exactly}")]);
    check("{ echo(by: {id: 1, name: \"a\"}) }", &[&format!("1:12 {exactly}")]);
    check("{ echo(bys: [{id: 1}, {}]) }", &[&format!("1:23 {exactly}")]);
    check("{ echo(by: {id: null}) }", &["1:17 Field \"By.id\" must be non-null."]);
    check(
        "query ($i: ID) { echo(by: {id: $i}) }",
        &["1:32 Variable \"$i\" is of type \"ID\" but must be non-nullable to be used for OneOf Input Object \"By\"."],
    );
    // A default keeps it from being null, unless a null is sent for it, which is an error of the field.
    documents().prepare("query ($i: ID = 1) { echo(by: {id: $i}) }").unwrap();
    check(
        "query ($i: ID = null) { echo(by: {id: $i}) }",
        &["1:39 Variable \"$i\" is of type \"ID\" but must be non-nullable to be used for OneOf Input Object \"By\"."],
    );
    check(
        "{ echo(nested: {required: 1, required: 2}) }",
        &["1:30 There can be only one input field named \"required\"."],
    );
    check("{ echo(json: {a: 1, a: 2}) }", &["1:21 There can be only one input field named \"a\"."]);
    check("{ echo(nested: {}) }", &["1:16 Field \"Nested.required\" of required type \"Int!\" was not provided."]);
    let shared = "query A { ...F } query B { ...F } fragment F on Query { echo(by: {}) }";
    check(shared, &[&format!("1:66 {exactly}")]);
}

#[test]
fn subscriptions_have_one_field() {
    check(
        "subscription S { follow { id } ...F } fragment F on Subscription { other { id } }",
        &["1:1 Subscription \"S\" must select only one top level field."],
    );
    check(
        "subscription { __typename }",
        &["1:16 Anonymous Subscription must not select an introspection top level field."],
    );
}

#[test]
fn operations_are_selected_by_name() {
    let documents = documents();
    let select = |query: &str, name: Option<&str>| {
        let prepared = documents.prepare(query).unwrap();
        let selected = prepared.operation(name).map(|operation| operation.name.as_ref().map(ToString::to_string));
        selected.map_err(|error| lines(&[error]))
    };
    let two = "query A { cat { id } } query B { cat { id } }";
    assert_eq!(select("{ cat { id } }", None), Ok(None));
    assert_eq!(select("query A { cat { id } }", None), Ok(Some("A".to_owned())));
    assert_eq!(select(two, Some("B")), Ok(Some("B".to_owned())));
    let error = "BAD_USER_INPUT  Must provide operation name if query contains multiple operations.";
    assert_eq!(select(two, None), Err(error.to_owned()));
    assert_eq!(select(two, Some("C")), Err("BAD_USER_INPUT  Unknown operation named \"C\".".to_owned()));
    assert_eq!(select("{ cat { id } }", Some("")), Err("BAD_USER_INPUT  Unknown operation named \"\".".to_owned()));
    check("fragment F on Query { cat { id } }", &["1:1 Fragment \"F\" is never used."]);
}

fn nested(levels: usize) -> String {
    format!("{{ node {{ {} id {} }} }}", "... on Cat { friend { ".repeat(levels - 2), "} }".repeat(levels - 2))
}

#[test]
fn limits() {
    let documents = documents();
    assert!(documents.prepare(&nested(15)).is_ok());
    check(&nested(16), &["1:1 The operation has 16 levels of fields; at most 15 are allowed."]);
    let aliases = |count: usize| (0..count).map(|i| format!(" a{i}: name")).collect::<String>();
    assert!(documents.prepare(&format!("{{ cat {{ {} }} }}", aliases(50))).is_ok());
    let query = format!("query Q {{ cat {{ {} }} }}", aliases(51));
    check(&query, &["1:1 Operation \"Q\" has 51 aliases; at most 50 are allowed."]);
    let fields = "echo ".repeat(50);
    assert!(documents.prepare(&format!("{{ {fields} }}")).is_ok());
    let query = format!("{{ ...F echo }} fragment F on Query {{ {fields} }}");
    check(&query, &["1:1 The operation has 51 root fields; at most 50 are allowed."]);
    let deep = format!("{{ echo(json: {}1{}) }}", "[".repeat(5000), "]".repeat(5000));
    assert!(refusal(&deep).starts_with("GRAPHQL_PARSE_FAILED"), "{}", refusal(&deep));
    let long = format!("{{ echo(ints: [{}]) }}", "1 ".repeat(20_000));
    assert!(refusal(&long).starts_with("GRAPHQL_PARSE_FAILED"), "{}", refusal(&long));
}

/// Each of these would exhaust the stack or take exponential time if selections were followed without a limit.
#[test]
fn hostile_fragments() {
    let too_deep = "GRAPHQL_VALIDATION_FAILED  Fields and fragments are nested more than 100 levels deep.";
    let chain = |count: usize, body: &dyn Fn(usize) -> String| {
        let fragments = (0..count).map(|i| format!("fragment F{i} on Query {{ {} }}\n", body(i)));
        format!("{{ ...F0 }} {} fragment F{count} on Query {{ __typename }}", fragments.collect::<String>())
    };
    assert_eq!(refusal(&chain(1000, &|i| format!("...F{}", i + 1))), too_deep);
    assert_eq!(refusal(&chain(70, &|i| format!("{} ...F{} {}", "...{".repeat(60), i + 1, "}".repeat(60)))), too_deep);
    let twice = chain(60, &|i| format!("...F{0} ...F{0} a{0}: __typename", i + 1));
    assert!(refusal(&twice).contains("aliases; at most 50"), "{}", refusal(&twice));
    let cycle = refusal("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }");
    assert!(cycle.contains("Cannot spread fragment"), "{cycle}");
    let backwards: String = (1..1000).rev().map(|i| format!("fragment F{i} on Query {{ ...F{} }}", i - 1)).collect();
    let backwards = format!("{{ cat {{ id }} }} {backwards} fragment F0 on Query {{ __typename }}");
    assert_eq!(refusal(&backwards), too_deep);
}

#[test]
fn the_deepest_documents_fit_the_stack() {
    let documents = documents();
    let open = "...{".repeat(95);
    let close = "}".repeat(95);
    let list = format!("{}1{}", "[".repeat(95), "]".repeat(95));
    for query in [format!("{{ {open} cat {{ id }} {close} }}"), format!("{{ echo(json: {list}) }}")] {
        let prepared = documents.prepare(&query).unwrap_or_else(|errors| panic!("{}", lines(&errors)));
        let operation = Operation::new(&documents, &prepared, None, &Map::new()).unwrap();
        let fields = operation.root_fields();
        assert_eq!(fields.len(), 1);
        operation.arguments(&fields[0]).unwrap();
    }
}

#[test]
fn documents_are_cached_by_text() {
    let documents = documents();
    let query = "{ cat { id } }";
    assert!(Arc::ptr_eq(&documents.prepare(query).unwrap(), &documents.prepare(query).unwrap()));
    let long = format!("{query} #{}", "x".repeat(MAX_CACHED_DOCUMENT_BYTES));
    assert!(!Arc::ptr_eq(&documents.prepare(&long).unwrap(), &documents.prepare(&long).unwrap()));
    for i in 0..200 {
        let filler = "x".repeat(MAX_CACHED_DOCUMENT_BYTES - 100);
        documents.prepare(&format!("{query} #{i}{filler}")).unwrap();
    }
    assert!(documents.cache.weight() <= CACHE_SIZE_BYTES);
}

#[test]
fn errors_as_json() {
    let path = vec![PathSegment::Field("cat".into()), PathSegment::Index(3), PathSegment::Field("id".into())];
    let full =
        GraphqlError::new(ErrorCode::Forbidden, "no \"entry\"").at(Location { line: 2, column: 7 }).with_path(path);
    let bare = GraphqlError::new(ErrorCode::Internal, "broken").at(None);
    let response = request_error(&[full, bare]);
    assert!(response.is_request_error);
    let expected = json!({"errors": [
        {"message": "no \"entry\"", "locations": [{"line": 2, "column": 7}], "path": ["cat", 3, "id"],
            "extensions": {"code": "FORBIDDEN"}},
        {"message": "broken", "extensions": {"code": "INTERNAL_SERVER_ERROR"}},
    ]});
    assert_eq!(String::from_utf8(response.body.to_vec()).unwrap(), expected.to_string());
}

#[test]
fn lists_in_custom_scalars_may_hold_null() {
    for query in [
        "{ always(json: [null]) }",
        "{ always(json: [[1, null], {a: [null]}], jsons: [[null], 1]) }",
        "query ($j: JSON! = [null]) { always(json: $j) }",
        "query ($j: JSON) { always(json: [$j, [$j]], jsons: [[$j]]) }",
        "query { ...F } fragment F on Query { root { always(json: [null]) } }",
    ] {
        let prepared = documents().prepare(query);
        assert!(prepared.is_ok(), "{query}: {}", lines(&prepared.unwrap_err()));
    }
    let null = "JSON cannot represent value: null";
    let required = "1:3 Field \"always\" argument \"json\" of type \"JSON!\" is required, but it was not provided.";
    check("{ always(json: null) }", &[required, &format!("1:16 {null}")]);
    check("{ always(json: [null], jsons: [null]) }", &[&format!("1:32 {null}")]);
    check("{ always(json: [null], more: [null]) }", &["1:24 Unknown argument \"more\" on field \"Query.always\"."]);
    let used = "1:49 Variable \"$j\" of type \"JSON\" used in position expecting type \"JSON!\".";
    check("query ($j: JSON) { always(json: [null], jsons: [$j]) }", &[used]);
}
