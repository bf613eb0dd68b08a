//! What a delete does to the rows that point at the row.

use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::{Caller, Case, Client, on_both};

on_both!(
    a_cascade_reaches_every_level,
    resources_that_point_at_each_other_are_deleted,
    a_foreign_key_is_set_to_null,
    a_restriction_below_a_cascade_refuses_all_of_it,
);

const TREE: &str = r#"
type Root @resource { name: String! }
type Branch @resource { root: Root! @relation(onDelete: CASCADE) name: String! }
type Leaf @resource { branch: Branch! @relation(onDelete: CASCADE) name: String! }
type Note @resource { leaf: Leaf @relation(onDelete: SET_NULL) root: Root @relation(onDelete: SET_NULL) name: String! }
type Hold @resource { leaf: Leaf! @relation(onDelete: RESTRICT) name: String! }
"#;

/// Creates a row and returns its id.
async fn add(admin: &Client, ty: &str, input: Value) -> String {
    let field = ty.to_lowercase();
    let mutation = format!(
        "mutation($input: Create{ty}Input!) {{ create{ty}(input: $input) {{ {field} {{ id }} userErrors {{ code path message }} }} }}"
    );
    text(&admin.done(&mutation, input).await[&field]["id"])
}

fn deletion(ty: &str) -> String {
    format!(
        "mutation($input: Delete{ty}Input!) {{ delete{ty}(input: $input) {{ userErrors {{ code path message }} }} }}"
    )
}

/// Kind and row of each event after the first ones.
async fn events(admin: &Client, skipped: usize) -> Vec<(String, String)> {
    let data = admin.data("{ changes(first: 1000) { nodes { kind nodeId } } }", json!({})).await;
    let nodes = data["changes"]["nodes"].as_array().expect("a connection has nodes");
    nodes[skipped..].iter().map(|node| (text(&node["kind"]), text(&node["nodeId"]))).collect()
}

fn deleted(id: &str) -> (String, String) {
    ("DELETED".to_owned(), id.to_owned())
}

async fn a_cascade_reaches_every_level(case: &Case) {
    let path = case.file("tree.graphql", TREE);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let admin = server.client(&Caller::admin());
    let root = add(&admin, "Root", json!({"name": "root"})).await;
    // The first branch has no leaf, so branches are met before leaves.
    let bare = add(&admin, "Branch", json!({"rootId": root, "name": "bare"})).await;
    let full = add(&admin, "Branch", json!({"rootId": root, "name": "full"})).await;
    let one = add(&admin, "Leaf", json!({"branchId": full, "name": "one"})).await;
    let two = add(&admin, "Leaf", json!({"branchId": full, "name": "two"})).await;
    let other = add(&admin, "Root", json!({"name": "other"})).await;
    let kept = add(&admin, "Branch", json!({"rootId": other, "name": "kept"})).await;
    admin.done(&deletion("Root"), json!({"id": root})).await;
    let expected: Vec<_> = [&bare, &one, &two, &full, &root].into_iter().map(|id| deleted(id)).collect();
    assert_eq!(events(&admin, 7).await, expected, "children before their parents");
    let left =
        admin.data("{ roots { nodes { id } } branches { nodes { id } } leafs { nodes { id } } }", json!({})).await;
    let expected =
        json!({"roots": {"nodes": [{"id": other}]}, "branches": {"nodes": [{"id": kept}]}, "leafs": {"nodes": []}});
    assert_eq!(left, expected);
}

async fn resources_that_point_at_each_other_are_deleted(case: &Case) {
    let path = case.file(
        "circle.graphql",
        "type Hen @resource { egg: Egg @relation(onDelete: CASCADE) name: String! }
         type Egg @resource { hen: Hen @relation(onDelete: CASCADE) name: String! }",
    );
    let server = case.start(case.settings().with("--resources", &path)).await;
    let admin = server.client(&Caller::admin());
    let hen = add(&admin, "Hen", json!({"name": "1"})).await;
    let egg = add(&admin, "Egg", json!({"name": "1", "henId": hen})).await;
    let daughter = add(&admin, "Hen", json!({"name": "2", "eggId": egg})).await;
    let grandchild = add(&admin, "Egg", json!({"name": "2", "henId": daughter})).await;
    let stranger = add(&admin, "Hen", json!({"name": "3"})).await;
    admin.done(&deletion("Hen"), json!({"id": hen})).await;
    let expected: Vec<_> = [&grandchild, &daughter, &egg, &hen].into_iter().map(|id| deleted(id)).collect();
    assert_eq!(events(&admin, 5).await, expected);
    let left = admin.data("{ hens { nodes { id } } eggs { nodes { id } } }", json!({})).await;
    assert_eq!(left, json!({"hens": {"nodes": [{"id": stranger}]}, "eggs": {"nodes": []}}));
}

async fn a_foreign_key_is_set_to_null(case: &Case) {
    let path = case.file("tree.graphql", TREE);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let admin = server.client(&Caller::admin());
    let root = add(&admin, "Root", json!({"name": "root"})).await;
    let branch = add(&admin, "Branch", json!({"rootId": root, "name": "branch"})).await;
    let leaf = add(&admin, "Leaf", json!({"branchId": branch, "name": "leaf"})).await;
    let note = add(&admin, "Note", json!({"leafId": leaf, "rootId": root, "name": "note"})).await;
    let start = text(&admin.data("{ notes { asOf } }", json!({})).await["notes"]["asOf"]);
    admin.done(&deletion("Root"), json!({"id": root})).await;
    let data = admin.data("{ notes { nodes { leaf { id } root { id } version } } }", json!({})).await;
    assert_eq!(data["notes"]["nodes"], json!([{"leaf": null, "root": null, "version": 3}]), "one change for each key");
    let document = "subscription($after: String) { noteChanged(after: $after) { kind nodeId version changedFields } }";
    let mut live = server.live(&Caller::admin()).await.following(document, json!({"after": start})).await;
    let mut changed = Vec::new();
    for (event, version) in live.events(2).await.iter().zip(2..) {
        assert_eq!(
            (&event.change["kind"], &event.change["nodeId"], &event.change["version"]),
            (&json!("UPDATED"), &json!(note), &json!(version))
        );
        changed.extend(event.change["changedFields"].as_array().into_iter().flatten().map(text));
    }
    changed.retain(|field| !["version", "updatedAt"].contains(&field.as_str()));
    changed.sort();
    assert_eq!(changed, ["leaf", "root"]);
    let expected: Vec<_> = [&leaf, &branch, &root].into_iter().map(|id| deleted(id)).collect();
    assert_eq!(events(&admin, 6).await, expected, "after the rows that they are taken from");
}

async fn a_restriction_below_a_cascade_refuses_all_of_it(case: &Case) {
    let path = case.file("tree.graphql", TREE);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let admin = server.client(&Caller::admin());
    let root = add(&admin, "Root", json!({"name": "root"})).await;
    let branch = add(&admin, "Branch", json!({"rootId": root, "name": "branch"})).await;
    let leaf = add(&admin, "Leaf", json!({"branchId": branch, "name": "leaf"})).await;
    let note = add(&admin, "Note", json!({"leafId": leaf, "name": "note"})).await;
    add(&admin, "Hold", json!({"leafId": leaf, "name": "hold"})).await;
    for (ty, id) in [("Root", &root), ("Branch", &branch), ("Leaf", &leaf)] {
        let errors = admin.refused(&deletion(ty), json!({"id": id})).await;
        assert_eq!(errors, [("REFERENCED".to_owned(), "id".to_owned())], "{ty}");
    }
    assert_eq!(events(&admin, 5).await, [], "nothing has happened");
    let data = admin.data("{ notes { nodes { id version leaf { id } } } }", json!({})).await;
    assert_eq!(data["notes"]["nodes"], json!([{"id": note, "version": 1, "leaf": {"id": leaf}}]));
}
