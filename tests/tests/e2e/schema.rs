//! `schema.graphql` at the root of the repository is what the shipped store's API is.

use serde_json::json;
use tandem_tests::client::error_codes;
use tandem_tests::server::repository;
use tandem_tests::{Backend, Caller, Case};

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_schema_is_the_committed_one() {
    tandem_tests::case::run(Backend::Sqlite, async |case: &Case| {
        let output = case.settings().command(&["schema"], &["--resources"]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).expect("a schema is text");
        let committed =
            std::fs::read_to_string(repository().join("schema.graphql")).expect("there is a schema.graphql");
        for (number, (printed, committed)) in printed.lines().zip(committed.lines()).enumerate() {
            assert_eq!(printed, committed, "line {}: run `tandem schema > schema.graphql`", number + 1);
        }
        assert_eq!(printed.trim_end(), committed.trim_end(), "run `tandem schema > schema.graphql`");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_tells_of_the_same_types() {
    tandem_tests::case::run(Backend::Sqlite, async |case: &Case| {
        let server = case.server().await;
        let client = server.client(&Caller::anonymous());
        let query = "{ __schema { types { name kind } directives { name } } __type(name: \"ProductBy\") { isOneOf
            inputFields { name type { kind name } } } }";
        let response = client.response(query, json!({})).await;
        assert_eq!(error_codes(&response), [""; 0], "{response}");
        let committed =
            std::fs::read_to_string(repository().join("schema.graphql")).expect("there is a schema.graphql");
        for ty in response["data"]["__schema"]["types"].as_array().expect("a schema has types") {
            let name = ty["name"].as_str().expect("a type has a name");
            let keyword = match ty["kind"].as_str() {
                Some("OBJECT") => "type",
                Some("INPUT_OBJECT") => "input",
                Some("ENUM") => "enum",
                Some("INTERFACE") => "interface",
                _ => continue,
            };
            if !name.starts_with("__") {
                let definition = format!("{keyword} {name} ");
                assert!(committed.contains(&definition), "{definition} stands in schema.graphql");
            }
        }
        assert_eq!(response["data"]["__type"]["isOneOf"], json!(true));
    })
    .await;
}
