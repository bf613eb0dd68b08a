//! Mutations that are sent again with their idempotency key, and mutations that race for a version.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tandem_tests::client::{text, user_errors};
use tandem_tests::receiver::Receiver;
use tandem_tests::shop::{
    self, CREATE_ORDER, CREATE_PRODUCT, DELETE_PRODUCT, UPDATE_PRODUCT, add_customer, add_product,
};
use tandem_tests::{Backend, Caller, Case, Client, on_both};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

on_both!(
    every_mutation_takes_a_key,
    a_later_change_of_the_row_does_not_change_the_payload,
    another_input_is_refused,
    a_refused_mutation_does_not_use_its_key,
    callers_have_keys_of_their_own,
    a_webhook_and_its_secret_are_shown_again,
    a_thousand_uses_at_the_same_time_make_one_row,
    a_key_holds_across_kills,
    one_of_a_hundred_updates_of_a_version_wins,
);

fn errors(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(code, path)| ((*code).to_owned(), (*path).to_owned())).collect()
}

fn with_key(mut input: Value, key: &str) -> Value {
    input["idempotencyKey"] = json!(key);
    input
}

async fn every_mutation_takes_a_key(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start().await;
    let product = add_product(&admin, "SKU-1").await;
    let doomed = add_product(&admin, "SKU-2").await;
    let url = receiver.url();
    let webhook = admin.done(shop::CREATE_WEBHOOK, json!({"url": url, "events": ["order.created"]})).await;
    let webhook = &webhook["webhook"]["id"];
    let new = |number: usize| shop::product(&format!("NEW-{number}"));
    let row = "id sku stock version updatedAt";
    let change = "id cursor position transactionId kind version changedFields after { sku stock } before { stock }";
    for (field, input, selection) in [
        ("createProduct", new(1), format!("product {{ {row} }} change {{ {change} }}")),
        (
            "updateProduct",
            json!({"id": product, "patch": {"stock": 1}, "ifVersion": 1}),
            format!("product {{ {row} }} change {{ {change} }}"),
        ),
        ("deleteProduct", json!({"id": doomed, "ifVersion": 1}), format!("deletedProductId change {{ {change} }}")),
        (
            "upsertProduct",
            json!({"by": {"sku": "NEW-1"}, "create": new(1), "update": {"stock": 5}}),
            format!("product {{ {row} }} change {{ {change} }}"),
        ),
        ("createProducts", json!({"items": [new(2), new(3)]}), format!("products {{ {row} }} changes {{ {change} }}")),
        (
            "createProducts",
            json!({"items": [new(2), new(4)], "mode": "INDEPENDENT"}),
            format!("products {{ {row} }} changes {{ {change} }}"),
        ),
        (
            "updateProducts",
            json!({"filter": {"sku": {"startsWith": "NEW"}}, "patch": {"stock": 9}, "atMost": 9}),
            format!("products {{ {row} }} changes {{ {change} }}"),
        ),
        (
            "updateProducts",
            json!({"filter": {"sku": {"eq": "none"}}, "patch": {"stock": 9}, "atMost": 9}),
            format!("products {{ {row} }} changes {{ {change} }}"),
        ),
        (
            "deleteProducts",
            json!({"filter": {"sku": {"startsWith": "NEW"}}, "atMost": 9}),
            format!("deletedProductIds changes {{ {change} }}"),
        ),
        (
            "createWebhook",
            json!({"url": url, "events": ["product.created"], "headers": [{"name": "x-a", "value": "b"}]}),
            "secret webhook { id url query events headers { name value } status owner cursor lag createdAt updatedAt }"
                .to_owned(),
        ),
        (
            "updateWebhook",
            json!({"id": webhook, "status": "PAUSED", "description": "d"}),
            "webhook { id description status cursor lag updatedAt }".to_owned(),
        ),
        ("deleteWebhook", json!({"id": webhook}), "deletedWebhookId".to_owned()),
    ] {
        let capital = format!("{}{}", field[..1].to_uppercase(), &field[1..]);
        let mutation = format!(
            "mutation($input: {capital}Input!) {{ {field}(input: $input) {{ {selection} clientMutationId userErrors {{ code message path }} }} }}"
        );
        let input = with_key(input, &format!("{field} {selection} {}", shop::log(&admin).await.len()));
        let first = admin.payload(&mutation, input.clone()).await;
        let (events, webhooks) = (shop::log(&admin).await.len(), webhooks(&admin).await);
        let second = admin.payload(&mutation, input).await;
        assert_eq!(first.to_string(), second.to_string(), "{field}");
        assert_eq!((shop::log(&admin).await.len(), self::webhooks(&admin).await), (events, webhooks), "{field}");
    }
}

async fn webhooks(admin: &Client) -> Value {
    admin.data("{ webhooks { nodes { id status updatedAt } } }", json!({})).await
}

async fn a_later_change_of_the_row_does_not_change_the_payload(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let product = add_product(&admin, "SKU-1").await;
    let input = with_key(json!({"id": product, "patch": {"stock": 1}}), "k");
    let first = admin.done(UPDATE_PRODUCT, input.clone()).await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let order = with_key(json!({"customerId": customer, "note": "first"}), "k");
    // The row at the other side of a to-one relation is shown as it was, too.
    let create = "mutation($input: CreateOrderInput!) { createOrder(input: $input) {
        order { id note status customer { name version } } change { after { customer { name } } } userErrors { code } } }";
    let first_order = alice.done(create, order.clone()).await;

    admin.done(UPDATE_PRODUCT, json!({"id": product, "patch": {"stock": 2}})).await;
    let patch = json!({"id": first_order["order"]["id"], "patch": {"note": "second", "status": "PAID"}});
    alice.done(shop::UPDATE_ORDER, patch).await;
    alice.done(shop::UPDATE_CUSTOMER, json!({"id": customer, "patch": {"name": "Alice"}})).await;
    assert_eq!(admin.done(UPDATE_PRODUCT, input.clone()).await, first);
    assert_eq!(alice.done(create, order.clone()).await, first_order);

    alice.done(shop::DELETE_ORDER, json!({"id": first_order["order"]["id"]})).await;
    admin.done(DELETE_PRODUCT, json!({"id": product})).await;
    assert_eq!(admin.done(UPDATE_PRODUCT, input).await, first);
    assert_eq!(alice.done(create, order).await, first_order);
    shop::assert_sound(&shop::log(&admin).await);
}

async fn another_input_is_refused(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let reused = errors(&[("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")]);
    let input = with_key(shop::product("SKU-1"), "k");
    let first = admin.done(CREATE_PRODUCT, input.clone()).await;
    let mut other = input.clone();
    other["stock"] = json!(0);
    assert_eq!(admin.refused(CREATE_PRODUCT, other.clone()).await, reused, "even if it comes to the same");
    let update = json!({"id": first["product"]["id"], "patch": {"stock": 1}});
    assert_eq!(admin.refused(UPDATE_PRODUCT, with_key(update, "k")).await, reused);
    let hook = with_key(json!({"url": "http://127.0.0.1:9/", "events": ["order.created"]}), "k");
    assert_eq!(admin.refused(shop::CREATE_WEBHOOK, hook.clone()).await, reused);
    admin.done(shop::CREATE_WEBHOOK, with_key(hook.clone(), "h")).await;
    let mut other_hook = with_key(hook, "h");
    other_hook["maxInFlight"] = json!(2);
    assert_eq!(admin.refused(shop::CREATE_WEBHOOK, other_hook).await, reused);
    assert_eq!(admin.refused(CREATE_PRODUCT, with_key(shop::product("SKU-2"), "h")).await, reused);
    // The same input, written otherwise; what only names the request does not count.
    let mutation = "mutation($price: Decimal!) { createProduct(input: {clientMutationId: \"m\", price: $price,
        name: \"Product SKU-1\", idempotencyKey: \"k\", sku: \"SKU-1\"}) { product { id } clientMutationId } }";
    let data = admin.data(mutation, json!({"price": "9.90"})).await;
    assert_eq!(data["createProduct"], json!({"product": {"id": first["product"]["id"]}, "clientMutationId": "m"}));
    for (key, code) in [(String::new(), "TOO_SHORT"), ("x".repeat(256), "TOO_LONG")] {
        let found = admin.refused(CREATE_PRODUCT, with_key(shop::product("SKU-3"), &key)).await;
        assert_eq!(found, errors(&[(code, "idempotencyKey")]));
    }
    assert_eq!(shop::log(&admin).await.len(), 1);
}

async fn a_refused_mutation_does_not_use_its_key(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let product = add_product(&admin, "SKU-1").await;
    let input = with_key(shop::product("SKU-1"), "k");
    assert_eq!(admin.refused(CREATE_PRODUCT, input.clone()).await, errors(&[("NOT_UNIQUE", "sku")]));
    admin.done(DELETE_PRODUCT, json!({"id": product})).await;
    let first = admin.done(CREATE_PRODUCT, input.clone()).await;
    assert_eq!(admin.done(CREATE_PRODUCT, input).await, first);
}

async fn callers_have_keys_of_their_own(case: &Case) {
    let path = case.file("notes.graphql", "type Note @resource @auth(rules: [{ allow: PUBLIC }]) { text: String! }");
    let server = case.start(case.settings().with("--resources", &path)).await;
    let mutation = "mutation($input: CreateNoteInput!) { createNote(input: $input) { note { id } userErrors { code message path } } }";
    let input = with_key(json!({"text": "hello"}), "k");
    let mut ids = Vec::new();
    for caller in [Caller::anonymous(), Caller::user("alice"), Caller::user("bob"), Caller::admin()] {
        let client = server.client(&caller);
        let first = client.done(mutation, input.clone()).await;
        assert_eq!(client.done(mutation, input.clone()).await, first);
        ids.push(text(&first["note"]["id"]));
    }
    // Another token of the same person is the same caller.
    let alice = server.client(&Caller::user("alice").role("support"));
    assert_eq!(text(&alice.done(mutation, input).await["note"]["id"]), ids[1]);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

async fn a_webhook_and_its_secret_are_shown_again(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let receiver = Receiver::start().await;
    let input = with_key(json!({"url": receiver.url(), "events": ["product.created"]}), "k");
    let payloads = join_all((0..20).map(|_| alice.done(shop::CREATE_WEBHOOK, input.clone()))).await;
    assert!(payloads.iter().all(|payload| payload == &payloads[0]), "{payloads:?}");
    add_product(&admin, "SKU-1").await;
    receiver.requests(1).await;
    receiver.assert_signed(&text(&payloads[0]["secret"]));
    assert_eq!(alice.done(shop::CREATE_WEBHOOK, input.clone()).await, payloads[0], "as it was then");
    let id = &payloads[0]["webhook"]["id"];
    alice.done(shop::DELETE_WEBHOOK, json!({"id": id})).await;
    let after = alice.done(shop::CREATE_WEBHOOK, input).await;
    assert_eq!((&after["webhook"], &after["secret"]), (&payloads[0]["webhook"], &Value::Null), "the secret is gone");
    let left = alice.data("{ webhooks { nodes { id } } }", json!({})).await;
    assert_eq!(left["webhooks"]["nodes"], json!([]));
}

/// On PostgreSQL two nodes share the work.
async fn a_thousand_uses_at_the_same_time_make_one_row(case: &Case) {
    let first = case.server().await;
    let second = match case.backend {
        Backend::Sqlite => None,
        Backend::Postgres => Some(case.server().await),
    };
    let clients: Vec<Client> =
        [Some(&first), second.as_ref()].into_iter().flatten().map(|server| server.client(&Caller::admin())).collect();
    let input = with_key(shop::product("SKU-1"), "k");
    // Fewer connections than the system has files for.
    let places = Arc::new(Semaphore::new(200));
    let uses = (0..1000).map(|number| {
        let (client, input, places) = (clients[number % clients.len()].clone(), input.clone(), places.clone());
        async move {
            let _place = places.acquire().await.expect("nobody closes it");
            client.data(CREATE_PRODUCT, json!({"input": input})).await.to_string()
        }
    });
    let mut payloads = join_all(uses).await;
    payloads.sort();
    payloads.dedup();
    assert_eq!(payloads.len(), 1, "{payloads:?}");
    let log = shop::log(&clients[0]).await;
    assert_eq!(log.len(), 1, "one event");
    // The same for an update that can be made but once, and for many keys at once.
    let update = with_key(json!({"id": log[0].node, "patch": {"stock": 1}, "ifVersion": 1}), "u");
    let updates = join_all((0..200).map(|number| clients[number % clients.len()].done(UPDATE_PRODUCT, update.clone())));
    assert!(updates.await.windows(2).all(|pair| pair[0] == pair[1]));
    let creates = join_all((0..200).map(|number| {
        let sku = format!("KEY-{}", number / 4);
        clients[number % clients.len()].done(CREATE_PRODUCT, with_key(shop::product(&sku), &sku))
    }));
    for four in creates.await.chunks(4) {
        assert!(four.iter().all(|payload| payload == &four[0]), "{four:?}");
    }
    let log = shop::log(&clients[0]).await;
    shop::assert_sound(&log);
    assert_eq!(log.len(), 52);
}

async fn a_key_holds_across_kills(case: &Case) {
    let mut server = case.server().await;
    let admin = server.client(&Caller::admin());
    let alice = server.client(&Caller::user("alice"));
    let customer = add_customer(&alice, "alice@example.org").await;
    let product = add_product(&admin, "SKU-1").await;
    let mut told: Vec<Vec<Value>> = vec![Vec::new(); 10];
    for round in 0..20 {
        let inputs = (0..told.len()).map(|number| {
            let lines = json!({"create": [{"productId": product, "quantity": number + 1, "unitPrice": "1.00"}]});
            with_key(json!({"customerId": customer, "lines": lines}), &format!("order {number}"))
        });
        let client = alice.at(server.address());
        let mut uses = JoinSet::new();
        for (number, input) in inputs.enumerate().flat_map(|pair| [pair.clone(), pair]) {
            let client = client.clone();
            uses.spawn(async move { (number, client.send(CREATE_ORDER, json!({"input": input})).await) });
        }
        let mut answers = Vec::new();
        while let Some(answer) = uses.join_next().await {
            answers.push(answer.expect("clients do not panic"));
            // In the middle of it: while some are answered and others are on their way.
            if round % 2 == 0 && answers.len() == round + 1 {
                server.kill9().await;
            }
        }
        for (number, answer) in answers {
            // An error means that the server was gone, and that nobody knows what it has done.
            if let Ok(answer) = answer {
                assert!(answer.get("errors").is_none(), "{answer}");
                told[number].push(answer["data"]["createOrder"].clone());
            }
        }
        if round % 2 == 0 {
            server.restart().await;
        }
    }
    for payloads in &told {
        assert!(!payloads.is_empty() && payloads.iter().all(|payload| payload == &payloads[0]), "{payloads:?}");
        assert_eq!(payloads[0]["userErrors"], json!([]));
    }
    let log = shop::log(&admin.at(server.address())).await;
    shop::assert_sound(&log);
    let orders = log.iter().filter(|entry| entry.ty == "Order").count();
    let lines = log.iter().filter(|entry| entry.ty == "OrderLine").count();
    assert_eq!((orders, lines), (10, 10), "one event for each row");
    let data = alice.at(server.address()).data("{ orders { totalCount } }", json!({})).await;
    assert_eq!(data["orders"]["totalCount"], json!(10));
}

async fn one_of_a_hundred_updates_of_a_version_wins(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let product = add_product(&admin, "SKU-1").await;
    for version in 1..=3 {
        let payloads = join_all((0..100).map(|number| {
            let patch = json!({"name": format!("{version} by {number}")});
            let (admin, input) = (admin.clone(), json!({"id": product, "patch": patch, "ifVersion": version}));
            async move { admin.payload(UPDATE_PRODUCT, input).await }
        }));
        let payloads = payloads.await;
        let (won, lost): (Vec<_>, Vec<_>) =
            payloads.into_iter().partition(|payload| payload["userErrors"] == json!([]));
        assert_eq!((won.len(), lost.len()), (1, 99));
        assert_eq!(won[0]["product"]["version"], json!(version + 1));
        for payload in lost {
            assert_eq!(user_errors(&payload), errors(&[("VERSION_CONFLICT", "ifVersion")]));
            assert_eq!(
                (&payload["product"], &payload["change"]),
                (&won[0]["product"], &Value::Null),
                "the current row"
            );
        }
    }
    let log = shop::log(&admin).await;
    shop::assert_sound(&log);
    assert_eq!(log.len(), 4);
}
