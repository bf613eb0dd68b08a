//! `tandem verify` on requests that a receiver got.

use serde_json::json;
use tandem_tests::receiver::{Received, register};
use tandem_tests::shop::{ROTATE_SECRET, add_product};
use tandem_tests::{Caller, Case, Receiver, on_both};

use super::QUERY;

on_both!(what_a_receiver_got_is_verified);

/// As a proxy would have saved it.
fn saved(request: &Received) -> Vec<u8> {
    let mut text = b"POST /hook HTTP/1.1\r\n".to_vec();
    for (name, value) in &request.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(&request.body);
    text
}

async fn what_a_receiver_got_is_verified(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start().await;
    let (webhook, secret) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    let other = register(&admin, json!({"url": "http://127.0.0.1:9/", "query": QUERY})).await.1;
    let rotated = admin.done(ROTATE_SECRET, json!({"id": webhook})).await;
    let public_key = rotated["webhook"]["publicKey"].as_str().expect("it has one").to_owned();
    add_product(&admin, "SKU-1").await;
    let request = receiver.requests(1).await.remove(0);
    let whole = case.file("request.http", &String::from_utf8(saved(&request)).expect("it is text"));
    let jwks = server.url(&format!("/.well-known/jwks.json?webhook={webhook}"));
    let everybody = server.url("/.well-known/jwks.json");
    let secret_file = format!("@{}", case.file("secret", &format!("{secret}\n")));
    let verify = async |words: &[&str]| {
        let output = case.settings().command(&[&["verify"], words].concat(), &[]).await;
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).expect("it is text"))
    };
    for words in [
        &["--secret", &secret, &whole][..],
        &["--secret", &secret_file, &whole],
        &["--secret", &other, "--secret", &secret, "--public-key", &public_key, &whole],
        &["--jwks", &jwks, &whole],
        &["--secret", &secret, "--jwks", &everybody, &whole],
    ] {
        let (status, text) = verify(words).await;
        assert_eq!(status, Some(0), "{words:?}: {text}");
        assert!(text.starts_with("valid\n") && text.contains(&request.id), "{text}");
    }
    let body = case.file("body.json", std::str::from_utf8(&request.body).expect("it is text"));
    let mut words = vec!["--secret".to_owned(), secret.clone(), body.clone()];
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        words.extend([
            "--header".to_owned(),
            format!("{name}: {}", request.headers[name].to_str().expect("it is ASCII")),
        ]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(verify(&words).await.0, Some(0));
    case.file("body.json", &serde_json::to_string_pretty(&request.json).expect("it is JSON"));
    let (status, text) = verify(&words).await;
    assert!(status == Some(1) && text.contains("parsed as JSON and written again"), "{text}");

    let changed = String::from_utf8(saved(&request)).expect("it is text").replace("SKU-1", "SKU-2");
    let changed = case.file("changed.http", &changed);
    for (words, status, part) in [
        (&["--secret", &secret, &changed][..], 1, "no signature fits"),
        (&["--secret", &other, "--jwks", &jwks, &whole], 1, "the secret is the wrong one"),
        (&["--secret", &secret, "--at", "2020-01-01T00:00:00Z", &whole], 1, "in the future"),
        (&["--secret", "whsec_x", &whole], 2, "a secret is whsec_"),
        (&["--secret", &secret, &body], 2, "no empty line"),
        (&["--jwks", &whole, &whole], 2, "holds no JSON Web Key Set"),
        (&[&whole], 2, "--secret"),
        (&["--secret", &secret, "nowhere.http"], 1, "nowhere.http cannot be read"),
    ] {
        let (found, text) = verify(words).await;
        assert!(found == Some(status) && text.contains(part), "{words:?}: {found:?} {text}");
    }
}
