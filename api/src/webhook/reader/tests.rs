//! A webhook whose document changes while what was read for the one before is being taken.

use http::HeaderValue;

use super::*;
use crate::webhook::group::Groups;
use crate::webhook::target::Targets;
use crate::webhook::testing::{FakeRender, Fixture, Receiver, on_both_databases};

on_both_databases!(what_was_read_for_another_document_is_not_passed_over,);

async fn what_was_read_for_another_document_is_not_passed_over(fixture: &mut Fixture) {
    let receiver = Receiver::start().await;
    let groups = Groups::new(Arc::new(FakeRender), fixture.hub.clone(), Arc::clone(&fixture.catalog));
    let targets = Targets::new(groups, fixture.vault.clone(), HeaderValue::from_static("example.com"));
    let even = Arc::new(targets.of(&fixture.create(&receiver, "even", 1).await).unwrap());
    let all = Arc::new(targets.of(&fixture.create(&receiver, "all", 1).await).unwrap());
    fixture.append(7).await;
    fixture.hub.changed(Position::new(6).unwrap()).await;
    let events = fixture.hub.after(Position::START, 7).await.unwrap();
    let end = events[6].position;

    // As far as events 2 and 4, or with all that may be for the old document; there is room for one message.
    for count in [4, 7] {
        let (target, targets) = watch::channel(Arc::clone(&even));
        let (items, mut taken) = mpsc::channel(1);
        let start = Progress { position: Position::START, sequence: 0 };
        let mut reader = Reader { hub: fixture.hub.clone(), target: targets, start, recorded: VecDeque::new(), items };
        let mut at = start;
        let change = async {
            // The reader waits until the first one is taken.
            while taken.is_empty() {
                tokio::task::yield_now().await;
            }
            target.send_replace(Arc::clone(&all));
            let mut positions = Vec::new();
            for _ in 0..2 {
                if let Some(Item::Message(fresh)) = taken.recv().await {
                    positions.push(fresh.position.get());
                }
            }
            positions
        };
        let (passed, positions) = tokio::join!(reader.pass(&events[..count], end, &even.group, &mut at), change);
        assert!(passed.is_ok());
        assert_eq!((positions, at.position.get(), at.sequence), (vec![2, 4], 4, 2), "it goes on after what was sent");
        assert!(taken.is_empty(), "nothing was skipped");
    }
}
