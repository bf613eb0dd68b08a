//! Subscriptions that share what is rendered: whoever joins whenever gets what its own rights and filter say, once and in
//! order.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tandem_tests::client::{number, text};
use tandem_tests::live::{Incoming, Live};
use tandem_tests::shop::{self, CREATE_PRODUCT, UPDATE_PRODUCT};
use tandem_tests::{Caller, Case, Client, Server, on_both};

on_both!(
    many_operations_that_join_midway_equal_the_log,
    many_filters_by_id_get_their_own_rows,
    the_same_document_shows_each_caller_its_own_rows,
    whoever_comes_back_after_a_restart_misses_nothing,
);

const CHANGES: &str = "subscription($after: String) { changes(types: [\"Product\"], after: $after) { id } }";
const SOCKETS: usize = 10;
const OPERATIONS: usize = 100;
const WRITES: usize = 60;

async fn many_operations_that_join_midway_equal_the_log(case: &Case) {
    let server = Arc::new(case.server().await);
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    let readers =
        (0..SOCKETS).map(|socket| tokio::spawn(join_midway(Arc::clone(&server), admin.clone(), start.clone(), socket)));
    let readers: Vec<_> = readers.collect();
    write(&admin).await;
    let log: Vec<String> = shop::log(&admin).await.iter().map(|entry| entry.id.clone()).collect();
    assert_eq!(log.len(), WRITES);
    for reader in readers {
        for (after, seen) in reader.await.expect("every operation sees the end of the log") {
            assert_eq!(seen, log[after..], "after {after}");
        }
    }
}

async fn write(admin: &Client) {
    let row = admin.done(CREATE_PRODUCT, shop::product("SKU-0")).await["product"]["id"].take();
    for write in 1..WRITES {
        admin.done(UPDATE_PRODUCT, json!({"id": row, "patch": {"stock": write}})).await;
    }
}

/// Starts operations one after the other, each where the log ends at that moment or at its beginning, and reads all of
/// them to the end of the log. Gives where each has started, and what it has seen.
async fn join_midway(server: Arc<Server>, admin: Client, start: String, socket: usize) -> Vec<(usize, Vec<String>)> {
    let mut live = server.live(&Caller::admin()).await;
    let mut operations: Vec<(usize, Vec<String>)> = Vec::new();
    for operation in 0..OPERATIONS {
        let is_late = (socket + operation).is_multiple_of(20);
        let (after, cursor) = if is_late { end(&admin, &start).await } else { (0, start.clone()) };
        assert_eq!(live.start(CHANGES, json!({"after": cursor})).await, (operation + 1).to_string());
        operations.push((after, Vec::new()));
    }
    while operations.iter().any(|(after, seen)| after + seen.len() < WRITES) {
        let Incoming::Next(id, event) = live.receive().await else { panic!("nothing else comes") };
        let operation = id.parse::<usize>().expect("ids are numbers") - 1;
        operations[operation].1.push(text(&event.change["id"]));
    }
    operations
}

/// How many events there are, and the cursor of the last one.
async fn end(admin: &Client, start: &str) -> (usize, String) {
    let log = shop::log(admin).await;
    log.last().map_or((0, start.to_owned()), |entry| (entry.position as usize, entry.cursor.clone()))
}

async fn many_filters_by_id_get_their_own_rows(case: &Case) {
    const ROWS: usize = 40;
    const FILTERED: &str = "subscription($after: String, $filter: ProductFilter) {
        productChanged(after: $after, filter: $filter) { nodeId transition version } }";
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    let mut ids = Vec::new();
    for row in 0..ROWS {
        ids.push(shop::add_product(&admin, &format!("SKU-{row}")).await);
    }
    let mut live = server.live(&Caller::admin()).await;
    let mut follow = Vec::new();
    for (row, id) in ids.iter().enumerate() {
        // Half of them follow two rows, in either form.
        let filter = match row % 4 {
            0 => json!({"id": {"in": [id, ids[(row + 1) % ROWS]]}}),
            1 => json!({"or": [{"id": {"eq": id}}, {"id": {"eq": ids[(row + 1) % ROWS]}}]}),
            _ => json!({"and": [{"id": {"eq": id}}, {"stock": {"gte": 0}}]}),
        };
        follow.push(live.start(FILTERED, json!({"after": start, "filter": filter})).await);
    }
    for id in &ids {
        admin.done(UPDATE_PRODUCT, json!({"id": id, "patch": {"stock": 7}})).await;
    }
    let expected = |row: usize| {
        let others = if row % 4 < 2 { vec![row, (row + 1) % ROWS] } else { vec![row] };
        let mut expected: Vec<_> = others.iter().map(|row| (1, *row, "ENTERED")).collect();
        expected.extend(others.iter().map(|row| (2, *row, "STAYED")));
        // In the order of the log.
        expected.sort_by_key(|(version, row, _)| (*version, *row));
        expected
            .into_iter()
            .map(|(version, row, transition)| (version, ids[row].clone(), transition.to_owned()))
            .collect::<Vec<_>>()
    };
    let mut seen: Vec<Vec<(i64, String, String)>> = vec![Vec::new(); ROWS];
    let wanted: usize = (0..ROWS).map(|row| expected(row).len()).sum();
    for _ in 0..wanted {
        let Incoming::Next(id, event) = live.receive().await else { panic!("nothing else comes") };
        let row = follow.iter().position(|known| *known == id).expect("the operation is known");
        let change = &event.change;
        seen[row].push((number(&change["version"]), text(&change["nodeId"]), text(&change["transition"])));
    }
    for (row, seen) in seen.into_iter().enumerate() {
        assert_eq!(seen, expected(row), "of row {row}");
    }
}

async fn the_same_document_shows_each_caller_its_own_rows(case: &Case) {
    const RULES: &str = r#"
type Note @resource @auth(rules: [{ allow: OWNER, ownerField: "owner" }]) {
  owner: String @default(claim: "sub")
  text: String!
}"#;
    const NOTES: &str = "subscription($after: String) { noteChanged(after: $after) { transition after { text } } }";
    let path = case.file("notes.graphql", RULES);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let admin = server.client(&Caller::admin());
    let create = "mutation($input: CreateNoteInput!) { createNote(input: $input) { note { id } change { cursor } userErrors { code } } }";
    let start = admin.done(create, json!({"text": "before"})).await["change"]["cursor"].take();
    let callers: Vec<_> = (0..6).map(|number| Caller::user(&format!("user-{}", number % 3))).collect();
    let mut sockets: Vec<Live> = Vec::new();
    for caller in &callers {
        sockets.push(server.live(caller).await.following(NOTES, json!({"after": start})).await);
    }
    let mut expected: Vec<Vec<Value>> = vec![Vec::new(); 3];
    for round in 0..5 {
        for owner in 0..3 {
            let client = server.client(&callers[owner]);
            let note = format!("{round} of {owner}");
            let id = client.done(create, json!({"text": note})).await["note"]["id"].clone();
            expected[owner].push(json!({"transition": "ENTERED", "after": {"text": note}}));
            if round == 4 {
                let heir = (owner + 1) % 3;
                let update = "mutation($input: UpdateNoteInput!) { updateNote(input: $input) { userErrors { code } } }";
                admin.done(update, json!({"id": id, "patch": {"owner": format!("user-{heir}")}})).await;
                expected[owner].push(json!({"transition": "LEFT", "after": null}));
                expected[heir].push(json!({"transition": "ENTERED", "after": {"text": note}}));
            }
        }
    }
    for (number, mut socket) in sockets.into_iter().enumerate() {
        let expected = &expected[number % 3];
        let seen: Vec<Value> = socket.events(expected.len()).await.into_iter().map(|event| event.change).collect();
        assert_eq!(&seen, expected, "of user {}", number % 3);
    }
}

async fn whoever_comes_back_after_a_restart_misses_nothing(case: &Case) {
    const CLIENTS: usize = 60;
    let mut server = case.server().await;
    let admin = server.client(&Caller::admin());
    for number in 0..10 {
        shop::add_product(&admin, &format!("SKU-{number}")).await;
    }
    let log = shop::log(&admin).await;
    server.kill9().await;
    server.restart().await;
    let clients = (0..CLIENTS).map(async |client| {
        let from = client % 9;
        let mut live =
            server.live(&Caller::anonymous()).await.following(CHANGES, json!({"after": log[from].cursor})).await;
        let seen: Vec<_> = live.events(9 - from).await.iter().map(|event| text(&event.change["id"])).collect();
        let expected: Vec<_> = log[from + 1..].iter().map(|entry| entry.id.clone()).collect();
        assert_eq!(seen, expected);
    });
    join_all(clients).await;
}
