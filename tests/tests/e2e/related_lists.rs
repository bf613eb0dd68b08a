//! Conditions on lists of related rows, `some`, `every` and `none`: in queries, in subscriptions and webhooks, in rules.

use serde_json::{Value, json};
use tandem_tests::client::{error_codes, text};
use tandem_tests::receiver::{Received, register};
use tandem_tests::shop::{self, CREATE_ORDER, CREATE_PRODUCT, add_customer, add_product, catalog_team, support_staff};
use tandem_tests::{Caller, Case, Client, Live, Receiver, Server, on_both};

on_both!(
    lists_select_rows,
    lists_hold_only_what_the_caller_may_see,
    fields_that_may_not_be_read_cannot_be_named,
    a_subscription_sees_lists_as_they_were,
    too_many_rows_are_told,
    rules_look_at_lists,
    a_rule_sees_what_the_mutation_has_made,
);

/// An order with a line for each product and quantity.
async fn order(client: &Client, customer: &str, lines: &[(&str, i64)]) -> String {
    let lines =
        lines.iter().map(|(product, quantity)| json!({"productId": product, "quantity": quantity, "unitPrice": "1"}));
    let input = json!({"customerId": customer, "lines": {"create": lines.collect::<Vec<_>>()}});
    text(&client.done(CREATE_ORDER, input).await["order"]["id"])
}

async fn selected(client: &Client, list: &str, filter: &Value) -> Vec<String> {
    let ty = match list {
        "orders" => "OrderFilter",
        "customers" => "CustomerFilter",
        _ => "ProductFilter",
    };
    let query = format!(
        "query($filter: {ty}) {{ {list}(filter: $filter, orderBy: [{{createdAt: ASC}}]) {{ nodes {{ id }} totalCount }} }}"
    );
    let data = client.data(&query, json!({"filter": filter})).await;
    let nodes = data[list]["nodes"].as_array().expect("a connection has nodes");
    assert_eq!(data[list]["totalCount"], json!(nodes.len()), "{filter}");
    nodes.iter().map(|node| text(&node["id"])).collect()
}

async fn lists_select_rows(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let (a, b) = (add_product(&admin, "AAA").await, add_product(&admin, "BBB").await);
    let customer = add_customer(&alice, "alice@example.org").await;
    let empty = order(&alice, &customer, &[]).await;
    let small = order(&alice, &customer, &[(&a, 1)]).await;
    let large = order(&alice, &customer, &[(&a, 5), (&b, 1)]).await;
    let (empty, small, large) = (empty.as_str(), small.as_str(), large.as_str());
    let of_b = json!({"product": {"sku": {"eq": "BBB"}}});
    for (lines, expected) in [
        (json!({}), &[empty, small, large][..]),
        (json!({"some": {}}), &[small, large]),
        (json!({"none": {}}), &[empty]),
        (json!({"every": {}}), &[empty, small, large]),
        (json!({"some": {"quantity": {"gt": 1}}}), &[large]),
        (json!({"every": {"quantity": {"gt": 1}}}), &[empty]),
        (json!({"every": {"quantity": {"lte": 1}}}), &[empty, small]),
        (json!({"none": {"quantity": {"gt": 1}}}), &[empty, small]),
        (json!({"some": {}, "none": of_b}), &[small]),
        (json!({"some": {"not": of_b}, "every": {"not": {"and": [of_b, {"quantity": {"gt": 1}}]}}}), &[small, large]),
        // Back and forth: a product of the order is on some line of five.
        (json!({"some": {"product": {"orderLines": {"some": {"quantity": {"eq": 5}}}}}}), &[small, large]),
    ] {
        for client in [&admin, &alice] {
            assert_eq!(selected(client, "orders", &json!({"lines": lines})).await, expected, "{lines}");
        }
        let not: Vec<_> = [empty, small, large].into_iter().filter(|id| !expected.contains(id)).collect();
        assert_eq!(selected(&admin, "orders", &json!({"not": {"lines": lines}})).await, not, "not {lines}");
    }
    for (filter, expected) in [
        (json!({"orders": {"some": {"lines": {"every": of_b}}}}), 1),
        (json!({"orders": {"every": {"lines": {"some": {}}}}}), 0),
        (json!({"orders": {"none": {"lines": {"some": {"quantity": {"gt": 5}}}}}}), 1),
    ] {
        assert_eq!(selected(&admin, "customers", &filter).await.len(), expected, "{filter}");
    }
    let nested = "{ customers { nodes { orders(filter: {lines: {some: {quantity: {gt: 1}}}}) { nodes { id } } } } }";
    let data = admin.data(nested, json!({})).await;
    assert_eq!(data["customers"]["nodes"][0]["orders"]["nodes"], json!([{"id": large}]));
    for (filter, message) in [
        (json!({"lines": null}), "filter.lines: null is no filter; for rows without any say `{ none: {} }`"),
        (json!({"lines": {"some": null}}), "filter.lines.some: null is no filter; for all rows say `some: {}`"),
    ] {
        let query = "query($filter: OrderFilter) { orders(filter: $filter) { totalCount } }";
        let response = admin.response(query, json!({"filter": filter})).await;
        assert_eq!(response["errors"][0]["message"], json!(message));
    }
}

async fn lists_hold_only_what_the_caller_may_see(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let (sold, unsold) = (add_product(&admin, "SOLD").await, add_product(&admin, "UNSOLD").await);
    let customer = add_customer(&alice, "alice@example.org").await;
    order(&alice, &customer, &[(&sold, 1)]).await;
    let (some, none) = (json!({"orderLines": {"some": {}}}), json!({"orderLines": {"none": {}}}));
    let both = [sold.clone(), unsold.clone()];
    for (caller, expected) in [
        (Caller::admin(), vec![sold.clone()]),
        (support_staff(), vec![sold.clone()]),
        (Caller::user("alice"), vec![sold]),
        (Caller::user("bob"), Vec::new()),
        (Caller::anonymous(), Vec::new()),
    ] {
        let client = server.client(&caller);
        assert_eq!(selected(&client, "products", &some).await, expected, "{caller:?}");
        let others: Vec<_> = both.iter().filter(|id| !expected.contains(id)).cloned().collect();
        assert_eq!(selected(&client, "products", &none).await, others, "{caller:?}");
        // A row that is not there for the caller cannot fail a test either.
        let every = json!({"orderLines": {"every": {"quantity": {"gt": 1}}}});
        assert_eq!(selected(&client, "products", &every).await, others, "{caller:?}");
    }
}

async fn fields_that_may_not_be_read_cannot_be_named(case: &Case) {
    let server = case.server().await;
    let mut product = shop::product("SKU-1");
    product["cost"] = json!("5.00");
    server.client(&Caller::admin()).done(CREATE_PRODUCT, product).await;
    let query = "{ orders(filter: {lines: {none: {product: {cost: {gt: \"1\"}}}}}) { totalCount } }";
    let subscription = "subscription { orderChanged(filter: {lines: {none: {product: {cost: {gt: \"1\"}}}}}) { id } }";
    for (caller, codes) in [(Caller::user("alice"), &["FORBIDDEN"][..]), (catalog_team(), &[])] {
        assert_eq!(error_codes(&server.client(&caller).response(query, json!({})).await), codes, "{caller:?}");
    }
    let mut live = server.live(&Caller::user("alice")).await.following(subscription, json!({})).await;
    assert_eq!(live.error_codes().await, ["FORBIDDEN"]);
}

const TEAMS: &str = r#"
type Team @resource @auth(rules: [
  { allow: WHERE, filter: { members: { some: { user: { eq: "$claims.sub" }, level: { gt: 0 } } } }, operations: [READ, UPDATE] }
]) {
  name: String!
  members: [Member!]! @inverse(field: "team")
}

type Member @resource @auth(rules: [{ allow: PUBLIC, operations: [READ] }]) {
  user: String!
  level: Int! @default(value: 1)
  team: Team @relation(onDelete: CASCADE)
}
"#;

async fn teams(case: &Case) -> Server {
    let path = case.file("teams.graphql", TEAMS);
    case.start(case.settings().with("--resources", &path)).await
}

async fn create(client: &Client, ty: &str, input: Value) -> String {
    let field = ty.to_lowercase();
    let mutation = format!(
        "mutation($input: Create{ty}Input!) {{ create{ty}(input: $input) {{ {field} {{ id }} userErrors {{ code path }} }} }}"
    );
    text(&client.done(&mutation, input).await[field]["id"])
}

async fn update(client: &Client, ty: &str, id: &str, patch: Value) -> Value {
    let mutation =
        format!("mutation($input: Update{ty}Input!) {{ update{ty}(input: $input) {{ userErrors {{ code path }} }} }}");
    client.payload(&mutation, json!({"id": id, "patch": patch})).await["userErrors"].take()
}

async fn delete(client: &Client, ty: &str, id: &str) {
    let mutation =
        format!("mutation($input: Delete{ty}Input!) {{ delete{ty}(input: $input) {{ userErrors {{ code path }} }} }}");
    client.done(&mutation, json!({"id": id})).await;
}

/// Where the log begins to be of interest.
async fn start(admin: &Client) -> String {
    text(&admin.data("{ teams { asOf } }", json!({})).await["teams"]["asOf"])
}

const FOLLOW: &str = "subscription($after: String, $filter: TeamFilter) {
    teamChanged(after: $after, filter: $filter) { kind transition version after { name } before { name } } }";

async fn a_subscription_sees_lists_as_they_were(case: &Case) {
    let server = teams(case).await;
    let admin = server.client(&Caller::admin());
    let start = start(&admin).await;
    let filter = json!({"members": {"some": {"level": {"gte": 5}}}});
    let variables = json!({"after": start, "filter": filter});
    let receiver = Receiver::start().await;
    let query = "subscription($filter: TeamFilter) {
        teamChanged(filter: $filter) { kind transition version after { name } before { name } } }";
    register(&admin, json!({"url": receiver.url(), "query": query, "variables": {"filter": filter}})).await;
    let mut live = server.live(&Caller::admin()).await.following(FOLLOW, variables.clone()).await;
    let (red, blue) =
        (create(&admin, "Team", json!({"name": "red"})).await, create(&admin, "Team", json!({"name": "blue"})).await);
    let mut version = 1;
    let touch = async |version: &mut i64| {
        *version += 1;
        assert_eq!(update(&admin, "Team", &red, json!({"name": format!("red {version}")})).await, json!([]));
    };
    // Nobody of level 5: nothing is heard of versions 1 to 3.
    touch(&mut version).await;
    let member = create(&admin, "Member", json!({"user": "a", "level": 4, "teamId": red})).await;
    touch(&mut version).await;
    // 4: one has become that good.
    update(&admin, "Member", &member, json!({"level": 5})).await;
    touch(&mut version).await;
    // 5: they have gone to the other team. 6: they are back. 7: they have gone for good.
    update(&admin, "Member", &member, json!({"teamId": blue})).await;
    touch(&mut version).await;
    update(&admin, "Member", &member, json!({"teamId": red})).await;
    touch(&mut version).await;
    delete(&admin, "Member", &member).await;
    touch(&mut version).await;
    // 8: another one, with whom the team goes too.
    let last = create(&admin, "Member", json!({"user": "b", "level": 9, "teamId": red})).await;
    touch(&mut version).await;
    delete(&admin, "Team", &blue).await;
    delete(&admin, "Team", &red).await;
    create(
        &admin,
        "Member",
        json!({"user": last, "level": 9, "teamId": create(&admin, "Team", json!({"name": "end"})).await}),
    )
    .await;
    let end = text(&admin.data("{ teams { nodes { id } } }", json!({})).await["teams"]["nodes"][0]["id"]);
    update(&admin, "Team", &end, json!({"name": "over"})).await;

    let mut heard = Vec::new();
    loop {
        let event = live.event().await;
        let is_over = event.change["after"]["name"] == json!("over");
        heard.push(event.raw);
        if is_over {
            break;
        }
    }
    let versions: Vec<Value> = heard
        .iter()
        .map(|raw| serde_json::from_str::<Value>(raw).expect("it is JSON")["teamChanged"]["version"].take())
        .collect();
    // Of its members nobody is left when the team goes: their events come before its own.
    assert_eq!(versions, [json!(4), json!(6), json!(8), json!(2)]);
    // Whoever comes late hears the same, to the byte.
    let mut late = server.live(&Caller::admin()).await.following(FOLLOW, variables).await;
    assert_eq!(late.events(heard.len()).await.into_iter().map(|event| event.raw).collect::<Vec<_>>(), heard);
    let mut sent = receiver.requests(heard.len()).await;
    sent.sort_by_key(Received::sequence);
    assert_eq!(sent.iter().map(Received::raw_data).collect::<Vec<_>>(), heard);
}

async fn too_many_rows_are_told(case: &Case) {
    let resources = "type Team @resource { name: String! members: [Member!]! @inverse(field: \"team\") }
        type Member @resource @auth(inherit: \"team\") { level: Int! team: Team! @relation(onDelete: CASCADE) }";
    let path = case.file("teams.graphql", resources);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let admin = server.client(&Caller::admin());
    let start = start(&admin).await;
    let create =
        "mutation($input: CreateTeamInput!) { createTeam(input: $input) { team { id } userErrors { code path } } }";
    let team = text(&admin.done(create, json!({"name": "many"})).await["team"]["id"]);
    let create_members =
        "mutation($input: CreateMembersInput!) { createMembers(input: $input) { userErrors { code path } } }";
    for from in (0..10_001).step_by(1000) {
        let level = |level| json!({"level": level, "teamId": team});
        let items: Vec<Value> = (from..10_001.min(from + 1000)).map(level).collect();
        admin.done(create_members, json!({"items": items, "mode": "ATOMIC"})).await;
    }
    update(&admin, "Team", &team, json!({"name": "more"})).await;
    admin.done(create, json!({"name": "few"})).await;
    // The database itself judges any number.
    let query = "{ teams(filter: {members: {every: {level: {gte: 0}}}}) { totalCount } }";
    assert_eq!(admin.data(query, json!({})).await["teams"]["totalCount"], json!(2));
    let variables = json!({"after": start, "filter": {"members": {"every": {"level": {"gte": 0}}}}});
    let mut live = server.live(&Caller::admin()).await.following(FOLLOW, variables).await;
    let [first, unjudged, last] = live.events(3).await.try_into().expect("three events");
    assert_eq!((&first.change["version"], &first.change["after"]["name"]), (&json!(1), &json!("many")));
    assert_eq!(error_codes(&unjudged.payload), ["COST_LIMIT_EXCEEDED"]);
    assert_eq!(unjudged.payload["errors"][0]["path"], json!(["teamChanged"]));
    assert_eq!(unjudged.raw, "null");
    assert_eq!(last.change["after"]["name"], json!("few"));
}

/// The names in the teams that a caller sees.
async fn names(client: &Client) -> Vec<String> {
    let data = client.data("{ teams(orderBy: [{name: ASC}]) { nodes { name } } }", json!({})).await;
    data["teams"]["nodes"].as_array().into_iter().flatten().map(|team| text(&team["name"])).collect()
}

async fn rules_look_at_lists(case: &Case) {
    let server = teams(case).await;
    let (admin, ann) = (server.client(&Caller::admin()), server.client(&Caller::user("ann")));
    let start = start(&admin).await;
    let (red, blue) =
        (create(&admin, "Team", json!({"name": "red"})).await, create(&admin, "Team", json!({"name": "blue"})).await);
    let member = create(&admin, "Member", json!({"user": "ann", "teamId": red})).await;
    create(&admin, "Member", json!({"user": "ann", "level": 0, "teamId": blue})).await;
    assert_eq!(names(&ann).await, ["red"]);
    assert_eq!(names(&server.client(&Caller::user("bob"))).await, [""; 0]);
    assert_eq!(update(&ann, "Team", &red, json!({"name": "hers"})).await, json!([]));
    assert_eq!(
        update(&ann, "Team", &blue, json!({"name": "hers"})).await,
        json!([{"code": "NOT_FOUND", "path": ["id"]}])
    );
    update(&admin, "Member", &member, json!({"teamId": blue})).await;
    assert_eq!(update(&ann, "Team", &red, json!({"name": "x"})).await, json!([{"code": "NOT_FOUND", "path": ["id"]}]));
    assert_eq!(update(&ann, "Team", &blue, json!({"name": "now hers"})).await, json!([]));
    assert_eq!(names(&ann).await, ["now hers"]);
    update(&admin, "Team", &red, json!({"name": "not hers"})).await;
    update(&admin, "Team", &blue, json!({"name": "last"})).await;
    // The rights are those of the position of each event.
    let mut live: Live = server.live(&Caller::user("ann")).await.following(FOLLOW, json!({"after": start})).await;
    let heard: Vec<_> = live.events(3).await.iter().map(|event| text(&event.change["after"]["name"])).collect();
    assert_eq!(heard, ["hers", "now hers", "last"]);
    let changes = "query($after: String) { changes(after: $after, types: [\"Team\"]) { nodes { ... on TeamChange { after { name } } } } }";
    let nodes = ann.data(changes, json!({"after": start})).await["changes"]["nodes"].take();
    assert_eq!(nodes.as_array().map(Vec::len), Some(3), "{nodes}");
}

async fn a_rule_sees_what_the_mutation_has_made(case: &Case) {
    let resources = "type Box @resource @auth(rules: [
            { allow: WHERE, filter: { items: { none: { weight: { gt: 100 } } } } }
        ]) { name: String items: [Item!]! @inverse(field: \"box\") }
        type Item @resource(root: false) @auth(inherit: \"box\") { weight: Int! box: Box! @relation(onDelete: CASCADE) }";
    let path = case.file("boxes.graphql", resources);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let client = server.client(&Caller::user("ann"));
    let create =
        "mutation($input: CreateBoxInput!) { createBox(input: $input) { box { id } userErrors { code path } } }";
    let input = |weights: &[i64]| {
        let items: Vec<_> = weights.iter().map(|weight| json!({"weight": weight})).collect();
        json!({"name": "box", "items": {"create": items}})
    };
    client.done(create, input(&[1, 2, 3])).await;
    let refused = client.refused(create, input(&[101, 1])).await;
    assert_eq!(refused, [("FORBIDDEN".to_owned(), "items.create.1".to_owned())]);
    let data = server.client(&Caller::admin()).data("{ boxes { totalCount } }", json!({})).await;
    assert_eq!(data["boxes"]["totalCount"], json!(1), "nothing was written");
}
