//! Reading lists: filters, orders, pages, the log, and how bad requests are answered.

use serde_json::{Value, json};
use tandem_tests::client::{error_codes, text};
use tandem_tests::shop::{
    self, CREATE_CUSTOMER, CREATE_PRODUCT, DELETE_PRODUCT, UPDATE_PRODUCT, add_customer, add_order, add_product,
};
use tandem_tests::{Caller, Case, Client, on_both};

on_both!(
    filters_select_rows,
    long_lists_are_taken_whole,
    text_is_taken_literally,
    orders_sort_rows,
    pages_go_forward_and_back,
    pages_are_bounded,
    nested_lists_have_pages_of_their_own,
    the_log_can_be_filtered,
    a_page_of_the_log_has_bounds,
    the_viewer_is_who_is_calling,
    bad_requests_are_told_so,
);

async fn stock(admin: &Client) {
    for (sku, name, price, stock, tags) in [
        ("AAA-1", "Lamp", "1.50", 0, json!([])),
        ("AAA-2", "lampshade", "10.00", 5, json!(["home"])),
        ("BBB-1", "100% wool", "2.00", 9, json!(["home", "soft"])),
        ("BBB-2", "under_score", "9.99", 9, json!(["soft"])),
    ] {
        let input = json!({"sku": sku, "name": name, "price": price, "stock": stock, "tags": tags});
        admin.done(CREATE_PRODUCT, input).await;
    }
    let cost = json!({"sku": "CCC-1", "name": "Lämp", "price": "999999999.99", "stock": 2, "cost": "0.01"});
    admin.done(CREATE_PRODUCT, cost).await;
}

/// The SKUs that a filter selects, joined by spaces, in their own order.
async fn selected(client: &Client, filter: &Value) -> String {
    let query = "query($filter: ProductFilter) { products(filter: $filter, orderBy: [{sku: ASC}]) { nodes { sku } } }";
    skus(&client.data(query, json!({"filter": filter})).await["products"])
}

fn skus(connection: &Value) -> String {
    let nodes = connection["nodes"].as_array().expect("a connection has nodes");
    nodes.iter().map(|node| text(&node["sku"])).collect::<Vec<_>>().join(" ")
}

async fn filters_select_rows(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    stock(&admin).await;
    for (filter, expected) in [
        (json!({}), "AAA-1 AAA-2 BBB-1 BBB-2 CCC-1"),
        (json!({"sku": {"eq": "AAA-1"}}), "AAA-1"),
        (json!({"sku": {"neq": "AAA-1"}}), "AAA-2 BBB-1 BBB-2 CCC-1"),
        (json!({"sku": {"in": ["AAA-1", "CCC-1", "ZZZ"]}}), "AAA-1 CCC-1"),
        (json!({"sku": {"in": []}}), ""),
        (json!({"sku": {"notIn": ["AAA-1", "CCC-1"]}}), "AAA-2 BBB-1 BBB-2"),
        (json!({"sku": {"gt": "AAA-2", "lte": "BBB-2"}}), "BBB-1 BBB-2"),
        (json!({"stock": {"gte": 5}}), "AAA-2 BBB-1 BBB-2"),
        (json!({"stock": {"lt": 5}, "name": {"startsWith": "L"}}), "AAA-1 CCC-1"),
        // Decimals compare as numbers, not as text.
        (json!({"price": {"gt": "9.99"}}), "AAA-2 CCC-1"),
        (json!({"price": {"eq": "10"}}), "AAA-2"),
        (json!({"cost": {"isNull": true}}), "AAA-1 AAA-2 BBB-1 BBB-2"),
        (json!({"cost": {"isNull": false}}), "CCC-1"),
        // What is null is neither equal nor unequal.
        (json!({"cost": {"neq": "1.00"}}), "CCC-1"),
        (json!({"tags": {"has": "home"}}), "AAA-2 BBB-1"),
        (json!({"tags": {"hasSome": ["soft", "home"]}}), "AAA-2 BBB-1 BBB-2"),
        (json!({"tags": {"hasEvery": ["soft", "home"]}}), "BBB-1"),
        (json!({"tags": {"isEmpty": true}}), "AAA-1 CCC-1"),
        (json!({"or": [{"sku": {"eq": "AAA-1"}}, {"stock": {"eq": 2}}]}), "AAA-1 CCC-1"),
        (json!({"and": [{"stock": {"gt": 0}}, {"sku": {"startsWith": "A"}}]}), "AAA-2"),
        (json!({"not": {"stock": {"gt": 0}}}), "AAA-1"),
        (json!({"or": []}), ""),
        (json!({"and": []}), "AAA-1 AAA-2 BBB-1 BBB-2 CCC-1"),
    ] {
        assert_eq!(selected(&admin, &filter).await, expected, "{filter}");
    }
    let alice = server.client(&Caller::user("alice"));
    let product = add_product(&admin, "DDD-1").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let order = add_order(&alice, &customer, &product).await;
    for (filter, expected) in [
        (json!({"customer": {"email": {"eq": "alice@example.org"}}}), vec![order.clone()]),
        (json!({"customer": {"email": {"eq": "bob@example.org"}}}), vec![]),
        (json!({"customerId": {"eq": customer}}), vec![order.clone()]),
        (json!({"id": {"in": [order]}, "status": {"in": ["DRAFT", "PAID"]}}), vec![order.clone()]),
        (json!({"status": {"eq": "PAID"}}), vec![]),
        (json!({"number": {"eq": "1"}}), vec![order.clone()]),
        (json!({"createdAt": {"lt": "2020-01-01T00:00:00Z"}}), vec![]),
    ] {
        let query = "query($filter: OrderFilter) { orders(filter: $filter) { nodes { id } } }";
        let data = alice.data(query, json!({"filter": filter})).await;
        let found = data["orders"]["nodes"].as_array().expect("a connection has nodes");
        assert_eq!(found.iter().map(|node| text(&node["id"])).collect::<Vec<_>>(), expected, "{filter}");
    }
}

async fn long_lists_are_taken_whole(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    stock(&admin).await;
    let texts = |count: usize| (0..count).map(|i| format!("X{i}")).chain(["AAA-1".to_owned()]).collect::<Vec<_>>();
    for (filter, expected) in [
        (json!({"sku": {"in": texts(9_999)}}), "AAA-1"),
        (json!({"sku": {"notIn": texts(9_999)}}), "AAA-2 BBB-1 BBB-2 CCC-1"),
        (json!({"stock": {"in": (5..5_000).collect::<Vec<_>>()}}), "AAA-2 BBB-1 BBB-2"),
        (json!({"price": {"in": (0..500).map(|n| format!("{n}.50")).collect::<Vec<_>>()}}), "AAA-1"),
        (json!({"cost": {"notIn": (0..500).map(|n| n.to_string()).collect::<Vec<_>>()}}), "CCC-1"),
        (json!({"tags": {"hasSome": texts(5_000)}}), ""),
        (
            json!({"tags": {"hasSome": texts(5_000).into_iter().chain(["soft".to_owned()]).collect::<Vec<_>>()}}),
            "BBB-1 BBB-2",
        ),
        (json!({"tags": {"hasEvery": vec!["home"; 5_000]}}), "AAA-2 BBB-1"),
    ] {
        assert_eq!(selected(&admin, &filter).await, expected, "{}", &filter.to_string()[..60]);
    }
    // Single tests are counted over the whole request.
    let tests: Vec<_> = (0..999).map(|stock| json!({"stock": {"eq": stock}})).collect();
    let lists = |count: usize| {
        (0..count).map(|i| format!("l{i}: products(filter: $filter) {{ totalCount }}")).collect::<String>()
    };
    let query = |count| format!("query($filter: ProductFilter) {{ {} }}", lists(count));
    let variables = json!({"filter": {"or": tests}});
    admin.data(&query(10), variables.clone()).await;
    let response = admin.response(&query(11), variables).await;
    assert_eq!(error_codes(&response), ["COST_LIMIT_EXCEEDED"]);
}

async fn text_is_taken_literally(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    stock(&admin).await;
    for (name, expected) in [
        (json!({"contains": "%"}), "BBB-1"),
        (json!({"contains": "_"}), "BBB-2"),
        (json!({"startsWith": "100%"}), "BBB-1"),
        (json!({"endsWith": "_score"}), "BBB-2"),
        (json!({"contains": "\\"}), ""),
        (json!({"contains": "'"}), ""),
        (json!({"contains": "lamp"}), "AAA-2"),
        (json!({"containsIgnoreCase": "LAMP"}), "AAA-1 AAA-2"),
        (json!({"containsIgnoreCase": "UNDER_"}), "BBB-2"),
        (json!({"eqIgnoreCase": "lamp"}), "AAA-1"),
        (json!({"contains": "ä"}), "CCC-1"),
    ] {
        assert_eq!(selected(&admin, &json!({"name": name})).await, expected, "{name}");
    }
}

async fn orders_sort_rows(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    stock(&admin).await;
    for (order, expected) in [
        ("[{sku: DESC}]", "CCC-1 BBB-2 BBB-1 AAA-2 AAA-1"),
        ("[{price: ASC}]", "AAA-1 BBB-1 BBB-2 AAA-2 CCC-1"),
        ("[{stock: DESC}, {sku: DESC}]", "BBB-2 BBB-1 AAA-2 CCC-1 AAA-1"),
        ("[{stock: DESC}, {sku: ASC}]", "BBB-1 BBB-2 AAA-2 CCC-1 AAA-1"),
        ("[{createdAt: DESC}]", "CCC-1 BBB-2 BBB-1 AAA-2 AAA-1"),
        // By code point, on every database.
        ("[{name: ASC}]", "BBB-1 AAA-1 CCC-1 AAA-2 BBB-2"),
    ] {
        let query = format!("{{ products(orderBy: {order}) {{ nodes {{ sku }} }} }}");
        assert_eq!(skus(&admin.data(&query, json!({})).await["products"]), expected, "{order}");
    }
    let product = add_product(&admin, "DDD-1").await;
    for (sub, name) in [("bob", "Zoe"), ("alice", "Adam")] {
        let client = server.client(&Caller::user(sub));
        let input = json!({"email": format!("{sub}@example.org"), "name": name});
        let customer = text(&client.done(CREATE_CUSTOMER, input).await["customer"]["id"]);
        add_order(&client, &customer, &product).await;
    }
    let query = "{ orders(orderBy: [{customer: {name: ASC}}]) { nodes { customer { name } } } }";
    let data = admin.data(query, json!({})).await;
    assert_eq!(data["orders"]["nodes"], json!([{"customer": {"name": "Adam"}}, {"customer": {"name": "Zoe"}}]));
}

async fn pages_go_forward_and_back(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    // Stocks repeat, so that pages end between rows that are equal in the order.
    for number in 0..23 {
        let mut input = shop::product(&format!("SKU-{number:02}"));
        input["stock"] = json!(number % 4);
        // Null in some rows, which have a place in the order too.
        input["cost"] = if number % 3 == 0 { Value::Null } else { json!(format!("{}.00", number % 2)) };
        admin.done(CREATE_PRODUCT, input).await;
    }
    for order in ["[]", "[{stock: ASC}]", "[{stock: DESC}]", "[{cost: ASC}, {stock: DESC}]", "[{cost: DESC}]"] {
        let all = page(&admin, order, "first: 1000", json!({})).await;
        let all: Vec<String> = skus(&all).split(' ').map(str::to_owned).collect();
        assert_eq!(all.len(), 23);
        for size in [1, 5, 23] {
            assert_eq!(walk(&admin, order, size, true).await, all, "{order} forward by {size}");
            assert_eq!(walk(&admin, order, size, false).await, all, "{order} back by {size}");
        }
    }
}

async fn page(client: &Client, order: &str, arguments: &str, variables: Value) -> Value {
    let declared = if arguments.contains("$cursor") { "query($cursor: String)" } else { "query" };
    let query = format!(
        "{declared} {{ products({arguments}, orderBy: {order}) {{ edges {{ cursor node {{ sku }} }} nodes {{ sku }}
            pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
    );
    let page = client.data(&query, variables).await["products"].take();
    let edges = page["edges"].as_array().expect("a connection has edges");
    let first = edges.first().map(|edge| &edge["cursor"]);
    let last = edges.last().map(|edge| &edge["cursor"]);
    assert_eq!((page["pageInfo"].get("startCursor"), page["pageInfo"].get("endCursor")), (first, last));
    page
}

/// All SKUs in order, read page by page from one end to the other.
async fn walk(client: &Client, order: &str, size: usize, forward: bool) -> Vec<String> {
    let mut pages: Vec<Vec<String>> = Vec::new();
    let mut cursor = Value::Null;
    let (count, from, more, other) = if forward {
        ("first", "after", "hasNextPage", "hasPreviousPage")
    } else {
        ("last", "before", "hasPreviousPage", "hasNextPage")
    };
    loop {
        let arguments = format!("{count}: {size}, {from}: $cursor");
        let page = page(client, order, &arguments, json!({"cursor": cursor})).await;
        assert_eq!(page["pageInfo"][other], json!(!pages.is_empty()), "{arguments}");
        pages.push(skus(&page).split(' ').map(str::to_owned).collect());
        if page["pageInfo"][more] == json!(false) {
            break;
        }
        cursor = page["pageInfo"][if forward { "endCursor" } else { "startCursor" }].clone();
    }
    if !forward {
        pages.reverse();
    }
    pages.concat()
}

async fn pages_are_bounded(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    for number in 0..60 {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    let data = admin.data("{ products { nodes { sku } pageInfo { hasNextPage } } }", json!({})).await;
    assert_eq!(data["products"]["nodes"].as_array().map(Vec::len), Some(50), "50 if nothing is said");
    assert_eq!(data["products"]["pageInfo"]["hasNextPage"], json!(true));
    for arguments in ["first: 1001", "first: -1", "last: 1001", "first: 1, last: 1", "first: 1, after: \"nonsense\""] {
        let response = admin.response(&format!("{{ products({arguments}) {{ nodes {{ sku }} }} }}"), json!({})).await;
        assert_eq!(error_codes(&response).len(), 1, "{arguments}: {response}");
        assert!(response["data"].is_null(), "{arguments}: {response}");
    }
    let none = admin.data("{ products(first: 0) { nodes { sku } asOf } }", json!({})).await;
    assert_eq!(none["products"]["nodes"], json!([]));
}

async fn nested_lists_have_pages_of_their_own(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let mut products = Vec::new();
    for number in 0..3 {
        products.push(add_product(&admin, &format!("SKU-{number}")).await);
    }
    let customer = add_customer(&alice, "alice@example.org").await;
    for order in 0..2 {
        let lines = products
            .iter()
            .zip(1..)
            .map(|(id, quantity)| json!({"productId": id, "quantity": quantity + order, "unitPrice": "1.00"}));
        let input = json!({"customerId": customer, "lines": {"create": lines.collect::<Vec<_>>()}});
        alice.done(shop::CREATE_ORDER, input).await;
    }
    let query = "query($after: String) { orders(orderBy: [{number: ASC}]) { nodes {
        lines(first: 2, after: $after, orderBy: [{quantity: DESC}], filter: {quantity: {lt: 4}}) {
            nodes { quantity product { sku } } pageInfo { hasNextPage endCursor } } } } }";
    let data = alice.data(query, json!({})).await;
    let quantities = |order: usize| {
        let lines = data["orders"]["nodes"][order]["lines"]["nodes"].as_array().expect("a connection has nodes");
        lines.iter().filter_map(|line| line["quantity"].as_i64()).collect::<Vec<_>>()
    };
    assert_eq!((quantities(0), quantities(1)), (vec![3, 2], vec![3, 2]));
    let info = &data["orders"]["nodes"][0]["lines"]["pageInfo"];
    assert_eq!(info["hasNextPage"], json!(true));
    let rest = alice.data(query, json!({"after": info["endCursor"]})).await;
    assert_eq!(rest["orders"]["nodes"][0]["lines"]["nodes"], json!([{"quantity": 1, "product": {"sku": "SKU-0"}}]));
}

async fn the_log_can_be_filtered(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let product = add_product(&admin, "SKU-1").await;
    let second = add_product(&admin, "SKU-2").await;
    admin.done(UPDATE_PRODUCT, json!({"id": product, "patch": {"stock": 1}})).await;
    admin.done(DELETE_PRODUCT, json!({"id": second})).await;
    let customer = add_customer(&alice, "alice@example.org").await;
    add_order(&alice, &customer, &product).await;
    for (arguments, expected) in [
        ("first: 100", "1 2 3 4 5 6 7"),
        ("types: [\"Product\"]", "1 2 3 4"),
        ("types: [\"Order\", \"OrderLine\"]", "6 7"),
        ("kinds: [UPDATED, DELETED]", "3 4"),
        ("types: [\"Product\"], kinds: [CREATED]", "1 2"),
        ("events: [\"product.updated\", \"order_line.*\"]", "3 7"),
        ("events: [\"*\"]", "1 2 3 4 5 6 7"),
        ("first: 2", "1 2"),
    ] {
        let data = admin.data(&format!("{{ changes({arguments}) {{ nodes {{ position }} }} }}"), json!({})).await;
        let nodes = data["changes"]["nodes"].as_array().expect("a connection has nodes");
        let found: Vec<String> = nodes.iter().map(|node| text(&node["position"])).collect();
        assert_eq!(found.join(" "), expected, "{arguments}");
    }
    for arguments in ["types: [\"Nothing\"]", "events: [\"nothing.created\"]", "events: [\"*\"], types: [\"Order\"]"] {
        let response = admin.response(&format!("{{ changes({arguments}) {{ nodes {{ id }} }} }}"), json!({})).await;
        assert_eq!(error_codes(&response), ["BAD_USER_INPUT"], "{arguments}");
    }
    let response = admin.response("{ changes(after: \"nonsense\") { nodes { id } } }", json!({})).await;
    assert_eq!(error_codes(&response), ["CURSOR_INVALID"]);
    let hidden = alice.data("{ changes(first: 1) { nodes { position by } } }", json!({})).await;
    assert_eq!(hidden["changes"]["nodes"], json!([{"position": null, "by": null}]), "for the admin alone");
}

async fn a_page_of_the_log_has_bounds(case: &Case) {
    let resources = "type Box @resource { items: [Item!]! @inverse(field: \"box\") }
        type Item @resource(root: false) @auth(inherit: \"box\") { number: Int! box: Box! @relation(onDelete: CASCADE) }
        type Note @resource @auth(rules: [{ allow: PUBLIC, operations: [READ] }]) { text: String! }";
    let path = case.file("boxes.graphql", resources);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let (admin, nobody) = (server.client(&Caller::admin()), server.client(&Caller::anonymous()));
    let create = "mutation($input: CreateBoxInput!) { createBox(input: $input) { userErrors { code } } }";
    for _ in 0..5 {
        let items: Vec<_> = (0..999).map(|number| json!({"number": number})).collect();
        admin.done(create, json!({"items": {"create": items}})).await;
    }
    let create = "mutation($input: CreateNoteInput!) { createNote(input: $input) { userErrors { code } } }";
    admin.done(create, json!({"text": "found"})).await;
    let end = text(&admin.data("{ notes { asOf } }", json!({})).await["notes"]["asOf"]);
    let query = "query($after: String, $types: [String!]) { changes(first: 10, after: $after, types: $types) {
        nodes { type nodeId } pageInfo { hasNextPage endCursor } } }";
    // What is not asked for is not looked at, however much of it there is.
    let page = nobody.data(query, json!({"types": ["Note"]})).await["changes"].take();
    assert_eq!(page["nodes"].as_array().map(Vec::len), Some(1), "{page}");
    assert_eq!(page["pageInfo"], json!({"hasNextPage": false, "endCursor": end}));
    // What may not be seen is: the page is short and says so.
    let (mut pages, mut found, mut after) = (0, Vec::new(), Value::Null);
    loop {
        let page = nobody.data(query, json!({"after": after})).await["changes"].take();
        pages += 1;
        found.extend(page["nodes"].as_array().cloned().unwrap_or_default());
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            assert_eq!(page["pageInfo"]["endCursor"], json!(end));
            break;
        }
        assert_ne!(page["pageInfo"]["endCursor"], after);
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!((pages, found.len()), (3, 1), "5,000 hidden events are three looks");
    assert_eq!(found[0]["type"], json!("Note"));
}

async fn the_viewer_is_who_is_calling(case: &Case) {
    let server = case.server().await;
    for (caller, expected) in [
        (Caller::anonymous(), json!({"sub": null, "roles": []})),
        (Caller::user("alice"), json!({"sub": "alice", "roles": []})),
        (Caller::user("sam").role("support").role("catalog"), json!({"sub": "sam", "roles": ["support", "catalog"]})),
    ] {
        let data = server.client(&caller).data("{ viewer { sub roles } }", json!({})).await;
        assert_eq!(data["viewer"], expected);
    }
}

async fn bad_requests_are_told_so(case: &Case) {
    let server = case.server().await;
    let client = server.client(&Caller::anonymous());
    for (query, variables, code) in [
        ("{ products", json!({}), "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("{ product(by: {}) { id } }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("query($id: ID!) { node(id: $id) { id } }", json!({}), "BAD_USER_INPUT"),
        ("query($n: Int) { products(first: $n) { asOf } }", json!({"n": 3_000_000_000_u64}), "BAD_USER_INPUT"),
        ("query($n: Int) { products(first: $n) { asOf } }", json!({"n": "1"}), "BAD_USER_INPUT"),
        ("query($f: ProductFilter) { products(filter: $f) { asOf } }", json!({"f": {"x": 1}}), "BAD_USER_INPUT"),
    ] {
        let response = client.response(query, variables).await;
        assert_eq!(error_codes(&response), [code], "{query}");
        assert!(response.get("data").is_none_or(Value::is_null), "{query}: {response}");
    }
}
