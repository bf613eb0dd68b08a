//! Rights of a socket that change with its token, the end of a token, and how a stopping server lets its clients go.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tandem_tests::caller::{JWT_SECRET, sign};
use tandem_tests::client::{error_codes, text};
use tandem_tests::live::Incoming;
use tandem_tests::shop::{self, CREATE_PRODUCT};
use tandem_tests::{Caller, Case, Live, on_both};

const COSTS: &str = "subscription($after: String) { productChanged(after: $after) { after { sku cost } } }";

on_both!(
    a_newer_token_brings_its_rights_without_a_gap,
    a_newer_token_brings_its_rows,
    a_socket_ends_with_its_token_unless_it_gets_a_newer_one,
    a_stopping_server_lets_its_clients_go_one_by_one,
);

/// Sends a newer token; from the pong on it counts.
async fn renew(live: &mut Live, token: &str) {
    live.send(json!({"type": "ping", "payload": {"authorization": format!("Bearer {token}")}})).await;
}

fn token(caller: &Caller) -> String {
    caller.token().expect("who is somebody has a token")
}

/// The team's own field appears and disappears while events come; none is lost or comes twice.
async fn a_newer_token_brings_its_rights_without_a_gap(case: &Case) {
    const ROUNDS: usize = 10;
    const WRITES_EACH: usize = 8;
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    let (guest, member) = (Caller::user("kate"), Caller::user("kate").role("catalog"));
    let mut live = server.live(&guest).await.following(COSTS, json!({"after": start})).await;
    let mut seen = Vec::new();
    let see = |seen: &mut Vec<(String, bool)>, event: &tandem_tests::live::Event| {
        let is_shown = event.change["after"]["cost"] == json!("3.50");
        let codes = if is_shown { vec![] } else { vec!["FORBIDDEN".to_owned()] };
        assert_eq!(error_codes(&event.payload), codes, "{event:?}");
        seen.push((text(&event.change["after"]["sku"]), is_shown));
    };
    let mut expected = Vec::new();
    for round in 0..ROUNDS {
        let is_member = round % 2 == 1;
        renew(&mut live, &token(if is_member { &member } else { &guest })).await;
        loop {
            match live.receive().await {
                Incoming::Pong => break,
                Incoming::Next(_, event) => see(&mut seen, &event),
                other => panic!("expected a pong, got {other:?}"),
            }
        }
        // What is written after the pong is told with the rights of the newer token.
        for write in 0..WRITES_EACH {
            let sku = format!("SKU-{round}-{write}");
            let mut input = shop::product(&sku);
            input["cost"] = json!("3.50");
            admin.done(CREATE_PRODUCT, input).await;
            expected.push((sku, is_member));
        }
        // The last ones of a round may be on their way when the next token comes.
        while seen.len() < expected.len() - 1 {
            see(&mut seen, &live.event().await);
        }
    }
    see(&mut seen, &live.event().await);
    let skus = |events: &[(String, bool)]| events.iter().map(|(sku, _)| sku.clone()).collect::<Vec<_>>();
    assert_eq!(skus(&seen), skus(&expected), "each once and in order");
    for ((sku, shown), (_, expected)) in seen.iter().zip(&expected) {
        let is_last_of_round = sku.ends_with(&format!("-{}", WRITES_EACH - 1));
        assert!(shown == expected || is_last_of_round, "{sku} was told with the wrong rights");
    }
}

async fn a_newer_token_brings_its_rows(case: &Case) {
    const RULES: &str = r#"
type Doc @resource @auth(rules: [{ allow: WHERE, filter: { team: { eq: "$claims.team" } }, operations: [READ] }]) {
  team: String!
  title: String!
}"#;
    const CREATE: &str =
        "mutation($input: CreateDocInput!) { createDoc(input: $input) { change { cursor } userErrors { code } } }";
    let path = case.file("docs.graphql", RULES);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let admin = server.client(&Caller::admin());
    let first = admin.done(CREATE, json!({"team": "red", "title": "before"})).await;
    let of = |team: &str| Caller::user("ada").claim("team", json!(team));
    let document = "subscription($after: String) { docChanged(after: $after) { after { title team } } }";
    let after = first["change"]["cursor"].clone();
    let mut live = server.live(&of("red")).await.following(document, json!({"after": after})).await;
    for round in 0..6 {
        let team = ["red", "blue"][round % 2];
        renew(&mut live, &token(&of(team))).await;
        assert!(matches!(live.receive().await, Incoming::Pong));
        for other in ["red", "blue"] {
            admin.done(CREATE, json!({"team": other, "title": format!("{round}")})).await;
        }
        let event = live.event().await;
        assert_eq!(event.change["after"], json!({"title": format!("{round}"), "team": team}));
        // The log has passed both by now, so what is not theirs cannot come later.
        admin.done(CREATE, json!({"team": team, "title": "mark"})).await;
        assert_eq!(live.event().await.change["after"]["title"], json!("mark"));
    }
}

/// One that ends so many seconds from now.
fn token_for(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let claims = json!({"sub": "kate", "roles": ["catalog"], "exp": now.as_secs() as i64 + seconds});
    let claims: Map<String, Value> = claims.as_object().cloned().unwrap_or_default();
    sign(&claims, JWT_SECRET)
}

async fn a_socket_ends_with_its_token_unless_it_gets_a_newer_one(case: &Case) {
    let server = case.server().await;
    // Many times as long as it takes to open a socket and renew it, even on a busy machine.
    let first = token_for(10);
    let mut renewed = Live::connect(server.address(), Some(first.clone())).await;
    renew(&mut renewed, &token_for(600)).await;
    assert!(matches!(renewed.receive().await, Incoming::Pong));
    let mut expiring = Live::connect(server.address(), Some(first)).await;
    match expiring.receive().await {
        Incoming::Closed(code, reason) => assert_eq!((code, reason.contains("expired")), (4403, true), "{reason}"),
        other => panic!("expected the end, got {other:?}"),
    }
    // Both had the same first token.
    renewed.send(json!({"type": "ping"})).await;
    assert!(matches!(renewed.receive().await, Incoming::Pong), "the newer token counts");
    // One that has ended already is no token.
    renew(&mut renewed, &token_for(-3_600)).await;
    assert!(matches!(renewed.receive().await, Incoming::Closed(4403, _)));
}

/// All are told 1012; while the first have gone the last are still served, so not all come back at once.
async fn a_stopping_server_lets_its_clients_go_one_by_one(case: &Case) {
    const CLIENTS: usize = 40;
    let settings = case.settings().with("--drain-window", "4s");
    let mut server = case.start(settings).await;
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(server.live(&Caller::anonymous()).await.following(COSTS, json!({"after": start})).await);
    }
    shop::add_product(&admin, "SKU-1").await;
    for client in &mut clients {
        assert_eq!(client.event().await.change["after"]["sku"], json!("SKU-1"));
    }
    let watch = async {
        let (mut left, mut answered_since_first) = (0, 0);
        while !clients.is_empty() {
            let mut staying = Vec::new();
            for mut client in clients.drain(..) {
                client.try_send(json!({"type": "ping"})).await;
                match client.receive().await {
                    Incoming::Pong => {
                        answered_since_first += usize::from(left > 0);
                        staying.push(client);
                    }
                    Incoming::Closed(code, reason) => {
                        assert_eq!(code, 1012, "{reason}");
                        left += 1;
                    }
                    other => panic!("expected an answer or the end, got {other:?}"),
                }
            }
            clients = staying;
        }
        (left, answered_since_first)
    };
    let (status, (left, answered_since_first)) = tokio::join!(server.stop(), watch);
    assert!(status.success());
    assert_eq!(left, CLIENTS);
    assert!(answered_since_first > CLIENTS, "the others were served on: {answered_since_first} answers");
}
