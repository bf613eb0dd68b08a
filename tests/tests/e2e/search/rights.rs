//! A search sees what its caller may see, and goes together with everything else that a list can be asked for.

use serde_json::{Value, json};
use tandem_tests::client::{error_codes, text};
use tandem_tests::{Caller, Case, on_both};

use super::{UPDATE, add, found, start};

on_both!(rows_that_are_not_seen_are_not_found, hidden_fields_cannot_be_searched, a_search_has_pages_orders_and_filters,);

async fn rows_that_are_not_seen_are_not_found(case: &Case) {
    let server = start(case).await;
    let (admin, editor) = (server.client(&Caller::admin()), server.client(&Caller::user("eve").role("editor")));
    let (user, anonymous) = (server.client(&Caller::user("bob")), server.client(&Caller::anonymous()));
    let notes = json!({"create": [{"text": "secret note"}]});
    let open = add(&admin, json!({"title": "Open", "body": "plan", "notes": notes})).await;
    add(&admin, json!({"title": "Hidden", "body": "plan", "hidden": true})).await;
    for (client, expected) in
        [(&admin, "Open, Hidden"), (&editor, "Open, Hidden"), (&user, "Open"), (&anonymous, "Open")]
    {
        assert_eq!(found(client, "plan").await, expected);
    }
    assert_eq!(found(&user, "hidden").await, "");
    admin.done(UPDATE, json!({"id": open, "patch": {"hidden": true}})).await;
    assert_eq!((found(&user, "plan").await.as_str(), found(&editor, "plan").await.as_str()), ("", "Open, Hidden"));
}

async fn hidden_fields_cannot_be_searched(case: &Case) {
    let server = start(case).await;
    let admin = server.client(&Caller::admin());
    let create =
        "mutation($input: CreateReportInput!) { createReport(input: $input) { report { id } userErrors { code } } }";
    admin.done(create, json!({"title": "Year", "summary": "loss"})).await;
    admin.done(create, json!({"title": "Draft", "summary": "profit", "draft": true})).await;
    let query = "query($search: String) { reports(search: $search) { totalCount } }";
    let auditor = server.client(&Caller::user("ada").role("auditor"));
    for client in [&admin, &auditor] {
        assert_eq!(client.data(query, json!({"search": "profit"})).await["reports"]["totalCount"], json!(1));
    }
    let user = server.client(&Caller::user("bob"));
    // Whatever is looked for, be it the field that they may read or nothing at all: the answer must not depend on it.
    for search in ["profit", "loss", "year", "nothing", "", "!"] {
        let response = user.response(query, json!({"search": search})).await;
        assert_eq!(error_codes(&response), ["FORBIDDEN"], "{search:?}: {response}");
        assert!(response["data"].is_null(), "{search:?}: {response}");
    }
    assert_eq!(user.data(query, json!({"search": null})).await["reports"]["totalCount"], json!(2));
}

async fn a_search_has_pages_orders_and_filters(case: &Case) {
    let server = start(case).await;
    let admin = server.client(&Caller::admin());
    for number in 0..30 {
        let colour = if number % 3 == 0 { "red" } else { "blue" };
        let input = json!({"title": format!("{colour} {number:02}"), "stars": number % 5, "hidden": number % 2 == 1});
        add(&admin, input).await;
    }
    let user = server.client(&Caller::user("bob"));
    let query = "query($first: Int, $after: String, $last: Int, $before: String, $order: [ArticleOrder!], $filter: ArticleFilter) {
        articles(search: \"red\", first: $first, after: $after, last: $last, before: $before, orderBy: $order, filter: $filter) {
            totalCount nodes { title } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let orders = [
        (json!(null), "00 06 12 18 24"),
        (json!([{"title": "DESC"}]), "24 18 12 06 00"),
        (json!([{"stars": "ASC"}]), "00 06 12 18 24"),
    ];
    for (order, expected) in orders {
        for size in [1, 2, 5] {
            let forward = walk(&user, query, &order, size, true).await;
            assert_eq!(forward, expected, "{order} by {size}");
            assert_eq!(walk(&user, query, &order, size, false).await, expected, "{order} back by {size}");
        }
    }
    let list = user.data(query, json!({"filter": {"stars": {"gte": 2}}})).await["articles"].take();
    assert_eq!((titles(&list).as_str(), &list["totalCount"]), ("12 18 24", &json!(3)));
    let either = json!({"or": [{"stars": {"eq": 0}}, {"title": {"endsWith": "24"}}]});
    let list = user.data(query, json!({"filter": either})).await["articles"].take();
    assert_eq!((titles(&list).as_str(), &list["totalCount"]), ("00 24", &json!(2)));
    let list = admin.data(query, json!({"first": 0})).await["articles"].take();
    assert_eq!(list["totalCount"], json!(10), "the admin sees the hidden ones, too");
}

/// The numbers of all rows, read page by page from one end to the other.
async fn walk(client: &tandem_tests::Client, query: &str, order: &Value, size: usize, forward: bool) -> String {
    let mut pages = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let variables = if forward {
            json!({"order": order, "first": size, "after": cursor})
        } else {
            json!({"order": order, "last": size, "before": cursor})
        };
        let list = client.data(query, variables).await["articles"].take();
        assert_eq!(list["totalCount"], json!(5));
        pages.push(titles(&list));
        let info = &list["pageInfo"];
        if info[if forward { "hasNextPage" } else { "hasPreviousPage" }] == json!(false) {
            break;
        }
        cursor = info[if forward { "endCursor" } else { "startCursor" }].clone();
    }
    if !forward {
        pages.reverse();
    }
    pages.join(" ")
}

fn titles(list: &Value) -> String {
    let nodes = list["nodes"].as_array().expect("a connection has nodes");
    nodes.iter().map(|node| text(&node["title"]).replace("red ", "")).collect::<Vec<_>>().join(" ")
}
