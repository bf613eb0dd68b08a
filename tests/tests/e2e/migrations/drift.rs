//! Somebody changed the tables by hand.

use serde_json::json;
use tandem_tests::{Caller, Case, on_both};

use super::{FLAGS, create, printed, start, with};

on_both!(what_is_gone_stops_the_start, what_others_made_is_noted, keys_are_made_again);

const FILE: &str = "type Item @resource { name: String! @unique  note: String }";

async fn what_is_gone_stops_the_start(case: &Case) {
    let mut server = start(case, FILE).await;
    create(&server.client(&Caller::admin()), "Item", json!({"name": "one", "note": "x"})).await;
    server.stop().await;
    case.execute("ALTER TABLE item DROP COLUMN note").await;
    let settings = with(case, FILE);
    let output = settings.command(&["serve"], &FLAGS).await;
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    let printed = printed(&output);
    assert!(printed.contains("somebody dropped it, and the values of Item.note with it"), "{printed}");
    assert!(printed.contains("--allow 'remake:Item.note'"), "{printed}");

    let server = case.start(settings.with("--allow", "remake:Item.note")).await;
    let rows = server.client(&Caller::admin()).data("{ items { nodes { name note } } }", json!({})).await;
    assert_eq!(rows["items"]["nodes"], json!([{"name": "one", "note": null}]));
}

async fn what_others_made_is_noted(case: &Case) {
    start(case, FILE).await.stop().await;
    case.execute("ALTER TABLE item ADD COLUMN theirs integer").await;
    case.execute("CREATE INDEX by_hand ON item (theirs)").await;
    let settings = with(case, FILE);
    let output = settings.command(&["migrate", "--plan"], &FLAGS).await;
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    for note in ["the column theirs of item is not Tandem's", "the index by_hand of item is not Tandem's"] {
        assert!(printed(&output).contains(note), "{}", printed(&output));
    }
    let server = case.start(settings).await;
    create(&server.client(&Caller::admin()), "Item", json!({"name": "one"})).await;
}

async fn keys_are_made_again(case: &Case) {
    start(case, FILE).await.stop().await;
    case.execute("DROP INDEX item__name_key").await;
    let mut server = start(case, FILE).await;
    create(&server.client(&Caller::admin()), "Item", json!({"name": "one"})).await;
    server.stop().await;
    // Rows that break the key meanwhile are named.
    case.execute("DROP INDEX item__name_key").await;
    let random = match case.backend {
        tandem_tests::Backend::Sqlite => "randomblob(16)",
        tandem_tests::Backend::Postgres => "gen_random_uuid()",
    };
    let copy = format!(
        "INSERT INTO item (id, name, created_at, updated_at, version) SELECT {random}, name, created_at, updated_at, 1 FROM item"
    );
    case.execute(&copy).await;
    let output = with(case, FILE).command(&["migrate", "--plan"], &FLAGS).await;
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert!(printed(&output).contains("rows have the same values: item_"), "{}", printed(&output));
}
