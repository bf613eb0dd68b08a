//! The coercion of variables.

use serde_json::json;

use super::*;

/// The coerced variable `$x` of this type, or the errors.
fn coerce(ty: &str, value: Value) -> Result<Option<Value>, String> {
    let argument = match ty.trim_matches(['[', ']', '!']) {
        "Nested" if ty.starts_with('[') => "nesteds",
        "Int" if ty.starts_with("[[") => "matrix",
        "Int" if ty.contains("Int!]") => "strict",
        "Int" if ty.starts_with('[') => "ints",
        "BigInt" => "big",
        other => &other.to_lowercase(),
    };
    let query = format!("query Q($x: {ty}) {{ echo({argument}: $x) }}");
    let documents = documents();
    let prepared = documents.prepare(&query).map_err(|errors| lines(&errors))?;
    let variables = object(value);
    let operation = Operation::new(&documents, &prepared, None, &variables).map_err(|errors| lines(&errors))?;
    Ok(operation.variables().get("x").cloned())
}

#[track_caller]
fn accept(ty: &str, value: Value, expected: Value) {
    assert_eq!(coerce(ty, json!({ "x": value })), Ok(Some(expected)), "{ty}");
}

#[track_caller]
fn refuse(ty: &str, value: Value, expected: &[&str]) {
    let expected: Vec<_> = expected.iter().map(|m| format!("BAD_USER_INPUT 1:9 Variable \"$x\" {m}")).collect();
    assert_eq!(coerce(ty, json!({ "x": value })), Err(expected.join("\n")), "{ty}");
}

#[test]
fn scalars() {
    accept("Int", json!(3), json!(3));
    accept("Int", json!(-2147483648), json!(-2147483648));
    accept("Int", json!(1.0), json!(1));
    accept("Int", json!(null), json!(null));
    accept("Float", json!(1), json!(1.0));
    accept("Float", json!(1.5), json!(1.5));
    accept("String", json!("a"), json!("a"));
    accept("Boolean", json!(true), json!(true));
    accept("ID", json!("a"), json!("a"));
    accept("ID", json!(12), json!("12"));
    accept("ID", json!(18446744073709551615_u64), json!("18446744073709551615"));
    accept("Color", json!("RED"), json!("RED"));
    accept("BigInt", json!("9223372036854775807"), json!("9223372036854775807"));
    accept("JSON", json!({"a": [1, null, {"b": 2.5}]}), json!({"a": [1, null, {"b": 2.5}]}));
}

#[test]
fn wrong_scalars() {
    let invalid = |value: &str, message: &str| format!("got invalid value {value}; {message}");
    let cases = [
        ("Int", json!("1"), "Int cannot represent non-integer value: \"1\""),
        ("Int", json!(1.5), "Int cannot represent non-integer value: 1.5"),
        ("Int", json!(true), "Int cannot represent non-integer value: true"),
        ("Int", json!(2147483648_i64), "Int cannot represent non 32-bit signed integer value: 2147483648"),
        ("Float", json!("1"), "Float cannot represent non numeric value: \"1\""),
        ("String", json!(1), "String cannot represent a non string value: 1"),
        ("Boolean", json!("true"), "Boolean cannot represent a non boolean value: \"true\""),
        ("ID", json!(1.5), "ID cannot represent value: 1.5"),
        ("ID", json!(false), "ID cannot represent value: false"),
        ("Color", json!("BLUE"), "Value \"BLUE\" does not exist in \"Color\" enum."),
        ("Color", json!(1), "Enum \"Color\" cannot represent non-string value: 1."),
        ("Nested", json!("a"), "Expected type \"Nested\" to be an object."),
    ];
    for (ty, value, message) in cases {
        refuse(ty, value.clone(), &[&invalid(&value.to_string(), message)]);
    }
}

#[test]
fn left_out_null_and_defaults() {
    assert_eq!(coerce("Int", json!({})), Ok(None), "left out is not null");
    assert_eq!(coerce("Int", json!({"x": null})), Ok(Some(json!(null))));
    assert_eq!(coerce("Int", json!({"y": 1})), Ok(None), "others are ignored");
    refuse("Int!", json!(null), &["of non-null type \"Int!\" must not be null."]);
    let missing = "BAD_USER_INPUT 1:9 Variable \"$x\" of required type \"Int!\" was not provided.";
    assert_eq!(coerce("Int!", json!({})), Err(missing.to_owned()));
}

#[test]
fn defaults_of_variables_are_coerced() {
    let documents = documents();
    let query = r#"query ($a: Int = 4, $b: [Int] = 4, $c: ID = 5, $d: Nested = { required: 1 }, $e: Color = GREEN) {
        echo(int: $a, ints: $b, id: $c, nested: $d, color: $e)
    }"#;
    let prepared = documents.prepare(query).unwrap();
    let operation = Operation::new(&documents, &prepared, None, &Map::new()).unwrap();
    let nested = json!({"required": 1, "withDefault": 7, "color": "RED"});
    let expected = json!({"a": 4, "b": [4], "c": "5", "d": nested, "e": "GREEN"});
    assert_eq!(operation.variables(), &object(expected));
    let given = object(json!({"a": null, "e": "RED"}));
    let operation = Operation::new(&documents, &prepared, None, &given).unwrap();
    assert_eq!((&operation.variables()["a"], &operation.variables()["e"]), (&json!(null), &json!("RED")));
}

#[test]
fn lists() {
    accept("[Int]", json!([1, null, 2.0]), json!([1, null, 2]));
    accept("[Int]", json!(1), json!([1]));
    accept("[[Int]]", json!(1), json!([[1]]));
    accept("[[Int]]", json!([[1], [2, 3]]), json!([[1], [2, 3]]));
    accept("[[Int]]", json!([1, [2]]), json!([[1], [2]]));
    accept("[Int!]", json!([]), json!([]));
    refuse(
        "[Int!]",
        json!([1, null, "a"]),
        &[
            "got invalid value null at \"x[1]\"; Expected non-nullable type \"Int!\" not to be null.",
            "got invalid value \"a\" at \"x[2]\"; Int cannot represent non-integer value: \"a\"",
        ],
    );
}

#[test]
fn input_objects() {
    let full = json!({"required": 1, "withDefault": 2, "list": [3], "color": "GREEN"});
    accept("Nested", full.clone(), full);
    accept("Nested", json!({"required": 1}), json!({"required": 1, "withDefault": 7, "color": "RED"}));
    accept(
        "Nested",
        json!({"required": 1, "color": null, "list": 4, "child": {"required": 2, "withDefault": 3, "text": null}}),
        json!({"required": 1, "withDefault": 7, "list": [4], "color": null,
            "child": {"required": 2, "withDefault": 3, "color": "RED", "text": null}}),
    );
    accept("[Nested!]", json!({"required": 1}), json!([{"required": 1, "withDefault": 7, "color": "RED"}]));
    refuse(
        "Nested",
        json!({"child": {"required": "a", "withDefault": null}, "list": ["b"], "other": 1}),
        &[
            "got invalid value {\"child\":{\"required\":\"a\",\"withDefault\":null},\"list\":[\"b\"],\"other\":1}; \
             Field \"required\" of required type \"Int!\" was not provided.",
            "got invalid value \"b\" at \"x.list[0]\"; Int cannot represent non-integer value: \"b\"",
            "got invalid value \"a\" at \"x.child.required\"; Int cannot represent non-integer value: \"a\"",
            "got invalid value null at \"x.child.withDefault\"; Expected non-nullable type \"Int!\" not to be null.",
            "got invalid value {\"child\":{\"required\":\"a\",\"withDefault\":null},\"list\":[\"b\"],\"other\":1}; \
             Field \"other\" is not defined by type \"Nested\".",
        ],
    );
}

#[test]
fn one_of() {
    accept("By", json!({"id": 5}), json!({"id": "5"}));
    accept(
        "By",
        json!({"nested": {"required": 1}}),
        json!({"nested": {"required": 1, "withDefault": 7, "color": "RED"}}),
    );
    let exactly = "Exactly one key must be specified for OneOf type \"By\".";
    refuse("By", json!({}), &[&format!("got invalid value {{}}; {exactly}")]);
    let two = json!({"id": "a", "name": "b"});
    refuse("By", two.clone(), &[&format!("got invalid value {two}; {exactly}")]);
    let two = json!({"id": "a", "name": null});
    refuse("By", two.clone(), &[&format!("got invalid value {two}; {exactly}")]);
    refuse("By", json!({"id": null}), &["got invalid value null at \"x.id\"; Field \"id\" must be non-null."]);
}

#[test]
fn errors_are_bounded() {
    let errors = coerce("[Int]", json!({"x": vec!["a"; 1000]})).unwrap_err();
    assert_eq!(errors.lines().count(), 50);
    let error = coerce("Int", json!({"x": "a".repeat(100_000)})).unwrap_err();
    assert!(error.len() < 500 && error.contains('…'), "{error}");
}
