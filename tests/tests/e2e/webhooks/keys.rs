//! Secrets and keys: rotation, the public keys, and that the database holds nothing of it that can be read.

use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::receiver::{Received, register};
use tandem_tests::shop::{ROTATE_SECRET, add_product};
use tandem_tests::{Backend, Caller, Case, Client, Receiver, Server, on_both};

use super::{QUERY, webhook_is};

on_both!(
    old_and_new_secrets_sign_during_the_overlap,
    a_revoked_secret_signs_no_more,
    public_keys_are_for_everybody,
    a_set_of_too_many_keys_is_refused,
    the_database_holds_no_secret_in_plain_text,
    plain_secrets_of_older_versions_are_encrypted_at_the_start,
    the_encryption_key_can_be_replaced,
    a_wrong_or_missing_key_is_said_at_the_start,
    whoever_lost_the_key_can_go_on,
);

const OLD_KEY: &str = "b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xkIG9sZCE=";
const NEW_KEY: &str = "bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG5ldyE=";

fn is_signed(request: &Received, secret: &str) -> bool {
    let webhook = standardwebhooks::Webhook::new(secret).expect("the secret is one of Standard Webhooks");
    webhook.verify(&request.body, &request.headers).is_ok()
}

async fn rotate(client: &Client, input: Value) -> (Value, String) {
    let mut payload = client.done(ROTATE_SECRET, input).await;
    (payload["webhook"].take(), text(&payload["secret"]))
}

async fn key_set(server: &Server, query: &str) -> Vec<Value> {
    let url = server.url(&format!("/.well-known/jwks.json{query}"));
    let response = reqwest::get(url).await.expect("it answers");
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["content-type"], "application/jwk-set+json");
    let mut set: Value = response.json().await.expect("it is JSON");
    let Value::Array(keys) = set["keys"].take() else { panic!("no set of keys: {set}") };
    keys
}

/// How many entries of `v1` and `v1a` the signature of a request has.
fn entries(request: &Received) -> (usize, usize) {
    let signature = request.headers["webhook-signature"].to_str().expect("it is ASCII");
    let count = |scheme: &str| signature.split(' ').filter(|entry| entry.starts_with(scheme)).count();
    (count("v1,"), count("v1a,"))
}

async fn old_and_new_secrets_sign_during_the_overlap(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start().await;
    let (webhook, first) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    add_product(&admin, "SKU-1").await;
    assert_eq!(entries(&receiver.requests(1).await[0]), (1, 1));

    let input = json!({"id": webhook, "idempotencyKey": "rotation-1"});
    let (shown, second) = rotate(&admin, input.clone()).await;
    assert!(shown["previousSecretUntil"].is_string() && first != second);
    assert_eq!(rotate(&admin, input).await, (shown, second.clone()), "a retry rotates nothing and shows it again");
    add_product(&admin, "SKU-2").await;
    // Messages are signed when they are sent, not when their event happens.
    receiver.requests(2).await;
    let (_, third) = rotate(&admin, json!({"id": webhook})).await;
    add_product(&admin, "SKU-3").await;
    let mut received = receiver.requests(3).await;
    received.sort_by_key(Received::sequence);
    let verified = |request: &Received| [&first, &second, &third].map(|secret| is_signed(request, secret));
    assert_eq!(
        received.iter().map(verified).collect::<Vec<_>>(),
        [[true, false, false], [true, true, false], [true, true, true]]
    );
    assert_eq!(received.iter().map(entries).collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 3)]);
}

async fn a_revoked_secret_signs_no_more(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start().await;
    let (webhook, first) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    for _ in 0..4 {
        rotate(&admin, json!({"id": webhook})).await;
    }
    let refused = admin.refused(ROTATE_SECRET, json!({"id": webhook})).await;
    assert_eq!(refused, [("TOO_MANY".to_owned(), String::new())]);
    let (shown, last) = rotate(&admin, json!({"id": webhook, "revokePrevious": true})).await;
    assert_eq!(shown["previousSecretUntil"], Value::Null);
    add_product(&admin, "SKU-1").await;
    let request = receiver.requests(1).await.remove(0);
    assert_eq!((is_signed(&request, &first), is_signed(&request, &last), entries(&request)), (false, true, (1, 1)));
    assert_eq!(key_set(&server, "").await.len(), 1);
    drop(server);

    let server = case.start(case.settings().with("--webhook-secret-overlap", "0s")).await;
    let (shown, _) = rotate(&server.client(&Caller::admin()), json!({"id": webhook})).await;
    assert_eq!(shown["previousSecretUntil"], Value::Null);
}

async fn public_keys_are_for_everybody(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    assert_eq!(key_set(&server, "").await, Vec::<Value>::new());
    let input = json!({"url": "http://127.0.0.1:9/", "query": QUERY});
    let (webhook, _) = register(&admin, input.clone()).await;
    let (other, _) = register(&server.client(&Caller::user("alice")), input).await;
    let before = key_set(&server, &format!("?webhook={webhook}")).await;
    let (shown, _) = rotate(&admin, json!({"id": webhook})).await;
    let after = key_set(&server, &format!("?webhook={webhook}")).await;
    assert_eq!((before.len(), after.len(), &after[1]), (1, 2, &before[0]), "the new key, then the one before");
    for key in &after {
        for (name, value) in
            [("kty", "OKP"), ("crv", "Ed25519"), ("alg", "EdDSA"), ("use", "sig"), ("webhook", &webhook)]
        {
            assert_eq!(key[name], value);
        }
        assert!(text(&key["kid"]).len() == 43 && text(&key["x"]).len() == 43 && key.get("d").is_none());
    }
    let read = "query($id: ID!) { webhook(id: $id) { publicKey } }";
    let public = admin.data(read, json!({"id": webhook})).await;
    assert_eq!(public["webhook"]["publicKey"], shown["publicKey"]);
    // The same 32 bytes in the two alphabets of base64.
    let bytes = text(&shown["publicKey"]).replace('+', "-").replace('/', "_");
    assert_eq!(bytes.trim_start_matches("whpk_").trim_end_matches('='), text(&after[0]["x"]));
    assert_eq!(key_set(&server, "").await.len(), 3);
    assert_eq!(key_set(&server, &format!("?webhook={other}")).await.len(), 1);
    assert_eq!(key_set(&server, &format!("?webhook={}", webhook.replace(['0', '1'], "2"))).await.len(), 0);
    let status = reqwest::get(server.url("/.well-known/jwks.json?webhook=x")).await.expect("it answers").status();
    assert_eq!(status.as_u16(), 400);
}

async fn a_set_of_too_many_keys_is_refused(case: &Case) {
    let mut server = case.server().await;
    let input = json!({"url": "http://127.0.0.1:9/", "query": QUERY});
    register(&server.client(&Caller::user("alice")), input.clone()).await;
    server.kill9().await;
    let id = match case.backend {
        Backend::Sqlite => "randomblob(16)",
        Backend::Postgres => "gen_random_uuid()",
    };
    case.execute(&format!(
        "CREATE TABLE copies AS WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 4999) \
         SELECT w.* FROM tandem_webhook AS w, numbers; UPDATE copies SET id = {id}, status = 'PAUSED'; \
         INSERT INTO tandem_webhook SELECT * FROM copies; DROP TABLE copies;"
    ))
    .await;
    server.restart().await;
    assert_eq!(key_set(&server, "").await.len(), 5_000);
    let (webhook, _) = register(&server.client(&Caller::admin()), input).await;
    let response = reqwest::get(server.url("/.well-known/jwks.json")).await.expect("it answers");
    assert_eq!(response.status().as_u16(), 400);
    let message = response.text().await.expect("it is text");
    assert!(message.contains("5000 webhooks") && message.contains("?webhook="), "{message}");
    assert_eq!(key_set(&server, &format!("?webhook={webhook}")).await.len(), 1);
}

async fn stored(case: &Case) -> String {
    use sea_orm::ConnectionTrait;
    let database = case.database().await;
    let sql = "SELECT keys, headers FROM tandem_webhook";
    let rows = database.query_all_raw(sea_orm::Statement::from_string(database.get_database_backend(), sql)).await;
    let rows = rows.expect("the server has made the table");
    let column = |row: &sea_orm::QueryResult, name: &str| row.try_get::<String>("", name).expect("a text");
    rows.iter().map(|row| format!("{}\n{}\n", column(row, "keys"), column(row, "headers"))).collect()
}

async fn the_database_holds_no_secret_in_plain_text(case: &Case) {
    let mut server = case.server().await;
    let admin = server.client(&Caller::admin());
    let headers = json!([{"name": "authorization", "value": "Bearer hunter2hunter2"}]);
    let input = json!({"url": "http://127.0.0.1:9/", "query": QUERY, "headers": headers, "idempotencyKey": "one"});
    let (webhook, first) = register(&admin, input).await;
    let (_, second) = rotate(&admin, json!({"id": webhook})).await;
    server.stop().await;
    let stored = stored(case).await;
    assert!(stored.contains("sealed:"), "{stored}");
    for secret in [&first[6..], &second[6..], "hunter2", "whsec_", "whsk_"] {
        assert!(!stored.contains(secret), "{secret} in {stored}");
    }
    if case.backend == Backend::Sqlite {
        // Not in another table either, nor in what was overwritten.
        let file = std::fs::read(case.data_path("tandem.db")).expect("the file is there");
        for secret in [&first[6..], &second[6..], "hunter2"] {
            assert!(!file.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret}");
        }
    }
}

async fn plain_secrets_of_older_versions_are_encrypted_at_the_start(case: &Case) {
    const PLAIN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut server = case.server().await;
    let receiver = Receiver::start().await;
    register(&server.client(&Caller::admin()), json!({"url": receiver.url(), "query": QUERY})).await;
    server.stop().await;
    let headers = r#"[{"name":"x-key","value":"hunter2"}]"#;
    case.execute(&format!("UPDATE tandem_webhook SET keys = '{PLAIN}', headers = '{headers}'")).await;
    server.restart().await;
    add_product(&server.client(&Caller::admin()), "SKU-1").await;
    let request = receiver.requests(1).await.remove(0);
    assert!(is_signed(&request, PLAIN) && entries(&request) == (1, 1));
    assert_eq!(request.headers["x-key"], "hunter2");
    let stored = stored(case).await;
    assert!(!stored.contains(&PLAIN[6..]) && !stored.contains("hunter2"), "{stored}");
}

async fn the_encryption_key_can_be_replaced(case: &Case) {
    let keys = |keys: &str| case.settings().with("--encryption-key", keys);
    let receiver = Receiver::start().await;
    let mut server = case.start(keys(OLD_KEY)).await;
    let headers = json!([{"name": "x-key", "value": "hunter2"}]);
    let input = json!({"url": receiver.url(), "query": QUERY, "headers": headers});
    let (_, secret) = register(&server.client(&Caller::admin()), input).await;
    server.stop().await;
    case.start(keys(&format!("{NEW_KEY},{OLD_KEY}"))).await.stop().await;
    let server = case.start(keys(NEW_KEY)).await;
    add_product(&server.client(&Caller::admin()), "SKU-1").await;
    let request = receiver.requests(1).await.remove(0);
    assert!(is_signed(&request, &secret));
    assert_eq!(request.headers["x-key"], "hunter2");
}

const SERVE: [&str; 7] =
    ["--listen", "--resources", "--data-dir", "--database-url", "--jwt-secret", "--encryption-key", "--log-format"];

async fn a_wrong_or_missing_key_is_said_at_the_start(case: &Case) {
    let fails = async |settings: tandem_tests::Settings| {
        let output = settings.command(&["serve"], &SERVE).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("--encryption-key") && text.contains("TANDEM_ENCRYPTION_KEY"), "{text}");
        text
    };
    let mut server = case.server().await;
    register(&server.client(&Caller::admin()), json!({"url": "http://127.0.0.1:9/", "query": QUERY})).await;
    server.stop().await;
    let path = case.data_path("encryption-key");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).expect("it was made at the first start").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    }
    let wrong = fails(case.settings().with("--encryption-key", NEW_KEY)).await;
    assert!(wrong.contains("another key"), "{wrong}");
    let none = fails(case.settings().with("--encryption-key", "secret")).await;
    assert!(none.contains("32 bytes in base64") && none.contains("openssl rand"), "{none}");
    let key = std::fs::read(&path).expect("it is there");
    std::fs::remove_file(&path).expect("it is there");
    let missing = fails(case.settings()).await;
    assert!(missing.contains("encryption-key is not there") && !path.exists(), "{missing}");
    std::fs::write(&path, key).expect("the directory is writable");
    server.restart().await;
}

/// What the README tells to do when the key is gone for good.
async fn whoever_lost_the_key_can_go_on(case: &Case) {
    let mut server = case.start(case.settings().with("--encryption-key", OLD_KEY)).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = register(&server.client(&Caller::admin()), json!({"url": receiver.url(), "query": QUERY})).await;
    server.stop().await;
    case.execute("DELETE FROM tandem_vault").await;
    let server = case.start(case.settings().with("--encryption-key", NEW_KEY)).await;
    let admin = server.client(&Caller::admin());
    let shown = webhook_is(&admin, &webhook, "DISABLED").await;
    assert!(text(&shown["statusReason"]).contains("rotate its secret"), "{shown}");
    add_product(&admin, "SKU-1").await;
    let (_, secret) = rotate(&admin, json!({"id": webhook, "revokePrevious": true})).await;
    let enable = json!({"id": webhook, "status": "ENABLED", "headers": []});
    admin.done(tandem_tests::shop::UPDATE_WEBHOOK, enable).await;
    assert!(is_signed(&receiver.requests(1).await[0], &secret), "what happened meanwhile is sent");
}
