//! The resource file changes under a database that has rows, events and webhooks.

mod commands;
mod drift;
mod nodes;
mod older_events;
mod renames;

use std::process::Output;

use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::{Case, Client, Server, Settings};

const FLAGS: [&str; 4] = ["--resources", "--data-dir", "--database-url", "--log-format"];

/// Starts a server with this resource file, on the data of the case.
async fn start(case: &Case, resources: &str) -> Server {
    case.start(with(case, resources)).await
}

/// The settings of a server with this resource file.
fn with(case: &Case, resources: &str) -> Settings {
    case.settings().with("--resources", &case.file("resources.graphql", resources))
}

/// Creates a row, and returns its id.
async fn create(client: &Client, ty: &str, input: Value) -> String {
    let field = format!("{}{}", ty[..1].to_lowercase(), &ty[1..]);
    let mutation = format!(
        "mutation($input: Create{ty}Input!) {{ create{ty}(input: $input) {{ {field} {{ id }} userErrors {{ code path message }} }} }}"
    );
    text(&client.done(&mutation, input).await[&field]["id"])
}

/// Changes a row.
async fn update(client: &Client, ty: &str, id: &str, patch: Value) {
    let mutation = format!(
        "mutation($input: Update{ty}Input!) {{ update{ty}(input: $input) {{ userErrors {{ code path message }} }} }}"
    );
    client.done(&mutation, json!({"id": id, "patch": patch})).await;
}

/// What a command printed.
fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
