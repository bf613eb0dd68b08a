//! Random resource files, callers, writes and filters.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::{Caller, Client};

const TEAMS: [&str; 3] = ["red", "blue", "Red"];
const TITLES: [&str; 4] = ["alpha", "beta", "a_b", "100%"];
const LEVELS: [&str; 3] = ["LOW", "MIDDLE", "HIGH"];
const USERS: [&str; 4] = ["u1", "u2", "u3", "u4"];
const ROLES: [&str; 3] = ["r1", "r2", "r3"];

const ACCOUNT_RULES: [&str; 7] = [
    r#"{ userId: { eq: "$claims.sub" } }"#,
    r#"{ team: { eq: "$claims.team" } }"#,
    r#"{ team: { isNull: true } }"#,
    r#"{ rank: { gte: 5 } }"#,
    r#"{ rank: { lte: "$claims.rank" } }"#,
    r#"{ team: { in: ["red", "blue"] } }"#,
    r#"{ team: { neq: "$claims.team" } }"#,
];
const DOC_RULES: [&str; 12] = [
    r#"{ author: { eq: "$claims.sub" } }"#,
    r#"{ team: { eq: "$claims.team" } }"#,
    r#"{ team: { neq: "red" } }"#,
    r#"{ team: { notIn: ["blue"] } }"#,
    r#"{ rank: { lt: "$claims.rank" } }"#,
    r#"{ rank: { isNull: true } }"#,
    r#"{ level: { in: [LOW, MIDDLE] } }"#,
    r#"{ level: { neq: HIGH } }"#,
    r#"{ title: { startsWith: "a_" } }"#,
    r#"{ title: { containsIgnoreCase: "BET" } }"#,
    r#"{ account: { userId: { eq: "$claims.sub" } } }"#,
    r#"{ account: { team: { eq: "$claims.team" }, rank: { gt: 3 } } }"#,
];
const FOLDER_RULES: [&str; 4] = [
    r#"{ open: { eq: true } }"#,
    r#"{ label: { endsWith: "a" } }"#,
    r#"{ account: { team: { eq: "$claims.team" } } }"#,
    r#"{ account: { userId: { eq: "$claims.sub" } } }"#,
];
/// What a client may filter by: no claims.
const FILTERS: [&str; 8] = [
    r#"{ team: { eq: "red" } }"#,
    r#"{ team: { notIn: ["red"] } }"#,
    r#"{ rank: { gt: 4 } }"#,
    r#"{ rank: { isNull: false } }"#,
    r#"{ level: { in: [LOW, HIGH] } }"#,
    r#"{ title: { contains: "%" } }"#,
    r#"{ title: { eqIgnoreCase: "ALPHA" } }"#,
    r#"{ account: { rank: { lt: 7 } } }"#,
];

/// A resource file. The tables are always the same, the rules are not.
pub fn resources(dice: &mut StdRng) -> String {
    let account = rules(dice, &ACCOUNT_RULES, Some("userId"));
    let doc = rules(dice, &DOC_RULES, Some("author"));
    let folder = rules(dice, &FOLDER_RULES, None);
    format!(
        r#"
enum Level {{ LOW MIDDLE HIGH }}
type Account @resource @auth(rules: [{account}]) {{
  userId: String! @writeOnce
  team: String @writeOnce
  rank: Int @writeOnce
  note: String
  docs: [Doc!]! @inverse(field: "account")
  folders: [Folder!]! @inverse(field: "account")
}}
type Doc @resource @auth(rules: [{doc}]) {{
  account: Account! @relation(onDelete: CASCADE) @writeOnce
  title: String!
  team: String
  rank: Int
  level: Level!
  author: String
  secret: String @auth(rules: [{{ allow: ROLE, roles: ["r1"] }}])
}}
type Folder @resource @auth(rules: [{folder}]) {{
  account: Account! @relation(onDelete: CASCADE) @writeOnce
  label: String! @writeOnce
  open: Boolean! @writeOnce
  sheets: [Sheet!]! @inverse(field: "folder")
}}
type Sheet @resource @auth(inherit: "folder") {{
  folder: Folder! @relation(onDelete: CASCADE) @writeOnce
  text: String!
}}
type Beacon @resource @auth(rules: [{{ allow: PUBLIC, operations: [READ] }}]) {{
  round: Int!
}}
"#
    )
}

fn rules(dice: &mut StdRng, filters: &[&str], owner: Option<&str>) -> String {
    let count = dice.random_range(1..=3);
    (0..count).map(|_| rule(dice, filters, owner)).collect()
}

fn rule(dice: &mut StdRng, filters: &[&str], owner: Option<&str>) -> String {
    // A rule for other operations must not let anybody read.
    let operations = ["", ", operations: [READ]", ", operations: [READ, UPDATE]", ", operations: [CREATE, DELETE]"];
    let operations = pick(dice, &operations);
    let allow = match (dice.random_range(0..12), owner) {
        (0, _) => "allow: PUBLIC".to_owned(),
        (1, _) => "allow: AUTHENTICATED".to_owned(),
        (2..4, _) => {
            let roles: Vec<&&str> = ROLES.sample(dice, 2).collect();
            format!("allow: ROLE, roles: {roles:?}")
        }
        (4..6, Some(owner)) => format!(r#"allow: OWNER, ownerField: "{owner}""#),
        _ => format!("allow: WHERE, filter: {}", combined(dice, filters, 2)),
    };
    format!("\n  {{ {allow}{operations} }}")
}

/// Some of the filters, joined by `and`, `or` and `not`.
fn combined(dice: &mut StdRng, filters: &[&str], depth: usize) -> String {
    let part = |dice: &mut StdRng| combined(dice, filters, depth - 1);
    match if depth == 0 { 9 } else { dice.random_range(0..10) } {
        0..2 => format!("{{ and: [{}, {}] }}", part(dice), part(dice)),
        2..4 => format!("{{ or: [{}, {}] }}", part(dice), part(dice)),
        4..6 => format!("{{ not: {} }}", part(dice)),
        _ => pick(dice, filters).to_owned(),
    }
}

/// A filter of a client over documents.
pub fn filter(dice: &mut StdRng) -> String {
    combined(dice, &FILTERS, 2)
}

/// Callers of all kinds.
pub fn callers(dice: &mut StdRng) -> Vec<Caller> {
    let mut callers = vec![Caller::anonymous(), Caller::admin()];
    for sub in &USERS[..3] {
        let mut caller = Caller::user(sub);
        if dice.random_bool(0.5) {
            caller = caller.role(pick(dice, &ROLES));
        }
        if dice.random_bool(0.8) {
            caller = caller.claim("team", json!(pick(dice, &TEAMS)));
        }
        if dice.random_bool(0.6) {
            caller = caller.claim("rank", json!(dice.random_range(0..10)));
        }
        callers.push(caller);
    }
    callers
}

/// A mutation that succeeds: its document, its input, and the type of the row.
pub fn write(dice: &mut StdRng, ids: &BTreeMap<&str, Vec<String>>) -> (String, Value, &'static str) {
    let any = |dice: &mut StdRng, ty: &str| ids.get(ty).and_then(|rows| rows.choose(dice)).cloned();
    let account = any(dice, "Account");
    match (dice.random_range(0..20), account) {
        (0..2, _) | (_, None) => create("Account", "account", account_input(dice)),
        (2..7, Some(account)) => create("Doc", "doc", doc_input(dice, &account)),
        (7..9, Some(account)) => {
            let input = json!({"accountId": account, "label": pick(dice, &TITLES), "open": dice.random_bool(0.5)});
            create("Folder", "folder", input)
        }
        (9, Some(account)) => update("Account", "account", &account, json!({"note": pick(dice, &TITLES)})),
        (10, Some(account)) if dice.random_bool(0.3) => delete("Account", &account),
        (11..13, Some(account)) => match any(dice, "Folder") {
            Some(folder) => create("Sheet", "sheet", json!({"folderId": folder, "text": pick(dice, &TITLES)})),
            None => create("Doc", "doc", doc_input(dice, &account)),
        },
        (13, Some(account)) => match any(dice, "Sheet") {
            Some(sheet) => update("Sheet", "sheet", &sheet, json!({"text": pick(dice, &TITLES)})),
            None => create("Doc", "doc", doc_input(dice, &account)),
        },
        (roll, Some(account)) => match any(dice, "Doc") {
            Some(doc) if roll == 14 => delete("Doc", &doc),
            Some(doc) => update("Doc", "doc", &doc, doc_patch(dice)),
            None => create("Doc", "doc", doc_input(dice, &account)),
        },
    }
}

fn account_input(dice: &mut StdRng) -> Value {
    json!({"userId": pick(dice, &USERS), "team": maybe(dice, &TEAMS), "rank": maybe_number(dice)})
}

fn doc_input(dice: &mut StdRng, account: &str) -> Value {
    let mut input = json!({
        "accountId": account, "title": pick(dice, &TITLES), "level": pick(dice, &LEVELS), "secret": "hidden",
    });
    input["team"] = maybe(dice, &TEAMS);
    input["author"] = maybe(dice, &USERS);
    input["rank"] = maybe_number(dice);
    input
}

/// Creates another document with the same values, and returns its id.
pub async fn copy_of_doc(admin: &Client, id: &str) -> String {
    let query = "query($id: ID!) { doc(by: {id: $id}) { title team rank level author account { id } } }";
    let mut input = admin.data(query, json!({"id": id})).await["doc"].take();
    let account = input.as_object_mut().and_then(|input| input.remove("account"));
    input["accountId"] = account.expect("a document has an account")["id"].clone();
    let (mutation, input, _) = create("Doc", "doc", input);
    text(&admin.done(&mutation, input).await["row"]["id"])
}

/// Changes one to three of the fields that rules look at.
fn doc_patch(dice: &mut StdRng) -> Value {
    let mut patch = json!({});
    for _ in 0..dice.random_range(1..=3) {
        match dice.random_range(0..5) {
            0 => patch["title"] = json!(pick(dice, &TITLES)),
            1 => patch["team"] = maybe(dice, &TEAMS),
            2 => patch["rank"] = maybe_number(dice),
            3 => patch["level"] = json!(pick(dice, &LEVELS)),
            _ => patch["author"] = maybe(dice, &USERS),
        }
    }
    patch
}

fn create(ty: &'static str, name: &str, input: Value) -> (String, Value, &'static str) {
    let document = format!(
        "mutation($input: Create{ty}Input!) {{ create{ty}(input: $input) {{ row: {name} {{ id }} userErrors {{ code path }} }} }}"
    );
    (document, input, ty)
}

fn update(ty: &'static str, name: &str, id: &str, patch: Value) -> (String, Value, &'static str) {
    let document = format!(
        "mutation($input: Update{ty}Input!) {{ update{ty}(input: $input) {{ row: {name} {{ id }} userErrors {{ code path }} }} }}"
    );
    (document, json!({"id": id, "patch": patch}), ty)
}

fn delete(ty: &'static str, id: &str) -> (String, Value, &'static str) {
    let document = format!(
        "mutation($input: Delete{ty}Input!) {{ delete{ty}(input: $input) {{ deleted: deleted{ty}Id userErrors {{ code path }} }} }}"
    );
    (document, json!({"id": id}), ty)
}

/// Forgets the rows that a delete took with it.
pub async fn forget(ids: &mut BTreeMap<&str, Vec<String>>, admin: &Client) {
    let query = "{ accounts(first: 1000) { nodes { id } } docs(first: 1000) { nodes { id } }
        folders(first: 1000) { nodes { id } } sheets(first: 1000) { nodes { id } } }";
    let data = admin.data(query, json!({})).await;
    let nodes = data.as_object().into_iter().flatten().flat_map(|(_, list)| list["nodes"].as_array());
    let there: Vec<String> = nodes.flatten().map(|node| text(&node["id"])).collect();
    for rows in ids.values_mut() {
        rows.retain(|row| there.contains(row));
    }
}

fn pick<'a>(dice: &mut StdRng, values: &[&'a str]) -> &'a str {
    values.choose(dice).expect("there is something to choose from")
}

fn maybe(dice: &mut StdRng, values: &[&str]) -> Value {
    if dice.random_bool(0.25) { Value::Null } else { json!(pick(dice, values)) }
}

fn maybe_number(dice: &mut StdRng) -> Value {
    if dice.random_bool(0.25) { Value::Null } else { json!(dice.random_range(0..10)) }
}
