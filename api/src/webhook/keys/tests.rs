//! Rotation, and what the database holds of it.

use super::*;

const SECOND: i64 = 1_000_000;

fn vault() -> Vault {
    Vault::new(&[[7; 32]]).unwrap()
}

/// How many entries of each scheme sign.
fn schemes(keys: &SigningKeys, at: i64) -> (usize, usize) {
    let signature = keys.sign("m", at / SECOND, b"body");
    let count = |scheme: &str| signature.split(' ').filter(|entry| entry.starts_with(scheme)).count();
    (count("v1,"), count("v1a,"))
}

#[test]
fn old_and_new_sign_until_the_end_of_the_overlap() {
    let (vault, id, first, second) = (vault(), WebhookId::new(), Signer::generate(), Signer::generate());
    let keys = SealedKeys::new(&first, &vault, id);
    assert_eq!(schemes(&keys.open(&vault, id).unwrap(), 0), (1, 1));
    let rotated = keys.rotated(&second, &vault, id, 100 * SECOND, Some(110 * SECOND)).unwrap();
    assert_eq!((rotated.public_key(), rotated.previous_until()), (second.key.public_key(), Some(110 * SECOND)));
    let opened = rotated.open(&vault, id).unwrap();
    assert_eq!(schemes(&opened, 109 * SECOND), (2, 2));
    assert_eq!(schemes(&opened, 110 * SECOND), (1, 1));
    let signature = opened.sign("m", 109, b"body");
    let expected = [
        second.secret.sign("m", 109, b"body"),
        first.secret.sign("m", 109, b"body"),
        second.key.sign("m", 109, b"body"),
        first.key.sign("m", 109, b"body"),
    ];
    assert_eq!(signature, expected.join(" "));
    let at = |now| rotated.public_keys(now).collect::<Vec<_>>();
    assert_eq!(at(109 * SECOND), [second.key.public_key(), first.key.public_key()]);
    assert_eq!(at(110 * SECOND), [second.key.public_key()]);
    let revoked = rotated.rotated(&Signer::generate(), &vault, id, 101 * SECOND, None).unwrap();
    assert_eq!(schemes(&revoked.open(&vault, id).unwrap(), 101 * SECOND), (1, 1));
}

#[test]
fn rotations_are_bounded_while_their_time_is_not_over() {
    let (vault, id) = (vault(), WebhookId::new());
    let mut keys = SealedKeys::new(&Signer::generate(), &vault, id);
    for now in 0..MAX_PREVIOUS as i64 {
        keys = keys.rotated(&Signer::generate(), &vault, id, now, Some(now + 100)).unwrap();
    }
    let rotate = |now, until| keys.rotated(&Signer::generate(), &vault, id, now, until);
    assert_eq!(rotate(99, Some(199)), Err(TooManyKeys));
    assert_eq!(rotate(100, Some(200)).unwrap().public_keys(100).count(), 1 + MAX_PREVIOUS);
    assert_eq!(rotate(99, None).unwrap().public_keys(99).count(), 1);
}

#[test]
fn the_form_of_the_database_holds_no_secret() {
    let (vault, id, signer) = (vault(), WebhookId::new(), Signer::generate());
    let keys = SealedKeys::new(&signer, &vault, id);
    let text = keys.to_json();
    for secret in [signer.secret.expose(), signer.key.expose()] {
        assert!(!text.contains(&secret[6..]), "{text}");
    }
    assert_eq!(SealedKeys::from_json(&text).as_ref(), Some(&keys));
    assert_eq!(keys.open(&vault, id).unwrap().current().secret, signer.secret);
    assert!(keys.open(&vault, WebhookId::new()).is_err(), "they belong to one webhook");
    assert!(["", "[]", "{}", "[{}]", "whsec_"].iter().all(|text| SealedKeys::from_json(text).is_none()));

    let mut custom = CustomHeaders::default();
    custom.add("authorization", "Bearer hunter2").unwrap();
    let headers = SealedHeaders::new(&custom, &vault, id);
    assert!(!headers.to_json().contains("hunter2") && !format!("{headers:?}").contains("sealed"));
    assert_eq!(SealedHeaders::from_json(&headers.to_json()).as_ref(), Some(&headers));
    assert_eq!(headers.open(&vault, id).unwrap(), custom);
    assert_eq!(headers.names().collect::<Vec<_>>(), ["authorization"]);
}

#[test]
fn plain_and_older_forms_are_sealed_with_the_first_key() {
    let (old, new, id) = (vault(), Vault::new(&[[8; 32], [7; 32]]).unwrap(), WebhookId::new());
    let secret = Secret::generate();
    let plain_headers = r#"[{"name":"x-key","value":"hunter2"}]"#;
    let Resealed::Changed { keys, headers } = reseal(&old, id, &secret.expose(), plain_headers) else {
        panic!("plain text stays")
    };
    assert!(!headers.contains("hunter2") && !keys.contains(&secret.expose()[6..]));
    assert_eq!(SealedKeys::from_json(&keys).unwrap().open(&old, id).unwrap().current().secret, secret);
    assert_eq!(reseal(&old, id, &keys, &headers), Resealed::Unchanged);

    let Resealed::Changed { keys: newer, headers: newer_headers } = reseal(&new, id, &keys, &headers) else {
        panic!("an older key stays")
    };
    let alone = Vault::new(&[[8; 32]]).unwrap();
    assert_eq!(SealedKeys::from_json(&newer).unwrap().open(&alone, id).unwrap().current().secret, secret);
    let opened = SealedHeaders::from_json(&newer_headers).unwrap().open(&alone, id).unwrap();
    assert_eq!(opened.iter().collect::<Vec<_>>(), [("x-key", "hunter2")]);
    assert_eq!(reseal(&alone, id, &keys, &headers), Resealed::Lost);
    assert_eq!(reseal(&alone, id, &newer, &headers), Resealed::Lost);
    assert_eq!(reseal(&alone, id, "nonsense", "[]"), Resealed::Lost);
}
