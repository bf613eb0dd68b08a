//! The coercion of arguments.

use serde_json::json;

use super::*;

/// The arguments of the only root field.
fn arguments(query: &str, variables: Value) -> Result<Value, String> {
    let documents = documents();
    let prepared = documents.prepare(query).map_err(|errors| lines(&errors))?;
    let operation = Operation::new(&documents, &prepared, None, &object(variables)).map_err(|errors| lines(&errors))?;
    let fields = operation.root_fields();
    operation.arguments(&fields[0]).map(Value::Object).map_err(|error| lines(&[error]))
}

#[track_caller]
fn accept(literals: &str, expected: Value) {
    assert_eq!(arguments(&format!("{{ echo({literals}) }}"), json!({})), Ok(expected));
}

#[test]
fn literals() {
    accept(
        "int: -3, float: 1, string: \"a\", boolean: false",
        json!({"int": -3, "float": 1.0, "string": "a", "boolean": false}),
    );
    accept("float: 1.5e3, id: 7, color: RED", json!({"float": 1500.0, "id": "7", "color": "RED"}));
    accept("id: \"7\", string: \"\"\"\n    two\n      lines\n  \"\"\"", json!({"string": "two\n  lines", "id": "7"}));
    accept("int: null, ints: null", json!({"int": null, "ints": null}));
    accept("big: \"9223372036854775807\"", json!({"big": "9223372036854775807"}));
    accept("big: 9223372036854775807", json!({"big": 9223372036854775807_i64}));
    accept(
        "json: {a: [1, 2.5, null, \"x\", ENUM, true], b: {}}",
        json!({"json": {"a": [1, 2.5, null, "x", "ENUM", true], "b": {}}}),
    );
    accept(
        "ints: [1, null], strict: 2, matrix: [1, [2, 3]]",
        json!({"ints": [1, null], "strict": [2], "matrix": [[1], [2, 3]]}),
    );
    accept("matrix: 1", json!({"matrix": [[1]]}));
    accept("nested: {required: 1}", json!({"nested": {"required": 1, "withDefault": 7, "color": "RED"}}));
    accept(
        "nested: {required: 1, color: null, child: {required: 2, withDefault: 3, color: GREEN, list: 4}}",
        json!({"nested": {"required": 1, "withDefault": 7, "color": null,
            "child": {"required": 2, "withDefault": 3, "list": [4], "color": "GREEN"}}}),
    );
    accept("nesteds: {required: 1}", json!({"nesteds": [{"required": 1, "withDefault": 7, "color": "RED"}]}));
    accept("by: {id: 3}, bys: {name: \"a\"}", json!({"by": {"id": "3"}, "bys": [{"name": "a"}]}));
}

#[test]
fn defaults() {
    let nested = json!({"required": 1, "withDefault": 7, "color": "RED"});
    let all = json!({"int": 5, "color": "GREEN", "nested": nested, "strict": [3]});
    assert_eq!(arguments("{ defaults }", json!({})), Ok(all.clone()));
    let query = "query ($i: Int, $c: Color, $n: Nested) { defaults(int: $i, color: $c, nested: $n) }";
    assert_eq!(arguments(query, json!({})), Ok(all), "variables without a value are as if they were not there");
    let given = json!({"i": 1, "c": null, "n": null});
    let expected = json!({"int": 1, "color": null, "nested": null, "strict": [3]});
    assert_eq!(arguments(query, given), Ok(expected), "null is a value");
    let error = "BAD_USER_INPUT 1:56 Argument \"int\" has an invalid value; Variable \"$i\" is null where \"Int!\" is expected.";
    assert_eq!(arguments(query, json!({"i": null})), Err(error.to_owned()));
}

#[test]
fn variables_in_literals() {
    let query = "query ($t: String, $i: Int, $l: [Int!], $d: Int, $j: Int) {
        echo(nested: {required: 1, text: $t, list: $l, withDefault: $d}, ints: [$i, 2], json: {a: $j, b: [$j], c: $t}) }";
    let nothing = json!({
        "ints": [null, 2],
        "json": {"b": [null]},
        "nested": {"required": 1, "withDefault": 7, "color": "RED"}
    });
    assert_eq!(arguments(query, json!({})), Ok(nothing));
    let given = json!({"t": null, "i": 1, "l": 3, "d": 4, "j": 5});
    let expected = json!({
        "ints": [1, 2],
        "json": {"a": 5, "b": [5], "c": null},
        "nested": {"required": 1, "withDefault": 4, "list": [3], "color": "RED", "text": null}
    });
    assert_eq!(arguments(query, given), Ok(expected));
    let error = arguments(query, json!({"d": null})).unwrap_err();
    assert!(
        error.starts_with("BAD_USER_INPUT 2:69 Argument \"nested\" has an invalid value; Variable \"$d\" is null"),
        "{error}"
    );
}

#[test]
fn one_of_with_variables() {
    let query = "query ($id: ID!) { echo(by: {id: $id}) }";
    assert_eq!(arguments(query, json!({"id": 1})), Ok(json!({"by": {"id": "1"}})));
    let query = "query ($by: By) { echo(by: $by) }";
    assert_eq!(arguments(query, json!({})), Ok(json!({})));
    assert_eq!(arguments(query, json!({"by": {"name": "a"}})), Ok(json!({"by": {"name": "a"}})));
}
