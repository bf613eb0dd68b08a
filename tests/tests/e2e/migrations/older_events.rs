//! Events that are older than what the resource file requires, and values that it has no more.

use serde_json::{Value, json};
use tandem_tests::{Caller, Case, Client, on_both};

use super::{create, start, update, with};

on_both!(
    a_value_that_an_older_event_lacks,
    a_related_row_without_a_value,
    a_field_of_the_same_name_is_another_one,
    types_change_under_older_events,
);

async fn changes(client: &Client, selection: &str) -> Value {
    client.response(&format!("{{ changes(first: 100) {{ nodes {{ {selection} }} }} }}"), json!({})).await
}

async fn a_value_that_an_older_event_lacks(case: &Case) {
    let mut server = start(case, "type Item @resource { name: String  rank: Int }").await;
    let admin = server.client(&Caller::admin());
    let id = create(&admin, "Item", json!({})).await;
    update(&admin, "Item", &id, json!({"name": "one"})).await;
    server.stop().await;

    let required = r#"type Item @resource {
        name: String!  rank: Int! @default(value: 7)  at: DateTime! @default(now: true)  kind: String! @default(value: "plain")
    }"#;
    let settings = with(case, required).with("--allow", "fill:Item.rank");
    let server = case.start(settings).await;
    let admin = server.client(&Caller::admin());
    let seen = changes(&admin, "kind ... on ItemChange { after { id rank kind at createdAt } }").await;
    let created = &seen["data"]["changes"]["nodes"][0]["after"];
    assert_eq!((&created["rank"], &created["kind"]), (&json!(7), &json!("plain")), "what the rows got");
    assert_eq!(created["at"], created["createdAt"]);
    assert!(seen.get("errors").is_none(), "{seen}");

    let seen = changes(&admin, "kind ... on ItemChange { after { id name } before { name } }").await;
    let nodes = &seen["data"]["changes"]["nodes"];
    assert_eq!(nodes[0], json!({"kind": "CREATED", "after": null, "before": null}));
    assert_eq!(nodes[1], json!({"kind": "UPDATED", "after": {"id": id, "name": "one"}, "before": null}));
    let paths: Vec<_> = seen["errors"].as_array().expect("errors").iter().map(|error| error["path"].clone()).collect();
    assert_eq!(
        paths,
        [json!(["changes", "nodes", 0, "after", "name"]), json!(["changes", "nodes", 1, "before", "name"])],
        "{seen}"
    );
}

async fn a_related_row_without_a_value(case: &Case) {
    let file = |name: &str, access: &str| {
        format!(
            "type Item @resource {access} {{ name: {name} }}
             type Line @resource {{ item: Item! @relation(onDelete: CASCADE)  other: Item @relation(onDelete: CASCADE) }}"
        )
    };
    let open = "@auth(rules: [{ allow: PUBLIC }])";
    let mut server = start(case, &file("String", open)).await;
    let admin = server.client(&Caller::admin());
    let item = create(&admin, "Item", json!({})).await;
    create(&admin, "Line", json!({"itemId": item, "otherId": item})).await;
    update(&admin, "Item", &item, json!({"name": "one"})).await;
    server.stop().await;

    let server = start(case, &file("String!", open)).await;
    let admin = server.client(&Caller::admin());
    let selection = "... on LineChange { one: after { other { name } } two: after { item { name } } }";
    let seen = changes(&admin, selection).await;
    let line = &seen["data"]["changes"]["nodes"][1];
    assert_eq!(*line, json!({"one": {"other": null}, "two": null}), "null is where null may be: {seen}");
    let paths: Vec<_> = seen["errors"].as_array().expect("errors").iter().map(|error| error["path"].clone()).collect();
    assert_eq!(
        paths,
        [json!(["changes", "nodes", 1, "one", "other", "name"]), json!(["changes", "nodes", 1, "two", "item", "name"])]
    );
}

async fn a_field_of_the_same_name_is_another_one(case: &Case) {
    let mut server = start(case, "type Item @resource { note: String  a: Int } type Gone @resource { a: Int }").await;
    let admin = server.client(&Caller::admin());
    create(&admin, "Item", json!({"note": "text"})).await;
    create(&admin, "Gone", json!({"a": 1})).await;
    server.stop().await;

    let mut server =
        case.start(with(case, "type Item @resource { a: Int }").with("--allow", "drop:Item.note,drop:Gone")).await;
    let admin = server.client(&Caller::admin());
    create(&admin, "Item", json!({"a": 2})).await;
    server.stop().await;

    let server = start(case, "type Item @resource { a: Int  note: Int } type Gone @resource { b: Int }").await;
    let admin = server.client(&Caller::admin());
    create(&admin, "Item", json!({"note": 3})).await;
    create(&admin, "Gone", json!({"b": 4})).await;
    let seen =
        changes(&admin, "changedFields ... on ItemChange { after { note a } } ... on GoneChange { gone: after { b } }")
            .await;
    assert_eq!(
        seen["data"]["changes"]["nodes"],
        json!([
            {"changedFields": [], "after": {"note": null, "a": null}},
            {"changedFields": ["a"], "after": {"note": null, "a": 2}},
            {"changedFields": ["note"], "after": {"note": 3, "a": null}},
            {"changedFields": ["b"], "gone": {"b": 4}},
        ])
    );
}

async fn types_change_under_older_events(case: &Case) {
    let before = r#"enum Mood { GOOD BAD }
    type Item @resource {
      a: Int  b: Decimal @decimal(precision: 9, scale: 2)  c: Date  d: UUID  e: BigInt  f: Mood  g: String  h: [Mood!]
    }"#;
    let after = r#"enum Mood { GOOD }
    type Item @resource {
      a: Decimal @decimal(precision: 12, scale: 2)  b: Decimal @decimal(precision: 12, scale: 4)  c: DateTime  d: String
      e: Int  f: Mood  g: Mood  h: [Mood!]
    }"#;
    let mut server = start(case, before).await;
    let admin = server.client(&Caller::admin());
    let uuid = "01890a5d-ac96-774b-bcce-b302099a8057";
    let first = json!({"a": 7, "b": "1.50", "c": "2026-01-31", "d": uuid, "e": "4000000000", "f": "BAD", "g": "BAD", "h": ["BAD"]});
    let id = create(&admin, "Item", first).await;
    update(&admin, "Item", &id, json!({"e": "4", "f": "GOOD", "g": "GOOD", "h": ["GOOD"]})).await;
    server.stop().await;

    let server = case.start(with(case, after).with("--allow", "narrow:Item.e,narrow:Item.g")).await;
    let admin = server.client(&Caller::admin());
    let seen = changes(&admin, "... on ItemChange { after { a b c d e f g h } }").await;
    let same = json!({"a": "7.00", "b": "1.5000", "c": "2026-01-31T00:00:00.000000Z", "d": uuid});
    let with_rest = |rest: Value| {
        let mut all = same.clone();
        all.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        json!({"after": all})
    };
    assert_eq!(
        seen["data"]["changes"]["nodes"],
        json!([
            // What the types of now cannot hold is null.
            with_rest(json!({"e": null, "f": null, "g": null, "h": null})),
            with_rest(json!({"e": 4, "f": "GOOD", "g": "GOOD", "h": ["GOOD"]})),
        ])
    );
    let row = admin.data("query($id: ID!) { item(by: {id: $id}) { a b c d e f g h } }", json!({"id": id})).await;
    assert_eq!(row["item"], seen["data"]["changes"]["nodes"][1]["after"], "rows and events are converted alike");
}
