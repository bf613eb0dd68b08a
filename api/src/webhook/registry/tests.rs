//! Who may do what with webhooks, and what is refused.

use entity::webhook::Status as WebhookStatus;
use entity::{DeliveryId, Position};
use serde_json::json;

use super::*;
use crate::webhook::sending::SendingInput;
use crate::webhook::testing::{Fixture, Receiver, on_both_databases, principal};

on_both_databases!(
    webhooks_are_made_changed_and_deleted,
    all_that_is_wrong_is_said_at_once,
    documents_are_query_or_events,
    only_owners_and_admins_see_a_webhook,
    an_owner_has_a_limit,
    updates_are_checked_and_change_only_what_they_name,
    owners_see_their_deliveries,
);

fn new(url: &str) -> NewWebhook {
    NewWebhook {
        url: url.to_owned(),
        document: Document { query: Some("all".to_owned()), ..Document::default() },
        description: None,
        headers: Vec::new(),
        max_in_flight: 16,
        sending: SendingInput::default(),
        verify: false,
    }
}

fn url() -> &'static str {
    "http://127.0.0.1:9/hook"
}

fn errors<T: std::fmt::Debug>(result: Result<T, Error>) -> Vec<(String, &'static str)> {
    match result {
        Err(Error::Refused(errors)) => errors.iter().map(|e| (e.path.join("."), e.code.name())).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

fn error(path: &str, code: &'static str) -> (String, &'static str) {
    (path.to_owned(), code)
}

async fn webhooks_are_made_changed_and_deleted(fixture: &mut Fixture) {
    let registry = &fixture.registry;
    fixture.append(2).await;
    let input = NewWebhook {
        document: Document {
            query: Some("all".to_owned()),
            variables: json!({"a": [1]}).as_object().cloned(),
            events: None,
        },
        description: Some("for tests".to_owned()),
        headers: vec![("X-Team".to_owned(), "blue".to_owned())],
        max_in_flight: 3,
        ..new("http://0x7f.1:9000/hook")
    };
    let Created { webhook: shown, secret } = registry.create(&fixture.owner, input, None).await.unwrap();
    let webhook = fixture.webhook(shown.id).await;
    assert_eq!(shown, Snapshot::of(&webhook, Position::new(2).unwrap()));
    assert_eq!(webhook.url, "http://127.0.0.1:9000/hook");
    assert_eq!((webhook.query.as_str(), webhook.events.as_ref()), ("all", None));
    assert_eq!(Value::Object(webhook.variables.clone()), json!({"a": [1]}));
    assert_eq!(webhook.description.as_deref(), Some("for tests"));
    assert_eq!(webhook.headers.names().collect::<Vec<_>>(), ["x-team"]);
    assert_eq!((webhook.max_in_flight, webhook.status), (3, WebhookStatus::Enabled));
    assert_eq!((webhook.owner.as_str(), webhook.principal.as_ref()), ("ada", fixture.owner.as_ref()));
    assert_eq!((webhook.position.get(), webhook.sequence), (2, 0));
    assert_eq!(Some(fixture.signer(&webhook).secret), secret);
    assert!(!format!("{webhook:?}").contains("blue"));

    let pause = WebhookPatch { status: Some(WebhookStatus::Paused), ..WebhookPatch::default() };
    let paused = registry.update(&fixture.owner, webhook.id, pause, None).await.unwrap();
    assert_eq!(paused.status, WebhookStatus::Paused);
    assert!(paused.updated_at > webhook.updated_at);

    registry.delete(&fixture.owner, webhook.id, None).await.unwrap();
    assert!(registry.get(&fixture.owner, webhook.id).await.unwrap().is_none());
    assert_eq!(errors(registry.delete(&fixture.owner, webhook.id, None).await), [error("id", "NOT_FOUND")]);
    let patch = WebhookPatch::default();
    assert_eq!(errors(registry.update(&fixture.owner, webhook.id, patch, None).await), [error("id", "NOT_FOUND")]);
}

async fn all_that_is_wrong_is_said_at_once(fixture: &mut Fixture) {
    let wrong = NewWebhook {
        url: "https://169.254.169.254/latest".to_owned(),
        document: Document { query: Some("nonsense".to_owned()), ..Document::default() },
        description: Some("x".repeat(501)),
        headers: vec![
            ("x-ok".to_owned(), "1".to_owned()),
            ("host".to_owned(), "a".to_owned()),
            ("x-v".to_owned(), "\n".to_owned()),
        ],
        max_in_flight: 257,
        sending: SendingInput::default(),
        verify: false,
    };
    assert_eq!(
        errors(fixture.registry.create(&fixture.owner, wrong, None).await),
        [
            error("url", "INVALID"),
            error("query", "INVALID"),
            error("headers.1.name", "INVALID"),
            error("headers.2.value", "INVALID"),
            error("maxInFlight", "OUT_OF_RANGE"),
            error("description", "TOO_LONG"),
        ]
    );
    let header = |i| (format!("x-{i}"), String::new());
    let many = NewWebhook { headers: (0..12).map(header).collect(), max_in_flight: 0, ..new(url()) };
    assert_eq!(
        errors(fixture.registry.create(&fixture.owner, many, None).await),
        [error("headers", "TOO_MANY"), error("maxInFlight", "OUT_OF_RANGE")]
    );
    assert!(fixture.registry.list(&fixture.owner, None, 10).await.unwrap().is_empty());
}

async fn documents_are_query_or_events(fixture: &mut Fixture) {
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let variables = json!({"a": 1}).as_object().cloned();
    let big = json!({"a": "x".repeat(input::MAX_VARIABLES_LENGTH)}).as_object().cloned();
    let query = |text: &str| Some(text.to_owned());
    for (query, variables, events, expected) in [
        (None, None, None, vec![error("query", "REQUIRED")]),
        (query("all"), None, names(&["*"]), vec![error("query", "INVALID")]),
        (None, variables, names(&["*"]), vec![error("variables", "INVALID")]),
        (None, None, names(&[]), vec![error("events", "REQUIRED")]),
        (None, None, names(&["*"; 101]), vec![error("events", "TOO_LONG")]),
        (None, None, names(&["product.*", "nobody.*"]), vec![error("events.1", "INVALID")]),
        (query("secret"), None, None, vec![error("query", "FORBIDDEN")]),
        (query(&"x".repeat(input::MAX_QUERY_LENGTH + 1)), None, None, vec![error("query", "TOO_LONG")]),
        (query("all"), big, None, vec![error("variables", "TOO_LONG")]),
    ] {
        let wrong = NewWebhook { document: Document { query, variables, events }, ..new(url()) };
        assert_eq!(errors(fixture.registry.create(&fixture.owner, wrong.clone(), None).await), expected, "{wrong:?}");
    }
    let document = Document { events: names(&["product.created"]), ..Document::default() };
    let created = fixture.registry.create(&fixture.owner, NewWebhook { document, ..new(url()) }, None).await.unwrap();
    assert_eq!(created.webhook.events, names(&["product.created"]));
    assert!(created.webhook.query.contains("changes(events: [\"product.created\"])"), "{}", created.webhook.query);
}

async fn only_owners_and_admins_see_a_webhook(fixture: &mut Fixture) {
    let registry = &fixture.registry;
    let (other, admin) = (Arc::new(principal("bob", false)), Arc::new(principal("root", true)));
    let anonymous = Arc::new(Principal::anonymous());
    let mine = registry.create(&fixture.owner, new(url()), None).await.unwrap().webhook.id;
    let others = registry.create(&other, new(url()), None).await.unwrap().webhook.id;
    assert_eq!(errors(registry.create(&anonymous, new(url()), None).await), [error("", "FORBIDDEN")]);

    let list = async |principal: &Principal, after| -> Vec<WebhookId> {
        registry.list(principal, after, 10).await.unwrap().iter().map(|webhook| webhook.id).collect()
    };
    assert_eq!(list(&fixture.owner, None).await, [mine]);
    assert_eq!(list(&other, None).await, [others]);
    assert_eq!(list(&admin, None).await, [mine, others]);
    assert_eq!(list(&admin, Some(mine)).await, [others]);
    assert_eq!(list(&anonymous, None).await, []);

    for stranger in [&other, &anonymous] {
        assert!(registry.get(stranger, mine).await.unwrap().is_none());
        let rename = WebhookPatch { description: Some(None), ..WebhookPatch::default() };
        assert_eq!(errors(registry.update(stranger, mine, rename, None).await), [error("id", "NOT_FOUND")]);
        assert_eq!(errors(registry.delete(stranger, mine, None).await), [error("id", "NOT_FOUND")]);
    }
    let pause = WebhookPatch { status: Some(WebhookStatus::Paused), ..WebhookPatch::default() };
    let paused = registry.update(&admin, mine, pause, None).await.unwrap();
    assert_eq!((paused.owner.as_str(), fixture.webhook(mine).await.principal.is_admin), ("ada", false));
    // Whoever changes the document, it is checked against the rights of the owner.
    let document = Document { query: Some("secret".to_owned()), ..Document::default() };
    let reveal = WebhookPatch { document, ..WebhookPatch::default() };
    assert_eq!(errors(registry.update(&admin, mine, reveal, None).await), [error("query", "FORBIDDEN")]);
    registry.delete(&admin, mine, None).await.unwrap();
}

async fn an_owner_has_a_limit(fixture: &mut Fixture) {
    let registry = &fixture.registry;
    for _ in 0..MAX_WEBHOOKS_PER_OWNER {
        registry.create(&fixture.owner, new(url()), None).await.unwrap();
    }
    assert_eq!(errors(registry.create(&fixture.owner, new(url()), None).await), [error("", "TOO_MANY")]);
    registry.create(&Arc::new(principal("bob", false)), new(url()), None).await.unwrap();
}

async fn updates_are_checked_and_change_only_what_they_name(fixture: &mut Fixture) {
    let registry = &fixture.registry;
    let id = registry.create(&fixture.owner, new(url()), None).await.unwrap().webhook.id;
    let update = async |patch| registry.update(&fixture.owner, id, patch, None).await;
    let wrong = WebhookPatch {
        url: Some("ftp://a".to_owned()),
        max_in_flight: Some(0),
        status: Some(WebhookStatus::Disabled),
        ..WebhookPatch::default()
    };
    assert_eq!(
        errors(update(wrong).await),
        [error("url", "INVALID"), error("maxInFlight", "OUT_OF_RANGE"), error("status", "INVALID")]
    );
    let variables = json!({"a": 1}).as_object().cloned();
    let document = Document { variables: variables.clone(), ..Document::default() };
    let changed = update(WebhookPatch { document: document.clone(), ..WebhookPatch::default() }).await.unwrap();
    assert_eq!((changed.query.as_str(), Some(changed.variables)), ("all", variables));
    let all = Document { events: Some(vec!["*".to_owned()]), ..Document::default() };
    let patch = WebhookPatch {
        document: all,
        description: Some(Some("new".to_owned())),
        headers: Some(vec![("x-a".to_owned(), "1".to_owned())]),
        max_in_flight: Some(256),
        ..WebhookPatch::default()
    };
    let changed = update(patch).await.unwrap();
    assert_eq!((changed.events.as_deref(), changed.variables.is_empty()), (Some(&["*".to_owned()][..]), true));
    assert_eq!((changed.description.as_deref(), changed.max_in_flight), (Some("new"), 256));
    assert_eq!(
        errors(update(WebhookPatch { document, ..WebhookPatch::default() }).await),
        [error("variables", "INVALID")]
    );
    let changed = update(WebhookPatch { description: Some(None), ..WebhookPatch::default() }).await.unwrap();
    assert_eq!((changed.description, changed.headers.as_slice()), (None, &["x-a".to_owned()][..]));
    assert_eq!((changed.url.as_str(), changed.status), (url(), WebhookStatus::Enabled));
}

async fn owners_see_their_deliveries(fixture: &mut Fixture) {
    use entity::delivery::Status;
    let receiver = Receiver::start().await;
    receiver.answer_with(&[500]);
    let webhook = fixture.create(&receiver, "all", 1).await;
    let dispatching = fixture.dispatch("0s,30d");
    fixture.append(3).await;
    fixture.wait_for_progress(webhook.id, 3, 3).await;
    dispatching.stop().await;

    let registry = &fixture.registry;
    let list = async |principal: &Principal, status, before: Option<DeliveryId>| {
        let filter = DeliveryFilter { status, ..DeliveryFilter::default() };
        registry.deliveries(principal, webhook.id, &filter, before, 10).await.unwrap()
    };
    let positions = |deliveries: &[Delivery]| deliveries.iter().map(|d| d.position.get()).collect::<Vec<_>>();
    let all = list(&fixture.owner, None, None).await;
    assert_eq!(positions(&all), [3, 2, 1]);
    assert_eq!(positions(&list(&fixture.owner, None, Some(all[0].id)).await), [2, 1]);
    let filtered = async |filter: DeliveryFilter| {
        positions(&registry.deliveries(&fixture.owner, webhook.id, &filter, None, 10).await.unwrap())
    };
    let event = |name: &str| DeliveryFilter { event: Some(name.to_owned()), ..DeliveryFilter::default() };
    assert_eq!(filtered(event("product.updated")).await, [3, 2, 1]);
    assert!(filtered(event("product.created")).await.is_empty());
    let now = now_micros() + 2000;
    assert!(filtered(DeliveryFilter { since: Some(now), ..DeliveryFilter::default() }).await.is_empty());
    let minute = 60_000_000;
    let within = DeliveryFilter { since: Some(now - minute), until: Some(now), ..DeliveryFilter::default() };
    assert_eq!(filtered(within).await, [3, 2, 1]);
    assert!(filtered(DeliveryFilter { until: Some(now - minute), ..DeliveryFilter::default() }).await.is_empty());
    assert_eq!(positions(&list(&fixture.owner, Some(Status::Succeeded), None).await), [3, 2]);
    let failed = list(&fixture.owner, Some(Status::Pending), None).await.remove(0);
    assert_eq!((failed.event.as_str(), failed.sequence), ("product.updated", Some(1)));
    assert!(failed.next_attempt_at.is_some() && failed.body.as_ref().unwrap().contains("\"sequence\":1"));
    let attempt = &failed.attempts[0];
    assert_eq!((attempt.number, attempt.status_code), (1, Some(500)));
    assert_eq!(attempt.error.as_ref().unwrap().code.name(), "STATUS");
    assert!(attempt.address.as_ref().unwrap().starts_with("127.0.0.1:"));

    let (other, admin) = (principal("bob", false), principal("root", true));
    assert!(list(&other, None, None).await.is_empty());
    assert_eq!(list(&admin, None, None).await.len(), 3);
    assert!(registry.delivery(&other, failed.id).await.unwrap().is_none());
    assert_eq!(registry.delivery(&admin, failed.id).await.unwrap().unwrap().position.get(), 1);
}
