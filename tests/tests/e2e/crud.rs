//! Writing single rows: what a mutation checks, what it says, and what it leaves behind.

use serde_json::{Value, json};
use tandem_tests::client::{error_codes, number, text, user_errors};
use tandem_tests::shop::{
    self, CREATE_CUSTOMER, CREATE_ORDER, CREATE_PRODUCT, DELETE_CUSTOMER, DELETE_ORDER, DELETE_PRODUCT,
    UPDATE_CUSTOMER, UPDATE_ORDER, UPDATE_PRODUCT, add_customer, add_order, add_product, support_staff,
};
use tandem_tests::{Caller, Case, on_both};

on_both!(
    a_row_is_created_read_changed_and_deleted,
    every_violation_is_reported_at_once,
    a_patch_is_checked_like_a_create,
    a_patch_changes_what_it_names_and_nothing_else,
    a_version_conflict_returns_the_current_row,
    unique_keys_are_kept,
    what_the_caller_may_not_see_is_not_found,
    a_row_that_is_referred_to_is_kept,
    a_cascade_tells_of_the_children_first,
    an_order_is_created_with_its_lines,
    a_bad_line_refuses_the_whole_order,
    what_is_set_once_is_not_in_the_patch,
    the_database_makes_defaults,
    mutations_of_one_request_run_in_order_and_fail_alone,
    a_client_mutation_id_comes_back,
);

fn errors(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(code, path)| ((*code).to_owned(), (*path).to_owned())).collect()
}

async fn a_row_is_created_read_changed_and_deleted(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let input =
        json!({"sku": "LAMP-1", "name": "Lamp", "price": "19.9", "stock": 3, "tags": ["a", "b"], "cost": "7.00"});
    let created = admin.done(CREATE_PRODUCT, input).await;
    let product = &created["product"];
    let id = text(&product["id"]);
    assert!(id.starts_with("product_") && id.len() == "product_".len() + 26, "{id}");
    assert_eq!(product["price"], "19.90", "a decimal has all its digits");
    assert_eq!((&product["version"], &product["tags"]), (&json!(1), &json!(["a", "b"])));
    assert_eq!(product["createdAt"], product["updatedAt"]);
    assert_eq!((&created["change"]["kind"], number(&created["change"]["position"])), (&json!("CREATED"), 1));

    let read =
        "query($id: ID!) { product(by: {id: $id}) { id sku name price stock tags cost version createdAt updatedAt } }";
    assert_eq!(admin.data(read, json!({"id": id})).await["product"], *product);
    let by_sku = "{ product(by: {sku: \"LAMP-1\"}) { id } node(id: \"ID\") { __typename id ... on Product { sku } } }";
    let found = admin.data(&by_sku.replace("\"ID\"", &json!(id).to_string()), json!({})).await;
    assert_eq!(found["product"]["id"], json!(id));
    assert_eq!(found["node"], json!({"__typename": "Product", "id": id, "sku": "LAMP-1"}));

    let changed = admin.done(UPDATE_PRODUCT, json!({"id": id, "patch": {"price": "20"}, "ifVersion": 1})).await;
    assert_eq!((&changed["product"]["price"], &changed["product"]["version"]), (&json!("20.00"), &json!(2)));
    assert_eq!(changed["product"]["createdAt"], product["createdAt"]);
    assert!(text(&changed["product"]["updatedAt"]) > text(&product["updatedAt"]));

    let deleted = admin.done(DELETE_PRODUCT, json!({"id": id, "ifVersion": 2})).await;
    assert_eq!(deleted["deletedProductId"], json!(id));
    assert_eq!((&deleted["change"]["kind"], &deleted["change"]["version"]), (&json!("DELETED"), &json!(3)));
    assert_eq!(admin.data(read, json!({"id": id})).await["product"], Value::Null);
    shop::assert_sound(&shop::log(&admin).await);
}

async fn every_violation_is_reported_at_once(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let tags: Vec<String> = (0..21).map(|tag| tag.to_string()).collect();
    let input = json!({"sku": "small letters", "name": "", "price": "-0.01", "stock": -1, "tags": tags});
    let payload = admin.payload(CREATE_PRODUCT, input).await;
    let expected = errors(&[
        ("OUT_OF_RANGE", "price"),
        ("OUT_OF_RANGE", "stock"),
        ("PATTERN_MISMATCH", "sku"),
        ("TOO_LONG", "tags"),
        ("TOO_SHORT", "name"),
    ]);
    assert_eq!(user_errors(&payload), expected);
    assert!(payload["product"].is_null() && payload["change"].is_null(), "{payload}");
    for error in payload["userErrors"].as_array().into_iter().flatten() {
        assert!(!text(&error["message"]).is_empty(), "{error}");
    }
    let long = json!({"sku": "SKU-1", "name": "x".repeat(201), "price": "1.00"});
    assert_eq!(admin.refused(CREATE_PRODUCT, long).await, errors(&[("TOO_LONG", "name")]));
    // Characters are counted, not bytes.
    let umlauts = json!({"sku": "SKU-1", "name": "ü".repeat(200), "price": "1.00"});
    admin.done(CREATE_PRODUCT, umlauts).await;
    let email = json!({"email": "nobody"});
    assert_eq!(admin.refused(CREATE_CUSTOMER, email).await, errors(&[("INVALID", "email")]));
    assert_eq!(shop::log(&admin).await.len(), 1, "what is refused leaves nothing behind");
}

async fn a_patch_is_checked_like_a_create(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let id = add_product(&admin, "SKU-1").await;
    let patch = json!({"sku": "no", "name": null, "price": "-1", "stock": null});
    let expected = errors(&[
        ("OUT_OF_RANGE", "patch.price"),
        ("PATTERN_MISMATCH", "patch.sku"),
        ("REQUIRED", "patch.name"),
        ("REQUIRED", "patch.stock"),
    ]);
    assert_eq!(admin.refused(UPDATE_PRODUCT, json!({"id": id, "patch": patch})).await, expected);
    let found = admin.data("{ product(by: {sku: \"SKU-1\"}) { version } }", json!({})).await;
    assert_eq!(found["product"]["version"], json!(1));
}

async fn a_patch_changes_what_it_names_and_nothing_else(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let input = json!({"sku": "SKU-1", "name": "Lamp", "price": "1.00", "stock": 5, "tags": ["x"], "cost": "0.50"});
    let before = admin.done(CREATE_PRODUCT, input).await["product"].take();
    // A variable that is left out is not a null.
    let mutation = "mutation($id: ID!, $name: String, $stock: Int, $cost: Decimal) {
        updateProduct(input: {id: $id, patch: {name: $name, stock: $stock, cost: $cost}}) {
            product { id sku name price stock tags cost version createdAt updatedAt } change { changedFields } userErrors { code } } }";
    let data = admin.data(mutation, json!({"id": before["id"], "name": "Light", "cost": null})).await;
    let payload = &data["updateProduct"];
    assert_eq!(payload["userErrors"], json!([]));
    let mut expected = before.clone();
    expected["name"] = json!("Light");
    expected["cost"] = Value::Null;
    expected["version"] = json!(2);
    expected["updatedAt"] = payload["product"]["updatedAt"].clone();
    assert_eq!(payload["product"], expected);
    let changed = payload["change"]["changedFields"].as_array().expect("a list");
    assert!(changed.contains(&json!("name")) && changed.contains(&json!("cost")), "{changed:?}");
    assert!(!changed.contains(&json!("stock")) && !changed.contains(&json!("sku")), "{changed:?}");
}

async fn a_version_conflict_returns_the_current_row(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let id = add_product(&admin, "SKU-1").await;
    admin.done(UPDATE_PRODUCT, json!({"id": id, "patch": {"name": "Second"}, "ifVersion": 1})).await;
    let payload = admin.payload(UPDATE_PRODUCT, json!({"id": id, "patch": {"name": "Lost"}, "ifVersion": 1})).await;
    assert_eq!(user_errors(&payload), errors(&[("VERSION_CONFLICT", "ifVersion")]));
    assert_eq!((&payload["product"]["name"], &payload["product"]["version"]), (&json!("Second"), &json!(2)));
    let delete = DELETE_PRODUCT.replace("deletedProductId", "deletedProductId product { name version }");
    let payload = admin.payload(&delete, json!({"id": id, "ifVersion": 1})).await;
    assert_eq!(user_errors(&payload), errors(&[("VERSION_CONFLICT", "ifVersion")]));
    assert_eq!((&payload["deletedProductId"], &payload["product"]["version"]), (&Value::Null, &json!(2)));
    assert_eq!(shop::log(&admin).await.len(), 2);
}

async fn unique_keys_are_kept(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    add_product(&admin, "SKU-1").await;
    let second = add_product(&admin, "SKU-2").await;
    assert_eq!(admin.refused(CREATE_PRODUCT, shop::product("SKU-1")).await, errors(&[("NOT_UNIQUE", "sku")]));
    let patch = json!({"id": second, "patch": {"sku": "SKU-1"}});
    assert_eq!(admin.refused(UPDATE_PRODUCT, patch).await, errors(&[("NOT_UNIQUE", "patch.sku")]));
    // To itself is no conflict.
    admin.done(UPDATE_PRODUCT, json!({"id": second, "patch": {"sku": "SKU-2", "name": "Same"}})).await;
    let alice = server.client(&Caller::user("alice"));
    add_customer(&alice, "alice@example.org").await;
    let again = json!({"email": "alice@example.org"});
    let bob = server.client(&Caller::user("bob"));
    assert_eq!(bob.refused(CREATE_CUSTOMER, again).await, errors(&[("NOT_UNIQUE", "email")]));
    // A private key is kept as well, and stays private.
    let payload = alice.payload(CREATE_CUSTOMER, json!({"email": "other@example.org"})).await;
    assert_eq!(user_errors(&payload), errors(&[("NOT_UNIQUE", "")]));
    assert!(!payload.to_string().contains("userId"), "{payload}");
}

async fn what_the_caller_may_not_see_is_not_found(case: &Case) {
    let server = case.server().await;
    let (alice, bob) = (server.client(&Caller::user("alice")), server.client(&Caller::user("bob")));
    let admin = server.client(&Caller::admin());
    let product = add_product(&admin, "SKU-1").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let order = add_order(&alice, &customer, &product).await;
    add_customer(&bob, "bob@example.org").await;
    let not_found = errors(&[("NOT_FOUND", "id")]);
    assert_eq!(bob.refused(UPDATE_CUSTOMER, json!({"id": customer, "patch": {"name": "x"}})).await, not_found);
    assert_eq!(bob.refused(DELETE_CUSTOMER, json!({"id": customer})).await, not_found);
    assert_eq!(bob.refused(UPDATE_ORDER, json!({"id": order, "patch": {"note": "x"}})).await, not_found);
    // As if it were not there at all, or were something else.
    let nowhere = "customer_00000000000000000000000000";
    for id in [nowhere, product.as_str(), "nonsense"] {
        assert_eq!(bob.refused(UPDATE_CUSTOMER, json!({"id": id, "patch": {"name": "x"}})).await, not_found, "{id}");
    }
    let stolen = json!({"customerId": customer});
    assert_eq!(bob.refused(CREATE_ORDER, stolen).await, errors(&[("NOT_FOUND", "customerId")]));
    assert_eq!(
        admin.refused(CREATE_ORDER, json!({"customerId": nowhere})).await,
        errors(&[("NOT_FOUND", "customerId")])
    );
}

async fn a_row_that_is_referred_to_is_kept(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let product = add_product(&admin, "SKU-1").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let order = add_order(&alice, &customer, &product).await;
    assert_eq!(alice.refused(DELETE_CUSTOMER, json!({"id": customer})).await, errors(&[("REFERENCED", "id")]));
    assert_eq!(admin.refused(DELETE_PRODUCT, json!({"id": product})).await, errors(&[("REFERENCED", "id")]));
    alice.done(DELETE_ORDER, json!({"id": order})).await;
    alice.done(DELETE_CUSTOMER, json!({"id": customer})).await;
    admin.done(DELETE_PRODUCT, json!({"id": product})).await;
    shop::assert_sound(&shop::log(&admin).await);
}

async fn a_cascade_tells_of_the_children_first(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let products = [add_product(&admin, "SKU-1").await, add_product(&admin, "SKU-2").await];
    let customer = add_customer(&alice, "alice@example.org").await;
    let lines = products.iter().map(|id| json!({"productId": id, "quantity": 2, "unitPrice": "3.00"}));
    let input = json!({"customerId": customer, "lines": {"create": lines.collect::<Vec<_>>()}});
    let order = alice.done(CREATE_ORDER, input).await["order"]["id"].take();
    let deleted = alice.done(DELETE_ORDER, json!({"id": order})).await;
    let log = shop::log(&admin).await;
    shop::assert_sound(&log);
    let end: Vec<(&str, &str)> = log[log.len() - 3..].iter().map(|e| (e.ty.as_str(), e.kind.as_str())).collect();
    assert_eq!(end, [("OrderLine", "DELETED"), ("OrderLine", "DELETED"), ("Order", "DELETED")]);
    assert_eq!(text(&deleted["change"]["id"]), log[log.len() - 1].id, "the payload tells of the row itself");
    let transactions = "{ changes(first: 1000) { nodes { transactionId } } }";
    let data = admin.data(transactions, json!({})).await;
    let nodes = data["changes"]["nodes"].as_array().expect("a connection has nodes");
    assert!(
        nodes[nodes.len() - 3..].iter().all(|node| node == &nodes[nodes.len() - 1]),
        "one mutation, one transaction"
    );
    assert_ne!(nodes[0], nodes[1], "another mutation, another transaction");
}

async fn an_order_is_created_with_its_lines(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let products = [add_product(&admin, "SKU-1").await, add_product(&admin, "SKU-2").await];
    let customer = add_customer(&alice, "alice@example.org").await;
    let lines = json!({"create": [
        {"productId": products[0], "quantity": 2, "unitPrice": "3.00"},
        {"productId": products[1], "quantity": 1, "unitPrice": "4.5"},
    ]});
    let input = json!({"customerId": customer, "note": "soon", "lines": lines});
    let order = alice.done(CREATE_ORDER, input).await["order"].take();
    assert_eq!((&order["status"], &order["number"]), (&json!("DRAFT"), &json!("1")));
    assert_eq!(order["customer"]["id"], json!(customer));
    let read = "query($id: ID!) { order(by: {id: $id}) { number note lines { nodes { quantity unitPrice product { id sku } order { id } } } } }";
    let found = alice.data(read, json!({"id": order["id"]})).await;
    let expected = json!([
        {"quantity": 2, "unitPrice": "3.00", "product": {"id": products[0], "sku": "SKU-1"}, "order": {"id": order["id"]}},
        {"quantity": 1, "unitPrice": "4.50", "product": {"id": products[1], "sku": "SKU-2"}, "order": {"id": order["id"]}},
    ]);
    assert_eq!(found["order"]["lines"]["nodes"], expected);
    let log = shop::log(&admin).await;
    let end: Vec<&str> = log[log.len() - 3..].iter().map(|entry| entry.ty.as_str()).collect();
    assert_eq!(end, ["Order", "OrderLine", "OrderLine"], "an event for each row");
    let second = alice.done(CREATE_ORDER, json!({"customerId": customer})).await;
    assert_eq!(second["order"]["number"], "2", "the sequence counts");
}

async fn a_bad_line_refuses_the_whole_order(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let product = add_product(&admin, "SKU-1").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let written = shop::log(&admin).await.len();
    let lines = json!({"create": [
        {"productId": product, "quantity": 1, "unitPrice": "1.00"},
        {"productId": "product_00000000000000000000000000", "quantity": 0, "unitPrice": "-1.00"},
    ]});
    let input = json!({"customerId": customer, "note": "x".repeat(2001), "lines": lines});
    let found = alice.refused(CREATE_ORDER, input).await;
    for expected in [
        ("OUT_OF_RANGE", "lines.create.1.quantity"),
        ("OUT_OF_RANGE", "lines.create.1.unitPrice"),
        ("TOO_LONG", "note"),
    ] {
        assert!(found.contains(&(expected.0.to_owned(), expected.1.to_owned())), "{expected:?} in {found:?}");
    }
    // What only the database can tell, together with what can be seen without it.
    let good = json!({"productId": product, "quantity": 1, "unitPrice": "1.00"});
    let bad = json!({"productId": "product_00000000000000000000000000", "quantity": 0, "unitPrice": "x"});
    let input = json!({"customerId": customer, "note": "x".repeat(2001), "lines": {"create": [good, bad, good]}});
    let expected = errors(&[
        ("INVALID", "lines.create.1.unitPrice"),
        ("NOT_FOUND", "lines.create.1.productId"),
        ("NOT_UNIQUE", "lines.create.2"),
        ("OUT_OF_RANGE", "lines.create.1.quantity"),
        ("TOO_LONG", "note"),
    ]);
    assert_eq!(alice.refused(CREATE_ORDER, input).await, expected);
    let line = json!({"productId": "product_00000000000000000000000000", "quantity": 1, "unitPrice": "1.00"});
    let input = json!({"customerId": customer, "lines": {"create": [line]}});
    let expected = errors(&[("NOT_FOUND", "lines.create.0.productId")]);
    assert_eq!(alice.refused(CREATE_ORDER, input).await, expected);
    let line = json!({"productId": product, "quantity": 1, "unitPrice": "1.00"});
    let twice = json!({"customerId": customer, "lines": {"create": [line, line]}});
    let found = alice.refused(CREATE_ORDER, twice).await;
    assert_eq!(found[0].0, "NOT_UNIQUE");
    assert!(found[0].1.starts_with("lines.create.1"), "{found:?}");
    assert_eq!(shop::log(&admin).await.len(), written, "nothing of a refused order is there");
    let orders = alice.data("{ orders { nodes { id } } }", json!({})).await;
    assert_eq!(orders["orders"]["nodes"], json!([]));
}

async fn what_is_set_once_is_not_in_the_patch(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let product = add_product(&admin, "SKU-1").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let order = add_order(&alice, &customer, &product).await;
    for patch in [json!({"customerId": customer}), json!({"number": "7"}), json!({"version": 7}), json!({"id": order})]
    {
        let variables = json!({"input": {"id": order, "patch": patch}});
        let response = alice.response(UPDATE_ORDER, variables).await;
        assert_eq!(error_codes(&response), ["BAD_USER_INPUT"], "{patch}");
    }
    for (field, value) in [("userId", "\"bob\""), ("id", "\"customer_1\""), ("createdAt", "\"2026-01-01T00:00:00Z\"")] {
        let mutation = format!(
            "mutation {{ createCustomer(input: {{email: \"a@example.org\", {field}: {value}}}) {{ userErrors {{ code }} }} }}"
        );
        let response = alice.response(&mutation, json!({})).await;
        assert_eq!(error_codes(&response), ["GRAPHQL_VALIDATION_FAILED"], "{field}");
    }
}

async fn the_database_makes_defaults(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let product = admin.done(CREATE_PRODUCT, shop::product("SKU-1")).await["product"].take();
    assert_eq!((&product["stock"], &product["tags"], &product["cost"]), (&json!(0), &json!([]), &Value::Null));
    // The owner of a record is who makes it.
    let customer = add_customer(&alice, "alice@example.org").await;
    let own = "query($id: ID!) { customer(by: {id: $id}) { email name } }";
    let found = alice.data(own, json!({"id": customer})).await;
    assert_eq!(found["customer"], json!({"email": "alice@example.org", "name": null}));
    let staff = server.client(&support_staff());
    assert_eq!(staff.data(own, json!({"id": customer})).await, found);
    let bob = server.client(&Caller::user("bob"));
    assert_eq!(bob.data(own, json!({"id": customer})).await["customer"], Value::Null);
}

async fn mutations_of_one_request_run_in_order_and_fail_alone(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let create = |alias: &str, sku: &str| {
        format!(
            "{alias}: createProduct(input: {{sku: \"{sku}\", name: \"x\", price: \"1\"}}) {{ change {{ position }} userErrors {{ code }} }}"
        )
    };
    let document = format!("mutation {{ {} {} {} }}", create("a", "SKU-1"), create("b", "SKU-1"), create("c", "SKU-2"));
    let data = admin.data(&document, json!({})).await;
    assert_eq!(number(&data["a"]["change"]["position"]), 1);
    assert_eq!((&data["b"]["change"], &data["b"]["userErrors"][0]["code"]), (&Value::Null, &json!("NOT_UNIQUE")));
    assert_eq!(number(&data["c"]["change"]["position"]), 2);
}

async fn a_client_mutation_id_comes_back(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let document =
        "mutation { createProduct(input: {sku: \"SKU-1\", name: \"x\", price: \"1\", clientMutationId: \"m-1\"}) {
        clientMutationId userErrors { code } } }";
    let data = admin.data(document, json!({})).await;
    assert_eq!(data["createProduct"]["clientMutationId"], json!("m-1"));
}
