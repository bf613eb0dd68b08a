//! Access with the shipped store: every root field for an anonymous, a forbidden and an allowed caller.
//!
//! The cases are a table, in [`cases`]; a test over the schema fails when a root field has none.

mod cases;
mod shop;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tandem_tests::client::{error_codes, text, user_errors};
use tandem_tests::live::Incoming;
use tandem_tests::{Backend, Caller, Case, Server, on_both};

use cases::{Access, Expect, Kind, TABLE};
use shop::Shop;

on_both!(every_caller_gets_what_the_rules_say, nested_rows_and_fields_follow_the_same_rules);

async fn every_caller_gets_what_the_rules_say(case: &Case) {
    let server = case.server().await;
    let mut failures = Vec::new();
    for (number, access) in TABLE.iter().enumerate() {
        let mut shop = Shop::build(&server, number).await;
        if access.document.contains("$aliceDelivery") {
            shop.add_delivery(&server).await;
        }
        if access.document.contains("$aliceReplay") {
            shop.add_replay(&server).await;
        }
        if let Err(failure) = check(&server, &shop, access).await {
            failures.push(format!("{} for {:?}: {failure}\n  {}", access.field, access.kind, access.document));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), TABLE.len(), failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_root_field_has_its_three_cases() {
    tandem_tests::case::run(Backend::Sqlite, async |case: &Case| {
        let server = case.server().await;
        let query = "{ __schema { queryType { name fields { name } } mutationType { name fields { name } }
            subscriptionType { name fields { name } } } }";
        let data = server.client(&Caller::admin()).data(query, json!({})).await;
        let mut fields = BTreeMap::new();
        for root in ["queryType", "mutationType", "subscriptionType"] {
            let root = &data["__schema"][root];
            for field in root["fields"].as_array().expect("a root type has fields") {
                fields.insert(format!("{}.{}", text(&root["name"]), text(&field["name"])), BTreeSet::new());
            }
        }
        for access in TABLE {
            let kinds = fields.get_mut(access.field);
            kinds.unwrap_or_else(|| panic!("{} is no root field", access.field)).insert(access.kind);
        }
        let all = BTreeSet::from([Kind::Anonymous, Kind::Forbidden, Kind::Allowed]);
        for (field, kinds) in fields {
            assert_eq!(kinds, all, "{field} needs a case of each kind");
        }
    })
    .await;
}

async fn nested_rows_and_fields_follow_the_same_rules(case: &Case) {
    let server = case.server().await;
    let shop = Shop::build(&server, 0).await;
    let lines =
        "query($product: ID!) { product(by: {id: $product}) { orderLines { nodes { order { id } product { id } } } } }";
    for (caller, expected) in [
        (Caller::anonymous(), &[][..]),
        (shop.alice(), &["aliceOrder"][..]),
        (shop.bob(), &["bobOrder"]),
        (tandem_tests::shop::support_staff(), &["aliceOrder", "bobOrder"]),
    ] {
        let data = server.client(&caller).data(lines, shop.variables()).await;
        let nodes = data["product"]["orderLines"]["nodes"].as_array().expect("a connection has nodes");
        let mut orders: Vec<String> = nodes.iter().map(|line| text(&line["order"]["id"])).collect();
        let mut expected = shop.ids(expected);
        orders.sort();
        expected.sort();
        assert_eq!(orders, expected, "{caller:?}");
    }

    let cost = "query($product: ID!) { product(by: {id: $product}) { sku cost } }";
    let response = server.client(&shop.alice()).response(cost, shop.variables()).await;
    assert_eq!(error_codes(&response), ["FORBIDDEN"]);
    assert_eq!(response["errors"][0]["path"], json!(["product", "cost"]));
    assert_eq!(response["data"]["product"]["cost"], Value::Null);
    assert!(response["data"]["product"]["sku"].is_string(), "the fields beside it are there: {response}");
}

async fn check(server: &Server, shop: &Shop, access: &Access) -> Result<(), String> {
    let token = (access.token)(shop);
    if access.field.starts_with("Subscription.") {
        return check_subscription(server, shop, access, token).await;
    }
    let before = shop.end_of_log(server).await;
    let client = tandem_tests::Client::new(server.address(), token);
    let response = client.response(access.document, shop.variables()).await;
    let value = |pointer: &str| response["data"].pointer(pointer).cloned().unwrap_or_default();
    let wrong = |what: &str| Err(format!("{what}: {response}"));
    let has_errors = response.get("errors").is_some();
    let is_refused = match access.expect {
        Expect::Shows(pointer) => {
            if has_errors || is_nothing(&value(pointer)) {
                return wrong("should be shown");
            }
            false
        }
        Expect::Hides(pointer) => {
            if has_errors || !is_nothing(&value(pointer)) {
                return wrong("should not be shown");
            }
            true
        }
        Expect::Lists(pointer, field, names) => {
            let found: Vec<Value> =
                value(pointer).as_array().into_iter().flatten().map(|node| node[field].clone()).collect();
            if has_errors || json!(found) != json!(shop.ids(names)) {
                return wrong(&format!("should list {names:?}, {:?}", shop.ids(names)));
            }
            true
        }
        Expect::Code(code) => {
            if error_codes(&response) != [code] {
                return wrong(&format!("should give {code}"));
            }
            true
        }
        Expect::Done(field) => {
            if has_errors || response["data"][field]["userErrors"] != json!([]) {
                return wrong("should be done");
            }
            false
        }
        Expect::Denied(field, codes) => {
            let errors = user_errors(&response["data"][field]);
            if !errors.iter().any(|(code, _)| codes.contains(&code.as_str())) {
                return wrong(&format!("should be denied with one of {codes:?}"));
            }
            true
        }
        Expect::Follows(_) => return wrong("only subscriptions follow"),
    };
    let after = shop.end_of_log(server).await;
    if is_refused && before != after {
        return wrong("left a trace in the log");
    }
    Ok(())
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// The rows whose changes a subscription brings, from before the shop was built to its last product.
async fn check_subscription(
    server: &Server,
    shop: &Shop,
    access: &Access,
    token: Option<String>,
) -> Result<(), String> {
    let mut live = tandem_tests::Live::connect(server.address(), token).await;
    let tested = live.start(access.document, shop.variables()).await;
    let names = match access.expect {
        Expect::Follows(names) => names,
        Expect::Code(code) => {
            let codes = live.error_codes().await;
            return if codes == [code] { Ok(()) } else { Err(format!("should give {code}, gave {codes:?}")) };
        }
        _ => return Err("a subscription is followed or refused".to_owned()),
    };
    let expected = shop.ids(names);
    let mut found = Vec::new();
    while found.len() < expected.len() {
        found.push(text(&live.event().await.change["nodeId"]));
    }
    // Nothing else may come while another subscription on the same socket gets to the end of the log.
    let everything = "subscription($start: String) { changes(types: [\"Product\"], after: $start) { nodeId } }";
    live.start(everything, shop.variables()).await;
    loop {
        match live.receive().await {
            Incoming::Next(id, event) if id == tested => found.push(text(&event.change["nodeId"])),
            Incoming::Next(_, event) if event.change["nodeId"] == json!(shop.ids(&["last"])[0]) => break,
            Incoming::Next(..) => {}
            other => return Err(format!("unexpected {other:?}")),
        }
    }
    if found == expected { Ok(()) } else { Err(format!("should bring {names:?}, {expected:?}, brought {found:?}")) }
}
