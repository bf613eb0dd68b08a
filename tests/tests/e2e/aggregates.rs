//! Numbers about all rows that match: `aggregate` and `groupBy`, on root lists and nested ones.

use serde_json::{Value, json};
use tandem_tests::client::{error_codes, number, text};
use tandem_tests::{Caller, Case, Client, Server, on_both};

const RESOURCES: &str = r#"
enum Colour { RED GREEN BLUE }

type Shelf @resource @auth(rules: [
  { allow: WHERE, filter: { hidden: { eq: false } }, operations: [READ] }
]) {
  name: String!
  hidden: Boolean! @default(value: false)
  things: [Thing!]! @inverse(field: "shelf")
}

type Thing @resource @auth(rules: [
  { allow: ROLE, roles: ["staff"], operations: [READ] }
  { allow: OWNER, ownerField: "owner", operations: [READ] }
]) {
  owner: String
  mark: Int @private
  label: String
  colour: Colour
  flag: Boolean
  int: Int
  big: BigInt
  dec: Decimal @decimal(precision: 18, scale: 3)
  float: Float
  at: DateTime
  day: Date
  tags: [String!]! @default(value: [])
  secret: Int @auth(rules: [{ allow: ROLE, roles: ["boss"] }])
  shelf: Shelf @relation(onDelete: SET_NULL)
}
"#;

on_both!(
    numbers_are_exact,
    nothing_gives_null,
    numbers_follow_filter_and_rights_and_not_the_page,
    lists_of_rows_have_numbers_of_their_own,
    a_sum_beyond_a_float_is_told,
    rows_are_grouped,
    times_are_grouped_in_utc,
    groups_are_bounded_and_say_so,
    what_may_not_be_read_is_not_counted_by,
    an_aggregate_is_part_of_the_one_statement,
);

async fn server(case: &Case) -> Server {
    let path = case.file("things.graphql", RESOURCES);
    case.start(case.settings().with("--resources", &path).with_variable("TANDEM_DEBUG_EXTENSIONS", "true")).await
}

async fn add(admin: &Client, thing: Value) -> String {
    let create = "mutation($input: CreateThingInput!) { createThing(input: $input) { thing { id } userErrors { code message path } } }";
    text(&admin.done(create, thing).await["thing"]["id"])
}

async fn add_shelf(admin: &Client, shelf: Value) -> String {
    let create = "mutation($input: CreateShelfInput!) { createShelf(input: $input) { shelf { id } userErrors { code message path } } }";
    text(&admin.done(create, shelf).await["shelf"]["id"])
}

async fn aggregate(client: &Client, arguments: &str, selection: &str) -> Value {
    let query = format!("{{ things{arguments} {{ aggregate {{ {selection} }} }} }}");
    client.data(&query, json!({})).await["things"]["aggregate"].take()
}

const EVERY: &str = "count sum { int big dec float } avg { int big dec float }
    min { label int big dec float at day } max { label int big dec float at day }";

async fn numbers_are_exact(case: &Case) {
    let server = server(case).await;
    let admin = server.client(&Caller::admin());
    let (max, min) = ("9223372036854775807", "-9223372036854775808");
    for thing in [
        json!({"label": "b", "int": i32::MAX, "big": max, "dec": "999999999999999.999", "float": 0.1,
            "at": "2026-01-31T12:00:00.000001Z", "day": "2026-01-31"}),
        json!({"label": "é", "int": i32::MAX, "big": max, "dec": "999999999999999.999", "float": 0.2,
            "at": "0001-01-01T00:00:00Z", "day": "0001-01-01"}),
        json!({"label": "B", "int": 1, "big": max, "dec": "-0.001", "float": 1e15,
            "at": "9999-12-31T23:59:59.999999Z", "day": "9999-12-31"}),
        // What is null does not count.
        json!({"flag": true}),
    ] {
        add(&admin, thing).await;
    }
    assert_eq!(
        aggregate(&admin, "", EVERY).await,
        json!({
            "count": 4,
            "sum": {"int": "4294967295", "big": "27670116110564327421", "dec": "1999999999999999.997", "float": 1000000000000000.3},
            "avg": {"int": 1431655765.0, "big": 9.223372036854776e18, "dec": "666666666666666.665666667", "float": 333333333333333.44},
            "min": {"label": "B", "int": 1, "big": max, "dec": "-0.001", "float": 0.1,
                "at": "0001-01-01T00:00:00.000000Z", "day": "0001-01-01"},
            "max": {"label": "é", "int": i32::MAX, "big": max, "dec": "999999999999999.999", "float": 1e15,
                "at": "9999-12-31T23:59:59.999999Z", "day": "9999-12-31"},
        })
    );
    for _ in 0..2 {
        add(&admin, json!({"label": "min", "big": min, "dec": "-999999999999999.999", "float": -0.1})).await;
    }
    let filter = "(filter: {label: {eq: \"min\"}})";
    assert_eq!(
        aggregate(&admin, filter, "sum { big dec float } avg { big dec float }").await,
        json!({
            "sum": {"big": "-18446744073709551616", "dec": "-1999999999999999.998", "float": -0.2},
            "avg": {"big": -9.223372036854776e18, "dec": "-999999999999999.999000000", "float": -0.1},
        })
    );
}

async fn nothing_gives_null(case: &Case) {
    let server = server(case).await;
    let admin = server.client(&Caller::admin());
    let none = |count: i64| {
        let numbers = json!({"int": null, "big": null, "dec": null, "float": null});
        let mut extremes = numbers.clone();
        ["label", "at", "day"].iter().for_each(|name| extremes[*name] = Value::Null);
        json!({"count": count, "sum": numbers, "avg": numbers, "min": extremes, "max": extremes})
    };
    assert_eq!(aggregate(&admin, "", EVERY).await, none(0));
    add(&admin, json!({"flag": true})).await;
    assert_eq!(aggregate(&admin, "", EVERY).await, none(1));
    let groups = "{ things(filter: {flag: {eq: false}}) { groupBy(by: [FLAG]) { nodes { count } hasMore } } }";
    let data = admin.data(groups, json!({})).await;
    assert_eq!(data["things"]["groupBy"], json!({"nodes": [], "hasMore": false}));
}

async fn numbers_follow_filter_and_rights_and_not_the_page(case: &Case) {
    let server = server(case).await;
    let admin = server.client(&Caller::admin());
    for int in 1..=5 {
        add(&admin, json!({"int": int, "owner": "owner"})).await;
    }
    let numbers = "count sum { int }";
    let all = json!({"count": 5, "sum": {"int": "15"}});
    assert_eq!(aggregate(&admin, "(first: 1)", numbers).await, all);
    assert_eq!(aggregate(&admin, "(last: 1, orderBy: [{int: DESC}])", numbers).await, all);
    assert_eq!(aggregate(&admin, "(first: 0)", numbers).await, all);
    assert_eq!(aggregate(&admin, "(filter: {int: {gt: 3}})", numbers).await, json!({"count": 2, "sum": {"int": "9"}}));
    let nothing = json!({"count": 0, "sum": {"int": null}});
    for (caller, expected) in [
        (Caller::anonymous(), &nothing),
        (Caller::user("somebody"), &nothing),
        (Caller::user("owner"), &all),
        (Caller::user("somebody").role("staff"), &all),
    ] {
        assert_eq!(aggregate(&server.client(&caller), "", numbers).await, *expected, "{caller:?}");
    }
    // Under several names, beside rows and their number.
    let query = "{ things(first: 2, orderBy: [{int: DESC}]) { a: aggregate { n: count sum { s: int } __typename }
        totalCount nodes { int } b: aggregate { max { int __typename } } } }";
    assert_eq!(
        admin.data(query, json!({})).await["things"],
        json!({"a": {"n": 5, "sum": {"s": "15"}, "__typename": "ThingAggregate"}, "totalCount": 5,
            "nodes": [{"int": 5}, {"int": 4}], "b": {"max": {"int": 5, "__typename": "ThingMax"}}})
    );
}

async fn lists_of_rows_have_numbers_of_their_own(case: &Case) {
    let server = server(case).await;
    let admin = server.client(&Caller::admin());
    let (top, low) = (add_shelf(&admin, json!({"name": "top"})).await, add_shelf(&admin, json!({"name": "low"})).await);
    for (shelf, dec, colour) in [(&top, "1.5", "RED"), (&top, "2.25", "GREEN"), (&top, "4", "RED")] {
        add(&admin, json!({"shelfId": shelf, "dec": dec, "colour": colour})).await;
    }
    let query = "{ shelfs(orderBy: [{name: DESC}]) { nodes { name things(first: 1) {
        aggregate { count sum { dec } } groupBy(by: [COLOUR]) { nodes { key { colour } count max { dec } } } } } } }";
    let group =
        |colour: &str, count: i64, max: &str| json!({"key": {"colour": colour}, "count": count, "max": {"dec": max}});
    assert_eq!(
        admin.data(query, json!({})).await["shelfs"]["nodes"],
        json!([
            {"name": "top", "things": {"aggregate": {"count": 3, "sum": {"dec": "7.750"}},
                "groupBy": {"nodes": [group("GREEN", 1, "2.250"), group("RED", 2, "4.000")]}}},
            {"name": "low", "things": {"aggregate": {"count": 0, "sum": {"dec": null}}, "groupBy": {"nodes": []}}},
        ])
    );
    // The caller sees the shelf and none of its things.
    let by_id = "query($id: ID!) { shelf(by: {id: $id}) { things { aggregate { count } } } }";
    let anonymous = server.client(&Caller::anonymous()).data(by_id, json!({"id": top})).await;
    assert_eq!(anonymous["shelf"]["things"]["aggregate"]["count"], json!(0));
    assert_eq!(admin.data(by_id, json!({"id": low})).await["shelf"]["things"]["aggregate"]["count"], json!(0));
}

async fn a_sum_beyond_a_float_is_told(case: &Case) {
    let server = server(case).await;
    let admin = server.client(&Caller::admin());
    for float in [f64::MAX, f64::MAX, 5e-324] {
        add(&admin, json!({"float": float})).await;
    }
    let query = "{ things { aggregate { sum { float } min { float } max { float } } } }";
    let response = admin.response(query, json!({})).await;
    assert_eq!(error_codes(&response), ["BAD_USER_INPUT"]);
    assert_eq!(response["errors"][0]["path"], json!(["things", "aggregate", "sum", "float"]));
    let expected = json!({"sum": {"float": null}, "min": {"float": 5e-324}, "max": {"float": f64::MAX}});
    assert_eq!(response["data"]["things"]["aggregate"], expected);
}

async fn groups(client: &Client, arguments: &str, selection: &str) -> Value {
    let query = format!("{{ things {{ groupBy({arguments}) {{ nodes {{ {selection} }} }} }} }}");
    client.data(&query, json!({})).await["things"]["groupBy"]["nodes"].take()
}

async fn rows_are_grouped(case: &Case) {
    let server = server(case).await;
    let admin = server.client(&Caller::admin());
    let (seen, hidden) = (
        add_shelf(&admin, json!({"name": "seen"})).await,
        add_shelf(&admin, json!({"name": "hidden", "hidden": true})).await,
    );
    for (label, colour, flag, int, shelf) in [
        ("b", json!("RED"), json!(true), 1, json!(seen)),
        ("a", json!("GREEN"), json!(false), 2, json!(seen)),
        ("a", json!("RED"), json!(true), 4, json!(hidden)),
        ("B", Value::Null, Value::Null, 8, Value::Null),
    ] {
        add(&admin, json!({"label": label, "colour": colour, "flag": flag, "int": int, "shelfId": shelf})).await;
    }
    let staff = server.client(&Caller::user("somebody").role("staff"));
    for client in [&admin, &staff] {
        assert_eq!(
            groups(client, "by: [COLOUR]", "key { colour label } count sum { int }").await,
            json!([
                {"key": {"colour": null, "label": null}, "count": 1, "sum": {"int": "8"}},
                {"key": {"colour": "GREEN", "label": null}, "count": 1, "sum": {"int": "2"}},
                {"key": {"colour": "RED", "label": null}, "count": 2, "sum": {"int": "5"}},
            ])
        );
        assert_eq!(
            groups(client, "by: [FLAG, COLOUR, FLAG]", "key { colour flag } count").await,
            json!([
                {"key": {"colour": null, "flag": null}, "count": 1},
                {"key": {"colour": "GREEN", "flag": false}, "count": 1},
                {"key": {"colour": "RED", "flag": true}, "count": 2},
            ])
        );
        // By code point, and without any number.
        assert_eq!(
            groups(client, "by: [LABEL]", "key { label __typename }").await,
            json!(["B", "a", "b"].map(|label| json!({"key": {"label": label, "__typename": "ThingGroupKey"}})))
        );
        assert_eq!(
            groups(client, "by: INT, first: 2", "__typename key { int } avg { int }").await,
            json!(
                [1, 2].map(
                    |int| json!({"__typename": "ThingGroup", "key": {"int": int}, "avg": {"int": f64::from(int)}})
                )
            )
        );
    }
    let by_shelf = "key { shelfId shelf { id name } } max { int }";
    let group =
        |id: &Value, shelf: Value, int: i64| json!({"key": {"shelfId": id, "shelf": shelf}, "max": {"int": int}});
    let (seen, hidden) = (json!(seen), json!(hidden));
    let seen_shelf = json!({"id": seen, "name": "seen"});
    let (nothing, null) = (group(&Value::Null, Value::Null, 8), Value::Null);
    assert_eq!(
        groups(&admin, "by: [SHELF_ID]", by_shelf).await,
        json!([
            nothing,
            group(&seen, seen_shelf.clone(), 2),
            group(&hidden, json!({"id": hidden, "name": "hidden"}), 4)
        ])
    );
    // Whoever may not see the shelf has its id, as the thing itself shows it, and nothing else of it.
    assert_eq!(
        groups(&staff, "by: [SHELF_ID]", by_shelf).await,
        json!([nothing, group(&seen, seen_shelf, 2), group(&hidden, null, 4)])
    );
}

async fn times_are_grouped_in_utc(case: &Case) {
    let server = server(case).await;
    let admin = server.client(&Caller::admin());
    for (at, day) in [
        ("0001-01-01T00:00:00Z", "0001-01-01"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31"),
        ("1970-01-01T00:00:00Z", "1970-01-01"),
        // A Sunday in Greenwich, a Monday in Berlin.
        ("2026-03-02T00:30:00+01:00", "2026-03-01"),
        ("2026-03-02T00:00:00Z", "2026-03-02"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31"),
    ] {
        add(&admin, json!({"at": at, "day": day})).await;
    }
    for (part, expected) in [
        ("Day", &["0001-01-01", "1969-12-31", "1970-01-01", "2026-03-01", "2026-03-02", "9999-12-31"][..]),
        ("Week", &["0001-01-01", "1969-12-29", "2026-02-23", "2026-03-02", "9999-12-27"]),
        ("Month", &["0001-01-01", "1969-12-01", "1970-01-01", "2026-03-01", "9999-12-01"]),
        ("Year", &["0001-01-01", "1969-01-01", "1970-01-01", "2026-01-01", "9999-01-01"]),
    ] {
        for field in ["at", "day"] {
            let is_day = field == "day" && part == "Day";
            let name = if is_day { field.to_owned() } else { format!("{field}{part}") };
            let value = if is_day { "DAY".to_owned() } else { format!("{field}_{part}").to_uppercase() };
            let found = groups(&admin, &format!("by: {value}"), &format!("key {{ d: {name} }} count")).await;
            let found = found.as_array().expect("groups are a list");
            let days: Vec<_> = found.iter().map(|group| text(&group["key"]["d"])).collect();
            assert_eq!(days, expected, "{name}");
            assert_eq!(found.iter().map(|group| number(&group["count"])).sum::<i64>(), 6, "{name}");
        }
    }
}

async fn groups_are_bounded_and_say_so(case: &Case) {
    let server = server(case).await;
    let admin = server.client(&Caller::admin());
    for int in 0..3 {
        add(&admin, json!({"int": int})).await;
    }
    for (first, count, has_more) in [(0, 0, true), (2, 2, true), (3, 3, false), (1000, 3, false)] {
        let query =
            format!("{{ things {{ groupBy(by: [INT], first: {first}) {{ nodes {{ count }} hasMore __typename }} }} }}");
        let data = admin.data(&query, json!({})).await;
        let page = &data["things"]["groupBy"];
        assert_eq!(page["nodes"].as_array().map(Vec::len), Some(count), "{first}");
        assert_eq!((&page["hasMore"], &page["__typename"]), (&json!(has_more), &json!("ThingGroupPage")), "{first}");
    }
    for (query, code) in [
        ("{ things { groupBy(by: [INT], first: 1001) { hasMore } } }", "BAD_USER_INPUT"),
        ("{ things { groupBy(by: [], first: 1) { hasMore } } }", "BAD_USER_INPUT"),
        (
            "{ things { groupBy(by: [INT, LABEL, COLOUR, FLAG, AT_DAY, AT_WEEK, AT_MONTH, AT_YEAR, DAY]) { hasMore } } }",
            "BAD_USER_INPUT",
        ),
        ("{ things { groupBy(by: [FLOAT]) { hasMore } } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ shelfs(first: 1000) { nodes { things { groupBy(by: [INT], first: 1000) { hasMore } } } } }",
            "COST_LIMIT_EXCEEDED",
        ),
    ] {
        assert_eq!(error_codes(&admin.response(query, json!({})).await), [code], "{query}");
    }
    // An aggregate costs as much as the row that it belongs to, not a page.
    admin.data("{ shelfs(first: 1000) { nodes { things { aggregate { count } } } } }", json!({})).await;
}

async fn what_may_not_be_read_is_not_counted_by(case: &Case) {
    let server = server(case).await;
    let admin = server.client(&Caller::admin());
    add(&admin, json!({"secret": 7})).await;
    let documents = [
        "{ things { aggregate { max { secret } } } }",
        "{ things { aggregate { sum { secret } } } }",
        "{ things { groupBy(by: [SECRET]) { nodes { count } } } }",
        "{ things { groupBy(by: [LABEL]) { nodes { avg { secret } } } } }",
    ];
    let staff = server.client(&Caller::user("somebody").role("staff"));
    for document in documents {
        let response = staff.response(document, json!({})).await;
        assert_eq!(error_codes(&response), ["FORBIDDEN"], "{document}");
        assert_eq!(response["data"], Value::Null, "{document}");
    }
    let boss = server.client(&Caller::user("somebody").role("staff").role("boss"));
    for document in documents {
        boss.data(document, json!({})).await;
    }
    // A private field is none of the API.
    let response = boss.response("{ things { aggregate { max { mark } } } }", json!({})).await;
    assert_eq!(error_codes(&response), ["GRAPHQL_VALIDATION_FAILED"]);
}

async fn an_aggregate_is_part_of_the_one_statement(case: &Case) {
    let server = server(case).await;
    let admin = server.client(&Caller::admin());
    let query = "{ shelfs { aggregate { count } groupBy(by: [NAME]) { nodes { key { name } count } } nodes { things {
        totalCount aggregate { sum { int } } groupBy(by: [SHELF_ID]) { nodes { key { shelf { name } } } } } } asOf } }";
    let response = admin.response(query, json!({})).await;
    assert_eq!(error_codes(&response), [""; 0]);
    assert_eq!(number(&response["extensions"]["debug"]["statements"]), 1);
}
