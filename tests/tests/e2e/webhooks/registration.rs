//! Registering: what is refused, and what it says.

use serde_json::json;
use tandem_tests::client::{text, user_errors};
use tandem_tests::receiver::register;
use tandem_tests::shop::{CREATE_WEBHOOK, DELETE_WEBHOOK, UPDATE_WEBHOOK, add_product};
use tandem_tests::{Caller, Case, Receiver, on_both};

use super::{QUERY, delivery};

on_both!(
    bad_registrations_are_refused,
    blocked_addresses_are_refused,
    a_document_that_cannot_run_is_refused,
    webhooks_belong_to_their_owner,
);

async fn bad_registrations_are_refused(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let url = "http://127.0.0.1:9/";
    let many_headers: Vec<_> = (0..11).map(|i| json!({"name": format!("x-{i}"), "value": "x"})).collect();
    for (input, path) in [
        (json!({"url": "nonsense", "query": QUERY}), "url"),
        (json!({"url": "ftp://127.0.0.1/", "query": QUERY}), "url"),
        (json!({"url": "http://user:password@127.0.0.1/", "query": QUERY}), "url"),
        (json!({"url": "", "query": QUERY}), "url"),
        (json!({"url": url}), "query"),
        (json!({"url": url, "query": QUERY, "events": ["*"]}), "query"),
        (json!({"url": url, "events": ["nothing.created"]}), "events.0"),
        (json!({"url": url, "events": ["product.created", "product.nothing"]}), "events.1"),
        (json!({"url": url, "events": []}), "events"),
        (json!({"url": url, "query": QUERY, "maxInFlight": 0}), "maxInFlight"),
        (json!({"url": url, "query": QUERY, "headers": [{"name": "webhook-id", "value": "x"}]}), "headers.0"),
        (json!({"url": url, "query": QUERY, "headers": [{"name": "a b", "value": "x"}]}), "headers.0"),
        (json!({"url": url, "query": QUERY, "headers": [{"name": "Content-Length", "value": "1"}]}), "headers.0"),
        (json!({"url": url, "query": QUERY, "headers": [{"name": "x", "value": "a\nb"}]}), "headers.0"),
        (json!({"url": url, "query": QUERY, "headers": many_headers}), "headers"),
        (json!({"url": url, "events": ["*.created"]}), "events.0"),
        (json!({"url": url, "events": ["*"], "variables": {"a": 1}}), "variables"),
    ] {
        let errors = admin.refused(CREATE_WEBHOOK, input.clone()).await;
        let found = errors.iter().any(|(_, found)| found == path || found.starts_with(&format!("{path}.")));
        assert!(found, "{input}: {path} in {errors:?}");
    }
    let several = json!({"url": "nonsense", "query": "subscription {", "maxInFlight": 0});
    let mut paths: Vec<String> =
        admin.refused(CREATE_WEBHOOK, several).await.into_iter().map(|(_, path)| path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths, ["maxInFlight", "query", "url"], "all at once");
    let nobody = server.client(&Caller::anonymous());
    let errors = nobody.refused(CREATE_WEBHOOK, json!({"url": url, "query": QUERY})).await;
    assert_eq!(errors[0].0, "FORBIDDEN");
    let data = admin.data("{ webhooks { nodes { id } } }", json!({})).await;
    assert_eq!(data["webhooks"]["nodes"], json!([]));
}

async fn blocked_addresses_are_refused(case: &Case) {
    // Without allowed ranges, even loopback is out of reach, and so is plain http.
    let server = case.start(case.settings().with("--webhook-allow", "none")).await;
    let admin = server.client(&Caller::admin());
    for url in [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://0.0.0.0/",
        "https://100.64.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "http://93.184.215.14/",
    ] {
        let errors = admin.refused(CREATE_WEBHOOK, json!({"url": url, "query": QUERY})).await;
        assert!(errors.iter().all(|(_, path)| path == "url"), "{url}: {errors:?}");
    }
    // What was registered under looser settings is stopped when it is to be sent.
    drop(server);
    let receiver = Receiver::start().await;
    let mut server = case.server().await;
    let admin = server.client(&Caller::admin());
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    server.stop().await;
    let strict = case.settings().with("--webhook-allow", "none").with("--webhook-retry-schedule", "0s");
    let server = case.start(strict).await;
    let admin = server.client(&Caller::admin());
    add_product(&admin, "SKU-1").await;
    let delivery = delivery(&admin, &webhook, "FAILED").await;
    assert_eq!(delivery["attempts"][0]["error"]["code"], json!("BLOCKED_ADDRESS"));
    assert!(receiver.received().is_empty());
}

async fn a_document_that_cannot_run_is_refused(case: &Case) {
    let server = case.server().await;
    let alice = server.client(&Caller::user("alice"));
    for query in [
        "",
        "subscription { nothing }",
        "subscription { productChanged { nothing } }",
        "query { products { asOf } }",
        "mutation { deleteProduct(input: {id: \"x\"}) { userErrors { code } } }",
        "subscription { productChanged { id } changes { id } }",
        "subscription A { changes { id } } subscription B { changes { id } }",
        "subscription($n: Int!) { productChanged(filter: {stock: {gt: $n}}) { id } }",
    ] {
        let payload = alice.payload(CREATE_WEBHOOK, json!({"url": "http://127.0.0.1:9/", "query": query})).await;
        let errors = user_errors(&payload);
        assert!(
            !errors.is_empty() && errors.iter().all(|(_, path)| path == "query" || path == "variables"),
            "{query}: {errors:?}"
        );
    }
    let typo = "subscription {\n  productChanged {\n    skuu\n  }\n}";
    let payload = alice.payload(CREATE_WEBHOOK, json!({"url": "http://127.0.0.1:9/", "query": typo})).await;
    let message = text(&payload["userErrors"][0]["message"]);
    assert!(message.contains("skuu") && message.contains('3'), "the message points into the document: {message}");
    // The limits of requests are those of webhooks, and whatever is wrong is pointed at.
    let register = async |query: &str| {
        let payload = alice.payload(CREATE_WEBHOOK, json!({"url": "http://127.0.0.1:9/", "query": query})).await;
        (user_errors(&payload), text(&payload["userErrors"][0]["message"]))
    };
    let lists = "subscription {\n  orderChanged { after { lines(first: 1000) { nodes { product {\n    \
                 orderLines(first: 1000) { nodes { id } } } } } } } }";
    let nested = format!(
        "subscription {{ orderChanged {{ after {}id{} }} }}",
        "{ lines { nodes { order ".repeat(6),
        "}}}".repeat(6)
    );
    for (query, part) in [
        (lists, "at most 20000 are allowed. Ask for smaller pages with first or last. (line 3, column 5)"),
        (nested.as_str(), "(line 1, column "),
        ("subscription {\n  productChanged(filter: {stock: {gt: \"x\"}}) { id } }", "(line 2, column "),
        ("subscription {\n  productChanged(filter: {cost: {gt: \"1.00\"}}) { id } }", "(line 2, column "),
        ("subscription {\n  productChanged(after: \"x\") { id } }", "leave out the argument after"),
        ("subscription {\n  productChanged { id }", "(line 2, column "),
    ] {
        let (errors, message) = register(query).await;
        assert!(errors.iter().all(|(_, path)| path == "query") && message.contains(part), "{query}: {message}");
    }
    let secret = json!({"url": "http://127.0.0.1:9/", "query": "subscription { productChanged { after { cost } } }"});
    assert_eq!(alice.refused(CREATE_WEBHOOK, secret).await, [("FORBIDDEN".to_owned(), "query".to_owned())]);
    let variables = json!({"url": "http://127.0.0.1:9/", "variables": {"n": 3},
        "query": "subscription($n: Int!) { productChanged(filter: {stock: {gt: $n}}) { id } }"});
    alice.done(CREATE_WEBHOOK, variables).await;
}

async fn webhooks_belong_to_their_owner(case: &Case) {
    let server = case.server().await;
    let (alice, bob) = (server.client(&Caller::user("alice")), server.client(&Caller::user("bob")));
    let admin = server.client(&Caller::admin());
    let input =
        json!({"url": "http://127.0.0.1:9/", "query": QUERY, "headers": [{"name": "x-key", "value": "s3cret"}]});
    let (webhook, secret) = register(&alice, input).await;
    let read = "query($id: ID!) { webhook(id: $id) { id owner headers { name value } } node(id: $id) { id } }";
    let own = alice.data(read, json!({"id": webhook})).await;
    assert_eq!((&own["webhook"]["owner"], &own["node"]["id"]), (&json!("alice"), &json!(webhook)));
    assert_eq!(own["webhook"]["headers"][0]["name"], json!("x-key"));
    for client in [&alice, &admin] {
        let shown = client.data(read, json!({"id": webhook})).await;
        assert!(!shown.to_string().contains("s3cret") && !shown.to_string().contains(&secret), "{shown}");
    }
    for client in [&bob, &server.client(&Caller::anonymous())] {
        assert_eq!(client.data(read, json!({"id": webhook})).await, json!({"webhook": null, "node": null}));
        let data = client.data("{ webhooks { nodes { id } } }", json!({})).await;
        assert_eq!(data["webhooks"]["nodes"], json!([]));
        for (mutation, input) in
            [(UPDATE_WEBHOOK, json!({"id": webhook, "status": "PAUSED"})), (DELETE_WEBHOOK, json!({"id": webhook}))]
        {
            assert_eq!(client.refused(mutation, input).await, [("NOT_FOUND".to_owned(), "id".to_owned())]);
        }
    }
    register(&bob, json!({"url": "http://127.0.0.1:9/", "events": ["product.deleted"]})).await;
    let lists = "{ webhooks { nodes { owner events } } }";
    let own = alice.data(lists, json!({})).await;
    assert_eq!(own["webhooks"]["nodes"], json!([{"owner": "alice", "events": null}]));
    let all = admin.data(lists, json!({})).await;
    assert_eq!(all["webhooks"]["nodes"].as_array().map(Vec::len), Some(2), "the admin sees all");
    admin.done(DELETE_WEBHOOK, json!({"id": webhook})).await;
}
