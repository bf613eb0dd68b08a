//! The directives of the resource file, at run time. Those of rights are in `access`, deletes in `deletes`, renames in
//! `migrations`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tandem_tests::client::{error_codes, number, text, user_errors};
use tandem_tests::{Caller, Case, Client, on_both, wait};

on_both!(
    keys_of_several_fields,
    defaults,
    numbers_are_never_given_twice,
    constraints,
    decimals,
    relations_to_the_same_type_and_in_a_circle,
    fields_that_clients_do_not_see_or_write,
    inherited_rights,
);

async fn admin_of(case: &Case, resources: &str) -> (tandem_tests::Server, Client) {
    let path = case.file("resources.graphql", resources);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let admin = server.client(&Caller::admin());
    (server, admin)
}

fn creation(ty: &str, selection: &str) -> String {
    let field = format!("{}{}", ty[..1].to_lowercase(), &ty[1..]);
    format!(
        "mutation($input: Create{ty}Input!) {{ create{ty}(input: $input) {{ {field} {{ {selection} }} userErrors {{ code path message }} }} }}"
    )
}

fn change(ty: &str, selection: &str) -> String {
    creation(ty, selection).replace("Create", "Update").replace("create", "update")
}

async fn keys_of_several_fields(case: &Case) {
    let file = r#"
    type Shelf @resource { name: String! @unique }
    type Place @resource @unique(fields: ["shelf", "row"]) @unique(fields: ["label", "row"]) @index(fields: ["row", "label"]) {
      shelf: Shelf! @relation(onDelete: CASCADE)  row: Int!  label: String
    }"#;
    let (_server, admin) = admin_of(case, file).await;
    let create = creation("Shelf", "id");
    let (a, b) = (
        text(&admin.done(&create, json!({"name": "a"})).await["shelf"]["id"]),
        text(&admin.done(&create, json!({"name": "b"})).await["shelf"]["id"]),
    );
    assert_eq!(admin.refused(&create, json!({"name": "a"})).await, [("NOT_UNIQUE".to_owned(), "name".to_owned())]);
    let place = creation("Place", "id");
    let first = text(&admin.done(&place, json!({"shelfId": a, "row": 1, "label": "x"})).await["place"]["id"]);
    admin.done(&place, json!({"shelfId": b, "row": 1, "label": null})).await;
    admin.done(&place, json!({"shelfId": a, "row": 2, "label": null})).await;
    for input in [json!({"shelfId": a, "row": 1, "label": "y"}), json!({"shelfId": b, "row": 1, "label": "x"})] {
        let codes = admin.refused(&place, input).await;
        assert!(codes.iter().all(|(code, _)| code == "NOT_UNIQUE"), "{codes:?}");
    }
    // Null equals nothing, so it may be there as often as anybody likes.
    admin.done(&place, json!({"shelfId": b, "row": 2, "label": null})).await;
    let by = "query($by: PlaceBy!) { place(by: $by) { id } }";
    for key in [json!({"shelfAndRow": {"shelfId": a, "row": 1}}), json!({"labelAndRow": {"label": "x", "row": 1}})] {
        assert_eq!(admin.data(by, json!({"by": key})).await["place"]["id"], json!(first));
    }
    // A key that an update gives up is free.
    admin.done(&change("Place", "id"), json!({"id": first, "patch": {"row": 9}})).await;
    admin.done(&place, json!({"shelfId": a, "row": 1, "label": "x"})).await;
}

async fn defaults(case: &Case) {
    let file = r#"
    enum Mood { GOOD BAD }
    type Item @resource @auth(rules: [{ allow: AUTHENTICATED }]) {
      text: String! @default(value: "it's \"quoted\"")  mood: Mood! @default(value: BAD)  price: Decimal! @decimal(precision: 9, scale: 2) @default(value: "1.5")
      tags: [String!]! @default(value: ["a", "b"])  data: JSON @default(value: {b: [1, 2.5], a: null})  flag: Boolean! @default(value: true)
      big: BigInt! @default(value: 9007199254740993)  size: Float! @default(value: 0.1)  day: Date! @default(value: "2026-01-31")
      owner: String! @default(claim: "sub") @readOnly  org: String @default(claim: "org.id") @readOnly
      at: DateTime! @default(now: true)  today: Date! @default(now: true)
    }"#;
    let (server, _admin) = admin_of(case, file).await;
    let ada = server.client(&Caller::user("ada").claim("org", json!({"id": "acme"})));
    let all = "text mood price tags data flag big size day owner org at today createdAt";
    let mut item = ada.done(&creation("Item", all), json!({})).await["item"].clone();
    assert_eq!(item["at"], item["createdAt"]);
    assert_eq!(item["today"], json!(text(&item["createdAt"])[..10]));
    for time in ["at", "today", "createdAt"] {
        item.as_object_mut().expect("an object").remove(time);
    }
    assert_eq!(
        item,
        json!({"text": "it's \"quoted\"", "mood": "BAD", "price": "1.50", "tags": ["a", "b"], "data": {"b": [1, 2.5], "a": null},
               "flag": true, "big": "9007199254740993", "size": 0.1, "day": "2026-01-31", "owner": "ada", "org": "acme"})
    );
    // A value that is given, null included, is none that is left out.
    let given = json!({"data": null, "at": "2026-01-31T12:00:00Z", "tags": []});
    let item = ada.done(&creation("Item", "data at tags"), given).await["item"].clone();
    assert_eq!(item, json!({"data": null, "at": "2026-01-31T12:00:00.000000Z", "tags": []}));
    // A claim that the token does not have.
    let nobody = server.client(&Caller::user("bob")).done(&creation("Item", "owner org"), json!({})).await;
    assert_eq!(nobody["item"], json!({"owner": "bob", "org": null}));
}

async fn numbers_are_never_given_twice(case: &Case) {
    let file = "type Ticket @resource { number: BigInt! @default(sequence: true) @readOnly  name: String! @unique }
                type Other @resource { number: Int! @default(sequence: true) }";
    let path = case.file("resources.graphql", file);
    let mut server = case.start(case.settings().with("--resources", &path)).await;
    let create = creation("Ticket", "number");
    let mut seen = Vec::new();
    for round in 0..3 {
        let answered = Arc::new(AtomicUsize::new(0));
        let clients = (0..16).map(|client| {
            let (admin, create, answered) = (server.client(&Caller::admin()), create.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                for i in 0..20 {
                    // Every fifth one is refused, and may leave a gap, but no number twice.
                    let name = if i % 5 == 4 { "taken".to_owned() } else { format!("{round} {client} {i}") };
                    let Ok(answer) = admin.send(&create, json!({"input": {"name": name}})).await else { break };
                    numbers.extend(answer["data"]["createTicket"]["ticket"]["number"].as_str().map(str::to_owned));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                numbers
            })
        });
        let clients: Vec<_> = clients.collect();
        if round == 1 {
            // In the middle of it.
            let some = || (answered.load(Ordering::Relaxed) > 50).then_some(());
            wait::until("some numbers are given", async || some()).await;
            server.kill9().await;
        }
        for client in clients {
            seen.extend(client.await.expect("a client does not panic"));
        }
        if round == 1 {
            server.restart().await;
        }
    }
    let distinct: BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "no number is given twice");
    let admin = server.client(&Caller::admin());
    let stored = admin.data("{ tickets(first: 1000) { nodes { number } totalCount } }", json!({})).await;
    let stored: Vec<_> =
        stored["tickets"]["nodes"].as_array().expect("nodes").iter().map(|n| number(&n["number"])).collect();
    assert_eq!(stored.iter().collect::<BTreeSet<_>>().len(), stored.len(), "nor stored twice");
    let next = number(&admin.done(&create, json!({"name": "last"})).await["ticket"]["number"]);
    assert!(stored.iter().all(|number| *number < next), "and the counter goes on above all of them");
    let other = admin.done(&creation("Other", "number"), json!({})).await;
    assert_eq!(other["other"]["number"], 1, "every field has a counter of its own");
}

async fn constraints(case: &Case) {
    let file = r#"type Item @resource {
      small: Int @constraint(min: 1, max: 3)  big: BigInt @constraint(min: "9007199254740993")
      price: Decimal @decimal(precision: 9, scale: 2) @constraint(min: "0.01", max: 100)  size: Float @constraint(max: 1.5)
      day: Date @constraint(min: "2026-01-31")  at: DateTime @constraint(max: "2026-01-31T00:00:00Z")
      code: String @constraint(minLength: 2, maxLength: 3, pattern: "^[A-Zäß]+$")
      mail: String @constraint(format: EMAIL)  page: String @constraint(format: URL)
      tags: [String!] @constraint(minItems: 1, maxItems: 2)
    }"#;
    let (_server, admin) = admin_of(case, file).await;
    let wrong = json!({"small": 4, "big": "9007199254740992", "price": "0", "size": 1.6, "day": "2026-01-30",
        "at": "2026-01-31T00:00:00.000001Z", "code": "a", "mail": "nobody", "page": "example.com", "tags": []});
    let expected = [
        ("INVALID", "mail"),
        ("INVALID", "page"),
        ("OUT_OF_RANGE", "at"),
        ("OUT_OF_RANGE", "big"),
        ("OUT_OF_RANGE", "day"),
        ("OUT_OF_RANGE", "price"),
        ("OUT_OF_RANGE", "size"),
        ("OUT_OF_RANGE", "small"),
        ("PATTERN_MISMATCH", "code"),
        ("TOO_SHORT", "code"),
        ("TOO_SHORT", "tags"),
    ]
    .map(|(code, path)| (code.to_owned(), path.to_owned()));
    assert_eq!(admin.refused(&creation("Item", "id"), wrong.clone()).await, expected, "all of them at once");
    let right = json!({"small": 3, "big": "9007199254740993", "price": "0.01", "size": 1.5, "day": "2026-01-31",
        "at": "2026-01-31T00:00:00Z", "code": "äß", "mail": "a@example.com", "page": "https://example.com/a?b#c", "tags": ["a", "b"]});
    let id = text(&admin.done(&creation("Item", "id"), right).await["item"]["id"]);
    let patched = admin.payload(&change("Item", "id"), json!({"id": id, "patch": wrong})).await;
    let of_patch = user_errors(&patched);
    assert_eq!(of_patch.len(), expected.len(), "{of_patch:?}");
    let long = json!({"code": "ABCD", "tags": ["a", "b", "c"], "small": 0});
    let codes: Vec<_> = admin.refused(&creation("Item", "id"), long).await.into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["OUT_OF_RANGE", "TOO_LONG", "TOO_LONG"]);
    // Nulls break nothing.
    admin.done(&creation("Item", "id"), json!({})).await;
}

async fn decimals(case: &Case) {
    let file = "type Item @resource { a: Decimal! @decimal(precision: 18, scale: 18)  b: Decimal! @decimal(precision: 18, scale: 0)  c: [Decimal!]! @decimal(precision: 5, scale: 2) }";
    let (_server, admin) = admin_of(case, file).await;
    let create = creation("Item", "a b c");
    let exact = json!({"a": "-0.999999999999999999", "b": "999999999999999999", "c": ["0.1", "-999.99"]});
    assert_eq!(
        admin.done(&create, exact).await["item"],
        json!({"a": "-0.999999999999999999", "b": "999999999999999999", "c": ["0.10", "-999.99"]})
    );
    let beyond = json!({"a": "1", "b": "1000000000000000000", "c": ["0.001"]});
    let codes = admin.refused(&create, beyond).await;
    assert_eq!(codes, ["a", "b", "c"].map(|path| ("INVALID".to_owned(), path.to_owned())));
}

async fn relations_to_the_same_type_and_in_a_circle(case: &Case) {
    let file = r#"
    type Folder @resource {
      name: String!  parent: Folder @relation(onDelete: CASCADE)  folders: [Folder!]! @inverse(field: "parent")
      link: Folder @relation(onDelete: SET_NULL)  owner: Person @relation(onDelete: RESTRICT)
    }
    type Person @resource { name: String!  home: Folder @relation(onDelete: SET_NULL)  folders: [Folder!]! @inverse(field: "owner") }"#;
    let (_server, admin) = admin_of(case, file).await;
    let folder = |input: Value| {
        let admin = admin.clone();
        async move { text(&admin.done(&creation("Folder", "id"), input).await["folder"]["id"]) }
    };
    let person = text(&admin.done(&creation("Person", "id"), json!({"name": "ada"})).await["person"]["id"]);
    let root = folder(json!({"name": "root", "ownerId": person})).await;
    let child = folder(json!({"name": "child", "parentId": root})).await;
    let leaf = folder(json!({"name": "leaf", "parentId": child, "linkId": root})).await;
    let beside = folder(json!({"name": "beside", "linkId": leaf})).await;
    // A row may point at itself, and two at each other.
    admin.done(&change("Folder", "id"), json!({"id": beside, "patch": {"parentId": beside}})).await;
    admin.done(&change("Person", "id"), json!({"id": person, "patch": {"homeId": root}})).await;
    let tree = admin.data(
        "query($id: ID!) { folder(by: {id: $id}) { owner { home { name } } folders { nodes { name folders { nodes { name link { name } } } } } } }",
        json!({"id": root}),
    );
    assert_eq!(
        tree.await["folder"],
        json!({"owner": {"home": {"name": "root"}},
               "folders": {"nodes": [{"name": "child", "folders": {"nodes": [{"name": "leaf", "link": {"name": "root"}}]}}]}})
    );
    let delete = |ty: &str| {
        format!(
            "mutation($input: Delete{ty}Input!) {{ delete{ty}(input: $input) {{ deleted{ty}Id userErrors {{ code path message }} }} }}"
        )
    };
    assert_eq!(admin.refused(&delete("Person"), json!({"id": person})).await[0].0, "REFERENCED");
    admin.done(&delete("Folder"), json!({"id": root})).await;
    let left = admin.data("{ folders { nodes { name link { name } parent { name } } } people: persons { nodes { name home { name } } } }", json!({})).await;
    assert_eq!(left["folders"]["nodes"], json!([{"name": "beside", "link": null, "parent": {"name": "beside"}}]));
    assert_eq!(left["people"]["nodes"], json!([{"name": "ada", "home": null}]));
    admin.done(&delete("Folder"), json!({"id": beside})).await;
    admin.done(&delete("Person"), json!({"id": person})).await;
}

async fn fields_that_clients_do_not_see_or_write(case: &Case) {
    let file = r#"type Item @resource @auth(rules: [{ allow: AUTHENTICATED }]) {
      name: String!  secret: String @private  owner: String! @private @default(claim: "sub")  number: Int! @default(sequence: true) @readOnly
      code: String! @writeOnce
    }"#;
    let (server, _) = admin_of(case, file).await;
    let ada = server.client(&Caller::user("ada"));
    let create = creation("Item", "id number code");
    let item = ada.done(&create, json!({"name": "one", "code": "A"})).await["item"].clone();
    assert_eq!((&item["number"], &item["code"]), (&json!(1), &json!("A")));
    let id = text(&item["id"]);
    // They are in no type of the API, so documents that name them are not valid.
    for document in [
        "{ items { nodes { secret } } }",
        "{ items(filter: {owner: {eq: \"ada\"}}) { nodes { id } } }",
        "{ items(orderBy: [{secret: ASC}]) { nodes { id } } }",
        "subscription { itemChanged { before { owner } } }",
        "mutation { createItem(input: {name: \"x\", code: \"x\", number: 7}) { item { id } } }",
        "mutation { createItem(input: {name: \"x\", code: \"x\", secret: \"x\"}) { item { id } } }",
        "mutation { updateItem(input: {id: \"x\", patch: {code: \"B\"}}) { item { id } } }",
        "mutation { updateItem(input: {id: \"x\", patch: {number: 7}}) { item { id } } }",
    ] {
        let response = ada.response(document, json!({})).await;
        assert_eq!(error_codes(&response), ["GRAPHQL_VALIDATION_FAILED"], "{document}: {response}");
    }
    ada.done(&change("Item", "code number"), json!({"id": id, "patch": {"name": "two"}})).await;
    let changes = ada.data("{ changes { nodes { kind changedFields } } }", json!({})).await;
    assert_eq!(
        changes["changes"]["nodes"],
        json!([{"kind": "CREATED", "changedFields": ["name", "number", "code"]}, {"kind": "UPDATED", "changedFields": ["name"]}])
    );
}

async fn inherited_rights(case: &Case) {
    let file = r#"
    type Shop @resource @auth(rules: [{ allow: OWNER, ownerField: "userId" }]) { userId: String! @private  shelves: [Shelf!]! @inverse(field: "shop") }
    type Shelf @resource @auth(inherit: "shop") { shop: Shop! @relation(onDelete: CASCADE)  books: [Book!]! @inverse(field: "shelf") }
    type Book @resource @auth(inherit: "shelf") {
      shelf: Shelf! @relation(onDelete: CASCADE)  title: String!  cost: Int @auth(rules: [{ allow: ROLE, roles: ["buyer"] }])
    }"#;
    let (server, _) = admin_of(case, file).await;
    let ada = server.client(&Caller::user("ada").role("buyer"));
    let shop = text(&ada.done(&creation("Shop", "id"), json!({})).await["shop"]["id"]);
    let shelf = text(&ada.done(&creation("Shelf", "id"), json!({"shopId": shop})).await["shelf"]["id"]);
    let book = text(
        &ada.done(&creation("Book", "id cost"), json!({"shelfId": shelf, "title": "T", "cost": 3})).await["book"]["id"],
    );
    let bob = server.client(&Caller::user("bob"));
    assert_eq!(
        bob.data("query($id: ID!) { book(by: {id: $id}) { title } }", json!({"id": book})).await["book"],
        Value::Null
    );
    assert_eq!(bob.refused(&creation("Book", "id"), json!({"shelfId": shelf, "title": "T"})).await[0].0, "NOT_FOUND");
    assert_eq!(
        bob.refused(&change("Book", "id"), json!({"id": book, "patch": {"title": "U"}})).await[0].0,
        "NOT_FOUND"
    );
    // The owner without the role sees the book, and not what it costs.
    let plain = server.client(&Caller::user("ada"));
    let seen = plain.response("query($id: ID!) { book(by: {id: $id}) { title cost } }", json!({"id": book})).await;
    assert_eq!(seen["data"]["book"], json!({"title": "T", "cost": null}));
    assert_eq!(error_codes(&seen), ["FORBIDDEN"]);
    let refused = plain.refused(&change("Book", "id"), json!({"id": book, "patch": {"cost": 4}})).await;
    assert_eq!(refused, [("FORBIDDEN".to_owned(), "patch.cost".to_owned())]);
}
