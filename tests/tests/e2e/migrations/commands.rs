//! `tandem migrate`, its exit statuses, and steps that are allowed by name.

use serde_json::json;
use tandem_tests::{Caller, Case, on_both};

use super::{FLAGS, create, printed, start, with};

on_both!(steps_are_allowed_by_name, a_wrong_name_is_a_wrong_line, a_running_server_keeps_its_file);

const BEFORE: &str = "type Item @resource { name: String!  cost: Int }";
const AFTER: &str = "type Item @resource { name: String!  weight: Int! }";

async fn steps_are_allowed_by_name(case: &Case) {
    let mut server = start(case, BEFORE).await;
    create(&server.client(&Caller::admin()), "Item", json!({"name": "one", "cost": 3})).await;
    server.stop().await;
    let settings = with(case, AFTER);
    for words in [&["migrate", "--plan"][..], &["migrate"], &["serve"]] {
        let output = settings.command(words, &FLAGS).await;
        assert_eq!(output.status.code(), Some(3), "{words:?}: {}", printed(&output));
        for part in ["--allow 'drop:Item.cost'", "--allow 'fill:Item.weight=<value>'", "DROP COLUMN", "lock: "] {
            assert!(printed(&output).contains(part), "{words:?} prints {part}:\n{}", printed(&output));
        }
    }
    // What is allowed by half is not done by half.
    let half = settings.command(&["migrate", "--allow", "drop:Item.cost"], &FLAGS).await;
    assert_eq!(half.status.code(), Some(3), "{}", printed(&half));

    let allowed = settings.clone().with_variable("TANDEM_ALLOW", "drop:Item.cost,fill:Item.weight=5");
    let planned = allowed.command(&["migrate", "--plan"], &FLAGS).await;
    assert_eq!(planned.status.code(), Some(0), "{}", printed(&planned));
    let done = allowed.command(&["migrate"], &FLAGS).await;
    assert_eq!(done.status.code(), Some(0), "{}", printed(&done));
    assert_eq!(done.stdout, planned.stdout, "what was planned was done");
    let again = settings.command(&["migrate", "--plan"], &FLAGS).await;
    assert_eq!(String::from_utf8_lossy(&again.stdout), "The tables are as the resource file says.\n");
    assert_eq!(again.status.code(), Some(0));

    let server = case.start(settings).await;
    let rows = server.client(&Caller::admin()).data("{ items { nodes { name weight } } }", json!({})).await;
    assert_eq!(rows["items"]["nodes"], json!([{"name": "one", "weight": 5}]));
}

async fn a_wrong_name_is_a_wrong_line(case: &Case) {
    let settings = with(case, BEFORE);
    let output = settings.command(&["migrate", "--allow", "everything"], &FLAGS).await;
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    assert!(printed(&output).contains("`everything` is no name of a step"), "{}", printed(&output));
    let idle = settings.command(&["migrate", "--allow", "drop:Nothing"], &FLAGS).await;
    assert_eq!(idle.status.code(), Some(0), "{}", printed(&idle));
    assert!(printed(&idle).contains("drop:Nothing is allowed, and there is no such step"), "{}", printed(&idle));
}

async fn a_running_server_keeps_its_file(case: &Case) {
    let server = start(case, BEFORE).await;
    let settings = with(case, &BEFORE.replace("cost: Int", "cost: Int  note: String"));
    let planned = settings.command(&["migrate", "--plan"], &FLAGS).await;
    assert_eq!(planned.status.code(), Some(0), "a plan can be made at any time: {}", printed(&planned));
    let done = settings.command(&["migrate"], &FLAGS).await;
    match case.backend {
        // The file belongs to the server.
        tandem_tests::Backend::Sqlite => assert_eq!(done.status.code(), Some(1), "{}", printed(&done)),
        // A column that nodes with the older file need not know.
        tandem_tests::Backend::Postgres => assert_eq!(done.status.code(), Some(0), "{}", printed(&done)),
    }
    create(&server.client(&Caller::admin()), "Item", json!({"name": "one"})).await;
}
