//! Subscriptions over WebSocket: the transport, what a change says, and what enters and leaves.

use serde_json::{Value, json};
use tandem_tests::client::{error_codes, text};
use tandem_tests::live::Incoming;
use tandem_tests::shop::{
    self, CREATE_PRODUCT, DELETE_PRODUCT, UPDATE_CUSTOMER, UPDATE_ORDER, UPDATE_PRODUCT, add_customer, add_order,
    add_product, catalog_team, support_staff,
};
use tandem_tests::{Caller, Case, Live, Server, on_both, wait};

const CHANGED: &str = "subscription($filter: ProductFilter, $kinds: [ChangeKind!], $after: String) {
    productChanged(filter: $filter, kinds: $kinds, after: $after) {
        kind transition nodeId version changedFields type after { sku stock name } before { sku stock name } } }";

on_both!(
    a_change_says_what_happened,
    a_filter_lets_rows_enter_stay_and_leave,
    rights_let_rows_enter_and_leave,
    kinds_and_events_select,
    a_subscription_begins_now,
    five_quick_updates_are_five_payloads,
    related_rows_are_as_they_were,
    a_field_error_does_not_end_the_stream,
    a_bad_cursor_is_refused,
    a_bad_subscription_is_refused,
    the_socket_speaks_its_protocol,
    the_socket_closes_with_the_right_codes,
    queries_and_mutations_work_over_the_socket,
    a_stopping_server_says_so,
);

async fn follow(server: &Server, caller: &Caller, variables: Value) -> Live {
    server.live(caller).await.following(CHANGED, variables).await
}

async fn a_change_says_what_happened(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    let mut live = follow(&server, &Caller::anonymous(), json!({"after": start})).await;
    let id = add_product(&admin, "SKU-1").await;
    admin.done(UPDATE_PRODUCT, json!({"id": id, "patch": {"stock": 4}})).await;
    let deleted = admin.done(DELETE_PRODUCT, json!({"id": id})).await;
    let [created, updated, removed] = live.events(3).await.try_into().expect("three events");
    assert_eq!(
        created.change,
        json!({"kind": "CREATED", "transition": "ENTERED", "nodeId": id, "version": 1,
            "changedFields": created.change["changedFields"], "type": "Product",
            "after": {"sku": "SKU-1", "stock": 0, "name": "Product SKU-1"}, "before": null})
    );
    assert_eq!(
        updated.change,
        json!({"kind": "UPDATED", "transition": "STAYED", "nodeId": id, "version": 2,
            "changedFields": updated.change["changedFields"], "type": "Product",
            "after": {"sku": "SKU-1", "stock": 4, "name": "Product SKU-1"},
            "before": {"sku": "SKU-1", "stock": 0, "name": "Product SKU-1"}})
    );
    let changed = updated.change["changedFields"].as_array().expect("a list");
    assert!(changed.contains(&json!("stock")) && !changed.contains(&json!("sku")), "{changed:?}");
    assert_eq!(
        removed.change,
        json!({"kind": "DELETED", "transition": "LEFT", "nodeId": id, "version": 3,
            "changedFields": removed.change["changedFields"], "type": "Product", "after": null,
            "before": {"sku": "SKU-1", "stock": 4, "name": "Product SKU-1"}})
    );
    assert_eq!(removed.cursor, text(&deleted["change"]["cursor"]), "one cursor in every channel");
}

async fn a_filter_lets_rows_enter_stay_and_leave(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    let variables = json!({"after": start, "filter": {"stock": {"gte": 10}}});
    let mut live = follow(&server, &Caller::anonymous(), variables).await;
    let id = add_product(&admin, "SKU-1").await;
    for stock in [5, 10, 11, 9, 8, 20] {
        admin.done(UPDATE_PRODUCT, json!({"id": id, "patch": {"stock": stock}})).await;
    }
    admin.done(DELETE_PRODUCT, json!({"id": id})).await;
    let mut seen = Vec::new();
    for event in live.events(5).await {
        let change = event.change;
        seen.push((text(&change["transition"]), change["after"]["stock"].clone(), change["before"]["stock"].clone()));
    }
    let expected = [
        ("ENTERED", json!(10), Value::Null),
        ("STAYED", json!(11), json!(10)),
        ("LEFT", Value::Null, Value::Null),
        ("ENTERED", json!(20), Value::Null),
        ("LEFT", Value::Null, json!(20)),
    ];
    for ((transition, after, before), expected) in seen.iter().zip(&expected) {
        assert_eq!((transition.as_str(), after), (expected.0, &expected.1), "{seen:?}");
        // What is shown of before is only required where both images match, or the row is gone.
        assert!(expected.2.is_null() || *before == expected.2, "{seen:?}");
    }
}

async fn rights_let_rows_enter_and_leave(case: &Case) {
    const RULES: &str = r#"
type Doc @resource @auth(rules: [{ allow: WHERE, filter: { team: { eq: "$claims.team" } }, operations: [READ] }]) {
  team: String!
  title: String!
}"#;
    let path = case.file("docs.graphql", RULES);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let admin = server.client(&Caller::admin());
    let create = "mutation { createDoc(input: {team: \"red\", title: \"one\"}) { doc { id } change { cursor } userErrors { code } } }";
    let created = admin.data(create, json!({})).await;
    let id = created["createDoc"]["doc"]["id"].clone();
    let after = created["createDoc"]["change"]["cursor"].clone();
    let blue = Caller::user("b").claim("team", json!("blue"));
    let red = Caller::user("r").claim("team", json!("red"));
    let document = "subscription($after: String) { docChanged(after: $after) { kind transition nodeId after { title team } before { title } } }";
    let mut reds = server.live(&red).await.following(document, json!({"after": after})).await;
    let mut blues = server.live(&blue).await.following(document, json!({"after": after})).await;
    for patch in [json!({"title": "two"}), json!({"team": "blue"}), json!({"title": "three"}), json!({"team": "red"})] {
        let update = "mutation($input: UpdateDocInput!) { updateDoc(input: $input) { userErrors { code } } }";
        admin.done(update, json!({"id": id, "patch": patch})).await;
    }
    let told = |events: Vec<tandem_tests::live::Event>| {
        let change =
            |event: tandem_tests::live::Event| (text(&event.change["transition"]), event.change["after"].clone());
        events.into_iter().map(change).collect::<Vec<_>>()
    };
    let image = |title: &str, team: &str| json!({"title": title, "team": team});
    assert_eq!(
        told(reds.events(3).await),
        [
            ("STAYED".to_owned(), image("two", "red")),
            ("LEFT".to_owned(), Value::Null),
            ("ENTERED".to_owned(), image("three", "red")),
        ]
    );
    let seen = blues.events(3).await;
    assert!(seen[0].change["before"].is_null(), "what was before they could see it is not theirs: {seen:?}");
    assert_eq!(
        told(seen),
        [
            ("ENTERED".to_owned(), image("two", "blue")),
            ("STAYED".to_owned(), image("three", "blue")),
            ("LEFT".to_owned(), Value::Null),
        ]
    );
}

async fn kinds_and_events_select(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let start = shop::now(&admin).await;
    let id = add_product(&admin, "SKU-1").await;
    admin.done(UPDATE_PRODUCT, json!({"id": id, "patch": {"stock": 1}})).await;
    let customer = add_customer(&alice, "alice@example.org").await;
    add_order(&alice, &customer, &id).await;
    let second = add_product(&admin, "SKU-2").await;
    admin.done(DELETE_PRODUCT, json!({"id": second})).await;
    for (arguments, expected) in [
        ("events: [\"product.created\", \"order_line.*\"]", &["1", "5", "6"][..]),
        ("types: [\"Customer\", \"Order\"]", &["3", "4"]),
        ("kinds: [DELETED, UPDATED]", &["2", "7"]),
        ("types: [\"Product\"], kinds: [DELETED]", &["7"]),
    ] {
        let document = format!("subscription($after: String) {{ changes({arguments}, after: $after) {{ position }} }}");
        let mut live = server.live(&Caller::admin()).await.following(&document, json!({"after": start})).await;
        let events = live.events(expected.len()).await;
        let found: Vec<String> = events.iter().map(|event| text(&event.change["position"])).collect();
        assert_eq!(found, expected, "{arguments}");
    }
    let mut live = follow(&server, &Caller::admin(), json!({"after": start, "kinds": ["UPDATED", "DELETED"]})).await;
    assert_eq!(live.event().await.change["kind"], json!("UPDATED"));
    assert_eq!(live.event().await.change["kind"], json!("DELETED"));
}

async fn a_subscription_begins_now(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    add_product(&admin, "OLD-1").await;
    let mut live = follow(&server, &Caller::anonymous(), json!({})).await;
    // No message says that a subscription has begun, so something new is written until the first one arrives.
    let mut number = 0;
    let first = loop {
        number += 1;
        add_product(&admin, &format!("NEW-{number}")).await;
        let next = tokio::time::timeout(std::time::Duration::from_millis(200), live.event()).await;
        if let Ok(event) = next {
            break event;
        }
        assert!(number < 100, "nothing of {number} changes arrived");
    };
    assert!(text(&first.change["after"]["sku"]).starts_with("NEW-"), "{first:?}");
}

async fn five_quick_updates_are_five_payloads(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let id = add_product(&admin, "SKU-1").await;
    let start = shop::now(&admin).await;
    for stock in 1..=5 {
        admin.done(UPDATE_PRODUCT, json!({"id": id, "patch": {"stock": stock}})).await;
    }
    let mut live = follow(&server, &Caller::anonymous(), json!({"after": start})).await;
    let stocks: Vec<Value> = live.events(5).await.iter().map(|e| e.change["after"]["stock"].clone()).collect();
    assert_eq!(json!(stocks), json!([1, 2, 3, 4, 5]));
}

async fn related_rows_are_as_they_were(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let product = add_product(&admin, "SKU-1").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    alice.done(UPDATE_CUSTOMER, json!({"id": customer, "patch": {"name": "First"}})).await;
    let start = shop::now(&admin).await;
    let order = add_order(&alice, &customer, &product).await;
    alice.done(UPDATE_CUSTOMER, json!({"id": customer, "patch": {"name": "Second"}})).await;
    alice.done(UPDATE_ORDER, json!({"id": order, "patch": {"status": "PLACED"}})).await;
    alice.done(shop::DELETE_ORDER, json!({"id": order})).await;
    alice.done(shop::DELETE_CUSTOMER, json!({"id": customer})).await;
    admin.done(DELETE_PRODUCT, json!({"id": product})).await;
    // Long after the rows are gone, a stream from before tells of them as they were.
    let document =
        "subscription($after: String) { changes(types: [\"Order\", \"OrderLine\"], after: $after) { kind type
        ... on OrderChange { after { status customer { name } } before { status customerId } }
        ... on OrderLineChange { after { quantity order { status customer { name } } product { sku } } } } }";
    let mut live = server.live(&Caller::user("alice")).await.following(document, json!({"after": start})).await;
    let found: Vec<Value> = live.events(5).await.into_iter().map(|event| event.change).collect();
    let expected = json!([
        {"kind": "CREATED", "type": "Order", "after": {"status": "DRAFT", "customer": {"name": "First"}}, "before": null},
        {"kind": "CREATED", "type": "OrderLine",
            "after": {"quantity": 1, "order": {"status": "DRAFT", "customer": {"name": "First"}}, "product": {"sku": "SKU-1"}}},
        {"kind": "UPDATED", "type": "Order", "after": {"status": "PLACED", "customer": {"name": "Second"}},
            "before": {"status": "DRAFT", "customerId": customer}},
        {"kind": "DELETED", "type": "OrderLine", "after": null},
        {"kind": "DELETED", "type": "Order", "after": null, "before": {"status": "PLACED", "customerId": customer}},
    ]);
    assert_eq!(json!(found), expected);
}

async fn a_field_error_does_not_end_the_stream(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    for number in 0..3 {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    let document = "subscription($after: String) { productChanged(after: $after) { after { sku cost } } }";
    let mut live = server.live(&Caller::user("alice")).await.following(document, json!({"after": start})).await;
    for (number, event) in live.events(3).await.into_iter().enumerate() {
        assert_eq!(event.change["after"], json!({"sku": format!("SKU-{number}"), "cost": null}));
        assert_eq!(error_codes(&event.payload), ["FORBIDDEN"]);
        assert_eq!(event.payload["errors"][0]["path"], json!(["productChanged", "after", "cost"]));
    }
    let mut live = server.live(&catalog_team()).await.following(document, json!({"after": start})).await;
    assert!(live.event().await.payload.get("errors").is_none());
}

async fn a_bad_cursor_is_refused(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let cursor = shop::now(&admin).await;
    for cursor in ["", "nonsense", "🦀", &cursor[1..], &format!("{cursor}AAAAAAAAAAAAAAAAAAAAAAAA")] {
        let mut live = follow(&server, &Caller::anonymous(), json!({"after": cursor})).await;
        assert_eq!(live.error_codes().await, ["CURSOR_INVALID"], "{cursor:?}");
    }
}

async fn a_bad_subscription_is_refused(case: &Case) {
    let server = case.server().await;
    let mut live = server.live(&Caller::admin()).await;
    for (document, code) in [
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { productChanged { id } changes { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { changes(types: [\"Nothing\"]) { id } }", "BAD_USER_INPUT"),
    ] {
        live.start(document, json!({})).await;
        let mut codes = live.error_codes().await;
        codes.dedup();
        assert_eq!(codes, [code], "{document}");
    }
    // A fragment at the root is a subscription like any other.
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    let document =
        "subscription($after: String) { ...F } fragment F on Subscription { productChanged(after: $after) { kind } }";
    live.start(document, json!({"after": start})).await;
    add_product(&admin, "SKU-1").await;
    assert_eq!(live.event().await.change["kind"], json!("CREATED"));
}

async fn the_socket_speaks_its_protocol(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    let mut live = server.live(&Caller::anonymous()).await;
    live.send(json!({"type": "ping"})).await;
    assert!(matches!(live.receive().await, Incoming::Pong));
    // Two operations on one socket, told apart by their ids; one that is over sends nothing more.
    let first = live.start(CHANGED, json!({"after": start})).await;
    let second = live.start(CHANGED, json!({"after": start})).await;
    add_product(&admin, "SKU-1").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        match live.receive().await {
            Incoming::Next(id, _) => ids.push(id),
            other => panic!("expected a result, got {other:?}"),
        }
    }
    ids.sort();
    assert_eq!(ids, [first.clone(), second.clone()]);
    live.send(json!({"type": "complete", "id": first})).await;
    live.send(json!({"type": "ping"})).await;
    assert!(matches!(live.receive().await, Incoming::Pong), "a client's complete is not echoed");
    add_product(&admin, "SKU-2").await;
    add_product(&admin, "SKU-3").await;
    for _ in 0..2 {
        assert!(matches!(live.receive().await, Incoming::Next(id, _) if id == second));
    }
}

async fn the_socket_closes_with_the_right_codes(case: &Case) {
    let server = case.server().await;
    let mut unknown = server.live(&Caller::anonymous()).await;
    unknown.send(json!({"type": "nonsense"})).await;
    assert_closed(&mut unknown, 4400).await;

    let mut early = Live::open(server.address()).await;
    early.send(json!({"type": "subscribe", "id": "1", "payload": {"query": CHANGED}})).await;
    assert_closed(&mut early, 4401).await;

    let mut twice = server.live(&Caller::anonymous()).await;
    twice.send(json!({"type": "connection_init"})).await;
    assert_closed(&mut twice, 4429).await;

    let mut same = server.live(&Caller::anonymous()).await;
    let id = same.start(CHANGED, json!({})).await;
    same.send(json!({"type": "subscribe", "id": id, "payload": {"query": CHANGED}})).await;
    assert_closed(&mut same, 4409).await;

    let mut forged = Live::open(server.address()).await;
    forged.send(json!({"type": "connection_init", "payload": {"authorization": "Bearer nonsense"}})).await;
    assert_closed(&mut forged, 4403).await;
}

async fn assert_closed(live: &mut Live, code: u16) {
    match live.receive().await {
        Incoming::Closed(found, reason) => assert_eq!(found, code, "{reason}"),
        other => panic!("expected the socket to close with {code}, got {other:?}"),
    }
}

async fn queries_and_mutations_work_over_the_socket(case: &Case) {
    let server = case.server().await;
    let mut live = server.live(&catalog_team()).await;
    let id = live.start(CREATE_PRODUCT, json!({"input": shop::product("SKU-1")})).await;
    let (next, complete) = (live.receive_plain().await, live.receive_plain().await);
    assert_eq!((next["type"].as_str(), next["id"].as_str()), (Some("next"), Some(id.as_str())));
    assert_eq!(next["payload"]["data"]["createProduct"]["product"]["sku"], json!("SKU-1"));
    assert_eq!(complete, json!({"type": "complete", "id": id}));
    live.start("{ viewer { sub roles } }", json!({})).await;
    let next = live.receive_plain().await;
    assert_eq!(next["payload"]["data"]["viewer"], json!({"sub": "kate", "roles": ["catalog"]}));
}

async fn a_stopping_server_says_so(case: &Case) {
    let mut server = case.server().await;
    let admin = server.client(&Caller::admin());
    let cursor = shop::now(&admin).await;
    let mut live = follow(&server, &support_staff(), json!({"after": cursor})).await;
    add_product(&admin, "SKU-1").await;
    let seen = live.event().await;
    let (status, ()) = tokio::join!(server.stop(), assert_closed(&mut live, 1012));
    assert!(status.success(), "a server that was asked to stop ends well: {status}");
    server.restart().await;
    add_product(&server.client(&Caller::admin()), "SKU-2").await;
    let mut live = follow(&server, &support_staff(), json!({"after": seen.cursor})).await;
    assert_eq!(live.event().await.change["after"]["sku"], json!("SKU-2"));
    wait::until("the server is ready", async || {
        let ready = reqwest::get(server.url("/readyz")).await.ok()?;
        ready.status().is_success().then_some(())
    })
    .await;
}
