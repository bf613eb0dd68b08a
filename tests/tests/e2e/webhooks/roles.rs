//! The rights of a webhook are stored with it; an admin changes its roles, and the next event has the new ones.

use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::receiver::{Received, register};
use tandem_tests::shop::{UPDATE_PRODUCT, UPDATE_WEBHOOK, add_product, catalog_team};
use tandem_tests::{Caller, Case, Receiver, on_both};

use super::webhook_is;

on_both!(other_roles_are_in_effect_on_the_next_event, roles_that_do_not_suffice_disable, only_admins_change_roles,);

async fn other_roles_are_in_effect_on_the_next_event(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let receiver = Receiver::start().await;
    let (webhook, _) = register(&alice, json!({"url": receiver.url(), "events": ["product.*"]})).await;
    let product = add_product(&admin, "SKU-1").await;
    // The cost of a product is for the catalogue team and for admins.
    for (stock, roles) in [(1, json!(["catalog"])), (2, json!([])), (3, json!(["admin"])), (4, json!(["x"]))] {
        // An event is rendered with the roles that are there when its turn comes.
        receiver.requests(stock).await;
        admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "roles": roles})).await;
        let shown = alice.data("query($id: ID!) { webhook(id: $id) { roles owner } }", json!({"id": webhook})).await;
        assert_eq!(shown["webhook"], json!({"roles": roles, "owner": "alice"}));
        admin.done(UPDATE_PRODUCT, json!({"id": product, "patch": {"stock": stock, "cost": "1.00"}})).await;
    }
    let mut received = receiver.requests(5).await;
    received.sort_by_key(Received::sequence);
    let after = |request: &Received| request.json["data"]["changes"]["after"].clone();
    assert_eq!(received.iter().map(|r| after(r)["stock"].clone()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let costs: Vec<bool> = received.iter().map(|request| after(request).get("cost").is_some()).collect();
    assert_eq!(costs, [false, true, false, true, false]);
    let by: Vec<bool> = received.iter().map(|request| request.json["data"]["changes"]["by"].is_string()).collect();
    assert_eq!(by, [false, false, false, true, false], "who did it is for admins");
}

async fn roles_that_do_not_suffice_disable(case: &Case) {
    let server = case.server().await;
    let (admin, kate) = (server.client(&Caller::admin()), server.client(&catalog_team()));
    let receiver = Receiver::start().await;
    let query = "subscription { productChanged { after { sku cost } } }";
    let (webhook, _) = register(&kate, json!({"url": receiver.url(), "query": query})).await;
    admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "roles": []})).await;
    let shown = webhook_is(&kate, &webhook, "DISABLED").await;
    assert!(text(&shown["statusReason"]).contains("no longer valid"), "{shown}");
    add_product(&admin, "SKU-1").await;
    // With its rights it gets what it missed, under them.
    admin.done(UPDATE_WEBHOOK, json!({"id": webhook, "roles": ["catalog"], "status": "ENABLED"})).await;
    let request = receiver.requests(1).await.remove(0);
    assert_eq!(request.json["data"]["productChanged"]["after"], json!({"sku": "SKU-1", "cost": null}));
    assert_eq!(receiver.count(), 1);
}

async fn only_admins_change_roles(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let (webhook, _) = register(&alice, json!({"url": "http://127.0.0.1:9/", "events": ["*"]})).await;
    let refused = alice.refused(UPDATE_WEBHOOK, json!({"id": webhook, "roles": ["admin"], "maxInFlight": 0})).await;
    let errors = [("FORBIDDEN".to_owned(), "roles".to_owned()), ("OUT_OF_RANGE".to_owned(), "maxInFlight".to_owned())];
    assert_eq!(refused, errors);
    for (roles, path) in
        [(json!([""]), "roles.0"), (json!(["a", "x".repeat(201)]), "roles.1"), (json!(vec!["a"; 101]), "roles")]
    {
        let refused = admin.refused(UPDATE_WEBHOOK, json!({"id": webhook, "roles": roles})).await;
        assert_eq!(refused[0].1, path);
    }
    let shown = admin.data("query($id: ID!) { webhook(id: $id) { roles } }", json!({"id": webhook})).await;
    assert_eq!(shown["webhook"]["roles"], Value::Array(Vec::new()));
}
