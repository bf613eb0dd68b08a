//! Requests that are right, and each way in which they can be wrong.

use super::check::{Keys, Report, check};
use super::request::{self, Request};
use crate::webhook::signature::{PublicKey, Secret, SigningKey};

const NOW: i64 = 1_614_265_330;
const ID: &str = "evt_01h455vb4pex5vsknk084sn02q";
const BODY: &str = "{\"type\":\"product.created\",\"data\":{\"name\":\"Größe \\\"8\\\"\",\"price\":\"9.90\"}}";

struct Sender {
    secret: Secret,
    key: SigningKey,
}

impl Sender {
    fn new() -> Self {
        Self { secret: Secret::generate(), key: SigningKey::generate() }
    }

    /// A request with this body, signed for `signed`.
    fn request(&self, body: &str, signed: &str) -> Request {
        let signature = [self.secret.sign(ID, NOW, signed.as_bytes()), self.key.sign(ID, NOW, signed.as_bytes())];
        request(
            &[("webhook-id", ID), ("webhook-timestamp", &NOW.to_string()), ("webhook-signature", &signature.join(" "))],
            body,
        )
    }

    fn secrets(&self) -> Keys {
        Keys { secrets: vec![self.secret.clone()], public_keys: Vec::new() }
    }

    fn public_keys(&self) -> Keys {
        Keys { secrets: Vec::new(), public_keys: vec![self.key.public_key()] }
    }

    fn both(&self) -> Keys {
        Keys { secrets: vec![self.secret.clone()], public_keys: vec![self.key.public_key()] }
    }
}

fn request(headers: &[(&str, &str)], body: &str) -> Request {
    let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    request::of_parts(&headers, body.as_bytes().to_vec()).unwrap()
}

fn problems(request: &Request, keys: &Keys, now_s: i64) -> Vec<String> {
    match check(request, keys, now_s, 300) {
        Report::Invalid(problems) => problems,
        Report::Valid(text) => panic!("{text}"),
    }
}

/// The only problem has all of these words.
fn expect(request: &Request, keys: &Keys, words: &[&str]) {
    let problems = problems(request, keys, NOW);
    assert_eq!(problems.len(), 1, "{problems:?}");
    for word in words {
        assert!(problems[0].contains(word), "{word}: {problems:?}");
    }
}

#[test]
fn right_ones_are_valid_by_any_key() {
    let (sender, other) = (Sender::new(), Sender::new());
    let request = sender.request(BODY, BODY);
    for keys in [sender.secrets(), sender.public_keys(), sender.both()] {
        assert!(matches!(check(&request, &keys, NOW + 300, 300), Report::Valid(_)), "{keys:?}");
        assert!(matches!(check(&request, &keys, NOW - 300, 300), Report::Valid(_)), "{keys:?}");
    }
    let keys = Keys {
        secrets: vec![other.secret.clone(), sender.secret.clone()],
        public_keys: vec![sender.key.public_key(), other.key.public_key()],
    };
    let Report::Valid(text) = check(&request, &keys, NOW + 12, 300) else { panic!("not valid") };
    assert_eq!(
        text,
        format!(
            "valid\n  message    {ID}\n  signed     2021-02-25T15:02:10.000000Z (12 s ago)\n  v1         by secret 2 of 2\n  \
             v1a        by public key 1 of 2\n"
        )
    );
}

#[test]
fn the_known_vectors_are_valid() {
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzC\
                     InXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    let headers = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", signature),
    ];
    let private = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let keys = Keys {
        secrets: vec![Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()],
        public_keys: vec![PublicKey::parse("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=").unwrap()],
    };
    assert_eq!(SigningKey::parse(private).unwrap().public_key(), keys.public_keys[0]);
    assert!(matches!(check(&request(&headers, r#"{"test": 2432232314}"#), &keys, NOW, 300), Report::Valid(_)));
}

#[test]
fn headers_that_are_missing_are_named_all_at_once() {
    let sender = Sender::new();
    let found = problems(&request(&[("webhook-id", "")], BODY), &sender.secrets(), NOW);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("webhook-id is empty"));
    assert!(found[1].contains("webhook-timestamp is missing") && found[2].contains("webhook-signature is missing"));
    let mut twice = sender.request(BODY, BODY);
    twice.headers.push(("webhook-id".to_owned(), "other".to_owned()));
    expect(&twice, &sender.secrets(), &["webhook-id", "more than once"]);
}

#[test]
fn times_are_judged_apart_from_the_signature() {
    let sender = Sender::new();
    let request = sender.request(BODY, BODY);
    let old = problems(&request, &sender.secrets(), NOW + 7300);
    assert!(old[0].contains("too old") && old[0].contains("2 h ago") && old[0].contains("--at 1614265330"), "{old:?}");
    assert_eq!(old[1..], ["the signature itself is right"]);
    let new = problems(&request, &sender.secrets(), NOW - 301);
    assert!(new[0].contains("in the future") && new[0].contains("5 min ahead") && new[0].contains("clocks"), "{new:?}");
    for (text, words) in [("1614265330000", "milliseconds"), ("2021-02-25", "not a number"), ("+5", "not a number")] {
        let mut changed = request.clone();
        changed.headers[1].1 = text.to_owned();
        expect(&changed, &sender.secrets(), &[words]);
    }
}

#[test]
fn signatures_that_cannot_be_read_are_named() {
    let sender = Sender::new();
    let good = sender.request(BODY, BODY);
    let (v1, v1a) = good.headers[2].1.split_once(' ').unwrap();
    for (signature, words) in [
        (v1[3..].to_owned(), "without a version"),
        (format!("v2,{}", &v1[3..]), "unknown version \"v2\""),
        (format!("v1,{}", &v1[4..]), "no base64"),
        ("v1,AAAA".to_owned(), "3 bytes instead of 32"),
    ] {
        let mut changed = good.clone();
        changed.headers[2].1 = signature.clone();
        let found = problems(&changed, &sender.secrets(), NOW);
        assert!(found[0].contains(words), "{signature}: {found:?}");
        assert!(found[1].contains("no v1 entry"), "{signature}: {found:?}");
    }
    let mut only = good.clone();
    only.headers[2].1 = v1a.to_owned();
    expect(&only, &sender.secrets(), &["no v1 entry", "only v1a", "a secret cannot verify"]);
    only.headers[2].1 = v1.to_owned();
    expect(&only, &sender.public_keys(), &["no v1a entry", "only v1"]);
}

#[test]
fn what_became_of_the_body_is_said() {
    let sender = Sender::new();
    let json: serde_json::Value = serde_json::from_str(BODY).unwrap();
    let pretty = serde_json::to_string_pretty(&json).unwrap();
    let escaped = BODY.replace('ö', "\\u00f6").replace("\":", "\": ").replace(",\"", ", \"");
    let latin: String = BODY.bytes().map(char::from).collect();
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, BODY);
    for (body, signed, words) in [
        (format!("{BODY}\n"), BODY.to_owned(), "newline was added"),
        (format!("{BODY}\r\n"), BODY.to_owned(), "newline was added"),
        (BODY.to_owned(), format!("{BODY}\n"), "newline at its end was removed"),
        (pretty.replace('\n', "\r\n"), pretty.clone(), "CRLF"),
        (pretty.clone(), pretty.replace('\n', "\r\n"), "changed to LF"),
        (format!("\u{feff}{BODY}"), BODY.to_owned(), "byte order mark"),
        (pretty, BODY.to_owned(), "written again"),
        (escaped, BODY.to_owned(), "written again"),
        (serde_json::to_string(BODY).unwrap(), BODY.to_owned(), "JSON string"),
        (base64, BODY.to_owned(), "base64"),
        (latin, BODY.to_owned(), "Latin-1"),
    ] {
        let request = sender.request(&body, &signed);
        for keys in [sender.secrets(), sender.public_keys(), sender.both()] {
            expect(&request, &keys, &["body is not the one that was signed", words]);
        }
    }
    let mut longer = sender.request(&format!("{BODY}--boundary"), BODY);
    longer.headers.push(("content-length".to_owned(), BODY.len().to_string()));
    expect(&longer, &sender.secrets(), &["after the end that content-length tells"]);
    let mut shorter = sender.request(&BODY[..20], BODY);
    shorter.headers.push(("content-length".to_owned(), BODY.len().to_string()));
    expect(&shorter, &sender.secrets(), &["cut off", "20 bytes"]);
}

#[test]
fn a_wrong_key_is_told_from_a_changed_body_if_possible() {
    let (sender, other) = (Sender::new(), Sender::new());
    let request = sender.request(BODY, BODY);
    let mixed = Keys { secrets: other.secrets().secrets, public_keys: sender.public_keys().public_keys };
    expect(&request, &mixed, &["the secret is the wrong one", "nothing was changed"]);
    let mixed = Keys { secrets: sender.secrets().secrets, public_keys: other.public_keys().public_keys };
    expect(&request, &mixed, &["the public key is the wrong one"]);
    expect(&request, &other.secrets(), &["no signature fits", "another webhook", "With --jwks"]);
    expect(&request, &other.public_keys(), &["no signature fits", "With --secret"]);
    let changed = sender.request(&BODY.replace("9.90", "9.91"), BODY);
    expect(&changed, &sender.both(), &["no signature fits"]);
    let rewritten = format!("{{ {}", &BODY[1..]).replace("9.90", "9.9");
    expect(&sender.request(&rewritten, BODY), &sender.secrets(), &["white space", "written again"]);
}
