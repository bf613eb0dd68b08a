//! What is asked for, and what a client makes of a stream of changes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tandem_tests::client::text;

/// Rows by type and id.
pub type Rows = BTreeMap<String, BTreeMap<String, Value>>;

/// What a subscription or a webhook brought.
pub struct Event {
    /// The bytes of `data`.
    pub raw: String,
    /// The change in it.
    pub change: Value,
}

/// The fields of an account.
const ACCOUNT: &str = "id userId team rank note createdAt updatedAt version";
/// The fields of a document, without the one that has rules of its own.
pub const DOC: &str = "id title team rank level author account { id team } createdAt updatedAt version";
const FOLDER: &str = "id label open account { id } version";
const SHEET: &str = "id text folder { id label } version updatedAt";

/// Everything that a caller sees.
pub fn query(with_secrets: bool) -> String {
    let secret = if with_secrets { "secret" } else { "" };
    format!(
        "{{ accounts(first: 1000) {{ nodes {{ {ACCOUNT} }} }} docs(first: 1000) {{ asOf nodes {{ {DOC} {secret} }} }}
            folders(first: 1000) {{ nodes {{ {FOLDER} }} }} sheets(first: 1000) {{ nodes {{ {SHEET} }} }}
            beacons(first: 1000) {{ nodes {{ id round }} }} }}"
    )
}

/// The changes of everything that a caller sees.
pub fn subscription(with_secrets: bool) -> String {
    let secret = if with_secrets { "secret" } else { "" };
    format!(
        "subscription($after: String) {{ changes(after: $after) {{ id kind type transition nodeId
            ... on AccountChange {{ after {{ {ACCOUNT} }} }} ... on DocChange {{ after {{ {DOC} {secret} }} }}
            ... on FolderChange {{ after {{ {FOLDER} }} }} ... on SheetChange {{ after {{ {SHEET} }} }}
            ... on BeaconChange {{ after {{ id round }} }} }} }}"
    )
}

/// The same document for a webhook, which begins where it is registered.
pub fn webhook_document(subscription: &str) -> String {
    subscription.replace("($after: String)", "").replace("(after: $after)", "")
}

/// What a client has after these events. Fails if a transition does not fit what it has.
pub fn rows(mut rows: Rows, events: &[Event]) -> Rows {
    for Event { change, .. } in events {
        let (ty, id) = (text(&change["type"]), text(&change["nodeId"]));
        let of_type = rows.entry(ty.clone()).or_default();
        let is_gone = change["transition"] == json!("LEFT") || change["kind"] == json!("DELETED");
        if is_gone {
            assert!(change["after"].is_null(), "what one may not see has no image: {change}");
            of_type.remove(&id);
        } else {
            let entered = change["transition"] == json!("ENTERED");
            assert_eq!(entered, !of_type.contains_key(&id), "the transition fits what the client has: {change}");
            of_type.insert(id, change["after"].clone());
        }
        if of_type.is_empty() {
            rows.remove(&ty);
        }
    }
    rows
}
