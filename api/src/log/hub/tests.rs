use futures_util::future::join_all;
use serde_json::json;

use super::reads::AT_ONCE;
use super::*;
use crate::database::Sql;
use crate::log::ChangeKind;
use crate::testing::{STORE, admin, on_both};

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_together_read_once() {
    on_both(STORE, async |app| {
        for number in 1..=20 {
            let create = format!(
                "mutation {{ createProduct(input: {{sku: \"SKU-{number}\", name: \"x\", price: \"1\"}}) {{ userErrors {{ message }} }} }}"
            );
            app.run(&admin(), &create, json!({})).await;
        }
        let statements = Arc::new(AtomicU64::new(0));
        let database = app.parts.database.counted(Arc::clone(&statements));
        let catalog = Arc::clone(app.parts.hub.lineage().catalog());
        let hub = Hub::open(database, catalog).await.unwrap();
        let taken = || statements.swap(0, Ordering::SeqCst);
        taken();
        // As after a restart: nothing is in the ring yet, and all come back from somewhere.
        let position = |number: i64| Position::new(number % 20).unwrap();
        let cursors = (0..25).map(async |number| {
            let position = hub.position(&hub.cursor(position(number))).await.unwrap();
            hub.after(position, 1).await.unwrap()[0].position.get()
        });
        let expected: Vec<_> = (0..25).map(|number| position(number).next().get()).collect();
        assert_eq!(join_all(cursors).await, expected);
        assert_eq!(taken(), 1);
        // All that wait share a read that has begun after they came. Whoever comes later may know more, and reads again.
        let reading = hub.inner.head.last.lock().await;
        let heads = join_all((0..25).map(async |_| hub.head().await.unwrap().get()));
        let (heads, ()) = tokio::join!(biased; heads, async { drop(reading) });
        assert_eq!((heads, taken()), (vec![20; 25], 1));
        assert_eq!((hub.head().await.unwrap().get(), taken()), (20, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_far_behind_passes_over_what_is_not_for_it() {
    on_both(STORE, async |app| {
        for number in 1..=6 {
            let create = format!(
                "mutation {{ createProduct(input: {{sku: \"SKU-{number}\", name: \"x\", price: \"1\"}}) {{ userErrors {{ message }} }} }}"
            );
            app.run(&admin(), &create, json!({})).await;
        }
        let hub = &app.parts.hub;
        let product = hub.lineage().catalog().find("Product").unwrap();
        let positions = async |kind, after, limit| {
            let after = Position::new(after).unwrap();
            let (events, end) = hub.read_of(&[(product, kind)], after, limit).await.unwrap();
            (events.iter().map(|event| event.position.get()).collect::<Vec<_>>(), end.get())
        };
        assert_eq!(positions(ChangeKind::Created, 0, 4).await, (vec![1, 2, 3, 4], 4), "there may be more");
        assert_eq!(positions(ChangeKind::Created, 4, 4).await, (vec![5, 6], 6));
        assert_eq!(positions(ChangeKind::Updated, 0, 4).await, (vec![], 6));
        assert_eq!(positions(ChangeKind::Updated, 6, 4).await, (vec![], 6));
        let delete = Sql::text(app.parts.database.dialect(), "DELETE FROM tandem_event WHERE position <= 2");
        app.parts.writer.statements(vec![delete]).await.unwrap();
        let expired = hub.read_of(&[(product, ChangeKind::Updated)], Position::START, 4).await;
        assert!(matches!(expired, Err(Error::Expired)), "it must not pass over what it cannot know");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_far_behind_reads_a_little_at_a_time() {
    on_both(STORE, async |app| {
        let inputs: Vec<_> =
            (0..AT_ONCE + 6).map(|i| json!({ "sku": format!("SKU-{i}"), "name": "x", "price": "1" })).collect();
        let create =
            "mutation($input: CreateProductsInput!) { createProducts(input: $input) { userErrors { message } } }";
        app.run(&admin(), create, json!({ "input": { "items": inputs } })).await;
        let hub = &app.parts.hub;
        let created = [(hub.lineage().catalog().find("Product").unwrap(), ChangeKind::Created)];
        let (mut seen, mut at) = (Vec::new(), Position::START);
        for expected in [AT_ONCE, 6] {
            let (events, end) = hub.read_of(&created, at, 256).await.unwrap();
            assert_eq!(events.len(), expected);
            seen.extend(events.iter().map(|event| event.position.get()));
            at = end;
        }
        assert!(seen.iter().copied().eq(1..=AT_ONCE as i64 + 6));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_process_writes_is_not_read_again() {
    on_both(STORE, async |app| {
        let before = app.parts.hub.tail();
        let create =
            "mutation { createProduct(input: {sku: \"SKU-1\", name: \"x\", price: \"1\"}) { change { id } userErrors { message } } }";
        let made = app.run(&admin(), create, json!({})).await;
        // Whoever has an answer finds the event in the hub already.
        assert_eq!(app.parts.hub.tail(), before.next(), "{made}");
        let own = app.parts.hub.after(before, 1).await.unwrap();
        let read = read::after(&app.parts.database, app.parts.hub.lineage(), before, 1).await.unwrap();
        assert_eq!(format!("{own:?}"), format!("{read:?}"));
        // What is not next is read.
        assert!(!app.parts.hub.take(vec![Arc::new(Event { position: before.next().next().next(), ..(*own[0]).clone() })]));
        assert!(app.parts.hub.take(own), "what it has already is passed over");
        assert_eq!(app.parts.hub.tail(), before.next());
    })
    .await;
}
