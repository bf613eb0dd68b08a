//! Changing a row that is found by its key, or making it.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tandem_tests::client::{error_codes, text, user_errors};
use tandem_tests::shop::{self, CREATE_PRODUCT, add_customer, add_product};
use tandem_tests::{Backend, Caller, Case, on_both};

on_both!(
    a_row_is_made_and_then_changed,
    racing_upserts_make_one_row,
    a_row_out_of_sight_is_neither_changed_nor_told_of,
    an_upsert_keeps_its_key,
    all_that_is_wrong_is_told_at_once,
    a_key_of_several_fields_finds_and_makes_a_row,
);

const UPSERT_PRODUCT: &str = "mutation($input: UpsertProductInput!) { upsertProduct(input: $input) {
    product { id sku name price stock version } change { kind version changedFields } clientMutationId
    userErrors { code message path } } }";
const UPSERT_CUSTOMER: &str = "mutation($input: UpsertCustomerInput!) { upsertCustomer(input: $input) {
    customer { id email name version } change { kind } userErrors { code message path } } }";

fn errors(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(code, path)| ((*code).to_owned(), (*path).to_owned())).collect()
}

fn upsert(sku: &str, update: &Value) -> Value {
    json!({"by": {"sku": sku}, "create": shop::product(sku), "update": update, "clientMutationId": "c"})
}

async fn a_row_is_made_and_then_changed(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let input = upsert("SKU-1", &json!({"name": "Changed"}));
    let made = admin.done(UPSERT_PRODUCT, input.clone()).await;
    assert_eq!((&made["change"]["kind"], &made["product"]["name"]), (&json!("CREATED"), &json!("Product SKU-1")));
    let changed = admin.done(UPSERT_PRODUCT, input).await;
    assert_eq!((&changed["change"]["kind"], &changed["product"]["name"]), (&json!("UPDATED"), &json!("Changed")));
    assert_eq!((&changed["product"]["id"], &changed["product"]["version"]), (&made["product"]["id"], &json!(2)));
    assert_eq!(changed["clientMutationId"], json!("c"));
    let mut by_id = upsert("SKU-1", &json!({"stock": 7}));
    by_id["by"] = json!({"id": made["product"]["id"]});
    assert_eq!(admin.done(UPSERT_PRODUCT, by_id.clone()).await["product"]["stock"], json!(7));
    // Ids are given by the server, so one that is not there cannot be made.
    for id in ["product_00000000000000000000000000", "customer_00000000000000000000000000", "nonsense"] {
        by_id["by"] = json!({"id": id});
        assert_eq!(admin.refused(UPSERT_PRODUCT, by_id.clone()).await, errors(&[("NOT_FOUND", "by.id")]), "{id}");
    }
    shop::assert_sound(&shop::log(&admin).await);
}

/// On PostgreSQL two nodes race.
async fn racing_upserts_make_one_row(case: &Case) {
    let server = case.server().await;
    let other = match case.backend {
        Backend::Sqlite => None,
        Backend::Postgres => Some(case.server().await),
    };
    let admin = server.client(&Caller::admin());
    let nodes = [Some(&server), other.as_ref()].into_iter().flatten();
    let clients: Vec<_> = nodes.map(|server| server.client(&Caller::admin())).collect();
    for sku in ["SKU-1", "SKU-2", "SKU-3"] {
        let payloads = join_all((0..60).map(|number| {
            let (client, input) = (&clients[number % clients.len()], upsert(sku, &json!({"stock": number})));
            client.done(UPSERT_PRODUCT, input)
        }));
        let payloads = payloads.await;
        let kinds = |kind: &str| payloads.iter().filter(|payload| payload["change"]["kind"] == json!(kind)).count();
        assert_eq!((kinds("CREATED"), kinds("UPDATED")), (1, 59));
    }
    let log = shop::log(&admin).await;
    shop::assert_sound(&log);
    assert_eq!(log.len(), 180);
    let data = admin.data("{ products { nodes { version } } }", json!({})).await;
    assert_eq!(data["products"]["nodes"], json!([{"version": 60}, {"version": 60}, {"version": 60}]));
}

async fn a_row_out_of_sight_is_neither_changed_nor_told_of(case: &Case) {
    let server = case.server().await;
    let (alice, bob) = (server.client(&Caller::user("alice")), server.client(&Caller::user("bob")));
    let anonymous = server.client(&Caller::anonymous());
    let customer = add_customer(&alice, "alice@example.org").await;
    let input = |by: Value| json!({"by": by, "create": {"email": "alice@example.org"}, "update": {"name": "Mallory"}});
    // By the id, as by one that is not there.
    for client in [&bob, &anonymous] {
        let found = client.refused(UPSERT_CUSTOMER, input(json!({"id": customer}))).await;
        assert_eq!(found, errors(&[("NOT_FOUND", "by.id")]));
    }
    // By the e-mail address, as a create would say; whoever may not create learns nothing.
    let by_email = input(json!({"email": "alice@example.org"}));
    assert_eq!(bob.refused(UPSERT_CUSTOMER, by_email.clone()).await, errors(&[("NOT_UNIQUE", "create.email")]));
    assert_eq!(anonymous.refused(UPSERT_CUSTOMER, by_email.clone()).await, errors(&[("FORBIDDEN", "create")]));
    assert_eq!(alice.done(UPSERT_CUSTOMER, by_email).await["customer"]["name"], json!("Mallory"));
    // A row that may be seen and not be changed.
    let staff = server.client(&shop::support_staff());
    let by_id = input(json!({"id": customer}));
    assert_eq!(staff.refused(UPSERT_CUSTOMER, by_id).await, errors(&[("FORBIDDEN", "")]));
    // A private key stays private, even when it is the one that is taken.
    let again = json!({"by": {"email": "other@example.org"}, "create": {"email": "other@example.org"}, "update": {}});
    let payload = alice.payload(UPSERT_CUSTOMER, again).await;
    assert_eq!(user_errors(&payload), errors(&[("NOT_UNIQUE", "create")]));
    assert!(!payload.to_string().contains("userId"), "{payload}");
}

async fn an_upsert_keeps_its_key(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    add_product(&admin, "SKU-1").await;
    let renamed = admin.refused(UPSERT_PRODUCT, upsert("SKU-1", &json!({"sku": "SKU-2"}))).await;
    assert_eq!(renamed, errors(&[("IMMUTABLE", "update.sku")]));
    admin.done(UPSERT_PRODUCT, upsert("SKU-1", &json!({"sku": "SKU-1", "stock": 1}))).await;
    let mut other = upsert("SKU-1", &json!({}));
    other["by"]["sku"] = json!("SKU-3");
    other["create"]["sku"] = json!("SKU-4");
    assert_eq!(admin.refused(UPSERT_PRODUCT, other).await, errors(&[("INVALID", "create.sku")]));
    let log = shop::log(&admin).await;
    assert_eq!(log.len(), 2);
}

async fn all_that_is_wrong_is_told_at_once(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let mut input = upsert("SKU-1", &json!({"stock": -1, "name": null}));
    input["create"]["price"] = json!("-1");
    input["create"]["orderLines"] = json!({"create": [{"orderId": "order_0", "quantity": 0, "unitPrice": "1"}]});
    let expected = [
        ("INVALID", "create.orderLines.create.0.orderId"),
        ("OUT_OF_RANGE", "create.orderLines.create.0.quantity"),
        ("OUT_OF_RANGE", "create.price"),
        ("OUT_OF_RANGE", "update.stock"),
    ];
    let found = admin.refused(UPSERT_PRODUCT, input.clone()).await;
    assert_eq!(found, errors(&expected));
    // The same if it is there, and what is wrong with a change of it.
    admin.done(CREATE_PRODUCT, shop::product("SKU-1")).await;
    let found = admin.refused(UPSERT_PRODUCT, input).await;
    assert_eq!(found, errors(&[expected.as_slice(), &[("REQUIRED", "update.name")]].concat()));
    for by in [json!({}), json!({"sku": null}), json!({"sku": "SKU-1", "id": "x"})] {
        let input = json!({"by": by, "create": shop::product("SKU-1"), "update": {}});
        let response = admin.response(UPSERT_PRODUCT, json!({"input": input})).await;
        assert_eq!(error_codes(&response), ["BAD_USER_INPUT"], "{by}");
    }
    assert_eq!(shop::log(&admin).await.len(), 1);
}

async fn a_key_of_several_fields_finds_and_makes_a_row(case: &Case) {
    let path = case.file(
        "stock.graphql",
        "type Place @resource { name: String! @unique }
         type Stock @resource @unique(fields: [\"place\", \"sku\"]) { place: Place! sku: String! count: Int! @default(value: 0) }",
    );
    let server = case.start(case.settings().with("--resources", &path)).await;
    let admin = server.client(&Caller::admin());
    let place = "mutation { createPlace(input: {name: \"here\"}) { place { id } } }";
    let place = text(&admin.data(place, json!({})).await["createPlace"]["place"]["id"]);
    let mutation = "mutation($input: UpsertStockInput!) { upsertStock(input: $input) {
        stock { place { id name } sku count } change { kind } userErrors { code message path } } }";
    let mut input = json!({
        "by": {"placeAndSku": {"placeId": place, "sku": "A"}},
        "create": {"placeId": place, "sku": "A", "count": 1},
        "update": {"count": 2},
    });
    for (kind, count) in [("CREATED", 1), ("UPDATED", 2)] {
        let payload = admin.done(mutation, input.clone()).await;
        let stock = json!({"place": {"id": place, "name": "here"}, "sku": "A", "count": count});
        assert_eq!((&payload["change"]["kind"], &payload["stock"]), (&json!(kind), &stock));
    }
    input["by"]["placeAndSku"]["placeId"] = json!("nonsense");
    let expected = errors(&[("INVALID", "by.placeAndSku.placeId")]);
    assert_eq!(admin.refused(mutation, input).await, expected);
}
