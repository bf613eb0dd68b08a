//! Values that are refused, with the same code and the same words on both databases.

use serde_json::{Value, json};
use tandem_tests::case::run_alike;
use tandem_tests::client::{error_codes, text};
use tandem_tests::{Case, Client};

use super::store::{admin, literal, serve};

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_refused() {
    run_alike(in_inputs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operands_that_are_refused() {
    run_alike(in_filters).await;
}

/// Fields, and what a client may not write into them, as JSON. Each is of the right type for GraphQL, so it is the field
/// that is `INVALID`.
const INVALID: &[(&str, &[&str])] = &[
    // PostgreSQL has no U+0000.
    ("text", &[r#""\u0000""#, r#""a\u0000b""#]),
    ("code", &[r#""\u0000""#]),
    ("texts", &[r#"["a", "\u0000"]"#]),
    ("json", &[r#""\u0000""#, r#"{"a": ["\u0000"]}"#, r#"[{"\u0000": 1}]"#, DEEP]),
    ("jsons", &[r#"[1, "\u0000"]"#]),
    (
        "big",
        &[
            r#""9223372036854775808""#,
            r#""-9223372036854775809""#,
            "9223372036854775808",
            r#""1.0""#,
            "1.5",
            r#""1e3""#,
            r#""""#,
            r#"" 1""#,
            r#""0x10""#,
            r#""１""#,
            "true",
            "[[1]]",
        ],
    ),
    ("bigs", &[r#"["1", "one"]"#]),
    (
        "money",
        &[
            r#""1000000000000000""#,
            r#""0.0001""#,
            "1.5",
            r#""1e3""#,
            r#""""#,
            r#""-""#,
            r#"".5""#,
            r#""5.""#,
            r#""1,5""#,
            r#""NaN""#,
            r#""Infinity""#,
            r#""1_000""#,
            r#""１""#,
            r#""99999999999999999999999999999999999999""#,
            "true",
        ],
    ),
    ("moneys", &[r#"["1", "0.0001"]"#]),
    ("whole", &[r#""0.5""#, r#""1000000000000000000""#, "-1000000000000000000"]),
    ("part", &[r#""1""#, "-1", r#""0.0000000000000000001""#]),
    (
        "at",
        &[
            r#""2026-01-31T24:00:00Z""#,
            r#""2016-12-31T23:59:60Z""#,
            r#""2016-12-31T23:59:60.5Z""#,
            r#""2026-02-29T00:00:00Z""#,
            r#""2026-13-01T00:00:00Z""#,
            r#""2026-01-31T12:60:00Z""#,
            r#""2026-01-31T12:00:00+24:00""#,
            r#""2026-01-31T12:00:00""#,
            r#""2026-01-31T12:00:00.Z""#,
            r#""2026-01-31 12:00:00Z""#,
            r#""2026-01-31""#,
            r#""2026-1-31T12:00:00Z""#,
            r#""0000-12-31T23:59:59Z""#,
            r#""0001-01-01T00:00:00+00:01""#,
            r#""9999-12-31T23:59:59-00:01""#,
            r#""10000-01-01T00:00:00Z""#,
            r#""-0001-01-01T00:00:00Z""#,
            r#""+2026-01-31T12:00:00Z""#,
            r#""infinity""#,
            r#""""#,
            "0",
        ],
    ),
    ("ats", &[r#"["2026-01-31T24:00:00Z"]"#]),
    (
        "day",
        &[
            r#""2026-02-29""#,
            r#""1900-02-29""#,
            r#""2026-13-01""#,
            r#""2026-00-10""#,
            r#""2026-01-00""#,
            r#""2026-1-1""#,
            r#""26-01-01""#,
            r#""0000-01-01""#,
            r#""10000-01-01""#,
            r#""+2026-01-31""#,
            r#""-2026-01-31""#,
            r#""20260131""#,
            r#""2026-01-31 ""#,
            r#""2026-01-31T00:00:00Z""#,
            r#""infinity""#,
            r#""""#,
            "20260131",
        ],
    ),
    ("days", &[r#"["2026-02-29"]"#]),
    (
        "uid",
        &[
            r#""""#,
            r#""0190a0b0-1111-7222-8333-44445555666""#,
            r#""0190a0b0-1111-7222-8333-4444555566667""#,
            r#""g190a0b0-1111-7222-8333-444455556666""#,
            r#"" 0190a0b0-1111-7222-8333-444455556666""#,
            "0",
        ],
    ),
    ("uids", &[r#"["nothing"]"#]),
];

/// Arrays inside arrays, one more than a value may have.
const DEEP: &str = concat!(
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
);

async fn in_inputs(case: &Case) -> Vec<String> {
    let server = serve(case).await;
    let client = admin(&server);
    let create =
        "mutation($name: String!) { createGroup(input: {name: $name}) { group { id } userErrors { code path } } }";
    let group = client.data(create, json!({"name": "g"})).await;
    let group = text(&group["createGroup"]["group"]["id"]);
    let mut answers = Vec::new();
    let payload = "{ cell { id } userErrors { code message path } }";
    for (field, values) in INVALID {
        for value in *values {
            let query = format!("mutation($input: CreateCellInput!) {{ createCell(input: $input) {payload} }}");
            let variables = format!(r#"{{"input":{{"key":"k","row":1,"groupId":"{group}","{field}":{value}}}}}"#);
            answers.push(refused(&client, field, value, &query, &variables).await);
            if let Some(literal) = literal(value, false) {
                let input = format!("key: \"k\" row: 1 groupId: \"{group}\" {field}: {literal}");
                let query = format!("mutation {{ createCell(input: {{{input}}}) {payload} }}");
                answers.push(refused(&client, field, value, &query, "{}").await);
            }
        }
    }
    // Which value of a key that comes twice is meant, nobody knows.
    let twice = r#"{"input":{"key":"k","row":1,"groupId":"g","json":{"a":1,"b":2,"\u0061":3}}}"#;
    let query = format!("mutation($input: CreateCellInput!) {{ createCell(input: $input) {payload} }}");
    let answer = client.exchange(&query, twice).await.expect("the server answers");
    assert_eq!(error_codes(&serde_json::from_str(&answer).expect("it is JSON")), ["BAD_USER_INPUT"], "{answer}");
    let left = client.data("{ cells { totalCount } }", json!({})).await;
    assert_eq!(left, json!({"cells": {"totalCount": 0}}), "nothing was written");
    answers
}

/// The bytes of an answer that has to say `INVALID` about this field and nothing else.
async fn refused(client: &Client, field: &str, value: &str, query: &str, variables: &str) -> String {
    let answer = client.exchange(query, variables).await.expect("the server answers");
    let response: Value = serde_json::from_str(&answer).expect("it is JSON");
    let errors = &response["data"]["createCell"]["userErrors"];
    assert_eq!(errors.as_array().map(Vec::len), Some(1), "{field}: {value}\n{answer}");
    assert_eq!((&errors[0]["code"], &errors[0]["path"]), (&json!("INVALID"), &json!([field])), "{value}: {answer}");
    answer
}

/// Filters, and the code that each is refused with.
const OPERANDS: &[(&str, &str)] = &[
    (r#"{text: {eq: "\u0000"}}"#, "BAD_USER_INPUT"),
    (r#"{text: {in: ["a", "\u0000"]}}"#, "BAD_USER_INPUT"),
    (r#"{text: {containsIgnoreCase: "\u0000"}}"#, "BAD_USER_INPUT"),
    (r#"{texts: {has: "\u0000"}}"#, "BAD_USER_INPUT"),
    (r#"{code: {eq: "\u0000"}}"#, "BAD_USER_INPUT"),
    (r#"{big: {gt: "9223372036854775808"}}"#, "BAD_USER_INPUT"),
    (r#"{money: {lt: "0.0001"}}"#, "BAD_USER_INPUT"),
    (r#"{at: {lt: "2016-12-31T23:59:60Z"}}"#, "BAD_USER_INPUT"),
    (r#"{day: {lt: "+2026-01-31"}}"#, "BAD_USER_INPUT"),
    (r#"{uid: {eq: "nothing"}}"#, "BAD_USER_INPUT"),
    (r#"{id: {eq: "nothing"}}"#, "BAD_USER_INPUT"),
    (r#"{id: {eq: "group_01m7xerhaget6rzy0n5jpnat5s"}}"#, "BAD_USER_INPUT"),
    ("{int: null}", "BAD_USER_INPUT"),
    ("{int: {eq: null}}", "BAD_USER_INPUT"),
    ("{int: {in: null}}", "BAD_USER_INPUT"),
    ("{int: {isNull: null}}", "BAD_USER_INPUT"),
    ("{ints: {isEmpty: null}}", "BAD_USER_INPUT"),
    ("{other: null}", "BAD_USER_INPUT"),
    ("{not: null}", "BAD_USER_INPUT"),
    ("{and: null}", "BAD_USER_INPUT"),
    ("{int: {in: [null]}}", "GRAPHQL_VALIDATION_FAILED"),
    ("{and: [null]}", "GRAPHQL_VALIDATION_FAILED"),
    ("{int: {eq: 2147483648}}", "GRAPHQL_VALIDATION_FAILED"),
    ("{int: {eq: 1.0}}", "GRAPHQL_VALIDATION_FAILED"),
    ("{float: {eq: 1e309}}", "GRAPHQL_VALIDATION_FAILED"),
    ("{hue: {eq: PURPLE}}", "GRAPHQL_VALIDATION_FAILED"),
    ("{hue: {eq: \"RED\"}}", "GRAPHQL_VALIDATION_FAILED"),
    ("{hue: {lt: RED}}", "GRAPHQL_VALIDATION_FAILED"),
    ("{flag: {in: [true]}}", "GRAPHQL_VALIDATION_FAILED"),
    ("{json: {eq: 1}}", "GRAPHQL_VALIDATION_FAILED"),
    ("{text: {like: \"%\"}}", "GRAPHQL_VALIDATION_FAILED"),
    ("{nothing: {eq: 1}}", "GRAPHQL_VALIDATION_FAILED"),
    (r#"{text: {eq: "\ud83d"}}"#, "GRAPHQL_PARSE_FAILED"),
];

async fn in_filters(case: &Case) -> Vec<String> {
    let server = serve(case).await;
    let client = admin(&server);
    let mut answers = Vec::new();
    for (filter, code) in OPERANDS {
        let query = format!("{{ cells(filter: {filter}) {{ nodes {{ key }} totalCount }} }}");
        let answer = client.exchange(&query, "{}").await.expect("the server answers");
        let response: Value = serde_json::from_str(&answer).expect("it is JSON");
        // A parser tells what it stumbles over next, too.
        assert_eq!(error_codes(&response).first().map(String::as_str), Some(*code), "{filter}: {answer}");
        assert!(response.get("data").is_none_or(Value::is_null), "{filter}: {answer}");
        answers.push(answer);
    }
    answers
}
