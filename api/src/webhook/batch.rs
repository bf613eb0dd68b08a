//! Several events in one request.
//!
//! The body is one object, as every other one is, so that receivers can tell by its `type` what they have:
//! `{"type":"tandem.batch","timestamp":…,"cursor":…,"events":[{"id":"evt_…","type":…,…},…]}`. Time and cursor are those of
//! its last event; each event is the body that it would have alone, and its id. The `webhook-id` of the request is
//! [`id`]: it follows from the events alone. So it is the same on every attempt, and when other events are sent together
//! after a crash they have another one: nobody who drops what they have seen already loses an event.

use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use serde::Deserialize;
use uuid::Uuid;

use super::ledger::Job;
use crate::catalog::datum::write_text;
use crate::catalog::type_id;
use crate::log::Event;

/// The prefix of the `webhook-id` of batches.
pub const PREFIX: &str = "batch";
/// The type of their bodies.
pub const TYPE: &str = "tandem.batch";
/// Most events that a batch may be allowed to have.
pub const MAX_EVENTS: usize = 1000;
/// With as many bytes of events, it is sent.
pub const MAX_BYTES: usize = 1 << 20;

/// When a batch is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// With this many events, at least 1 …
    pub max_events: usize,
    /// … or this long after the first one was there.
    pub max_wait: Duration,
}

/// What identifies the batch of these events.
pub fn id(jobs: &[Job]) -> Uuid {
    let mut context = digest::Context::new(&digest::SHA256);
    jobs.iter().for_each(|job| context.update(job.message.get().as_bytes()));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&context.finish().as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The body of a batch of these events.
pub fn body(jobs: &[Job]) -> Bytes {
    let events: usize = jobs.iter().map(|job| job.body.len() + 48).sum();
    let mut out = Vec::with_capacity(160 + events);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(TYPE.as_bytes());
    out.push(b'"');
    if let Some(head) = jobs.last().and_then(|last| serde_json::from_slice::<Head>(&last.body).ok()) {
        out.extend_from_slice(b",\"timestamp\":");
        write_text(&mut out, &head.timestamp);
        out.extend_from_slice(b",\"cursor\":");
        write_text(&mut out, &head.cursor);
    }
    out.extend_from_slice(b",\"events\":[");
    for (i, job) in jobs.iter().enumerate() {
        out.extend_from_slice(if i > 0 { b",{\"id\":" } else { b"{\"id\":" });
        write_text(&mut out, &type_id::format(Event::PREFIX, job.message.get()));
        out.push(b',');
        // Bodies are objects with members.
        out.extend_from_slice(&job.body[1..]);
    }
    out.extend_from_slice(b"]}");
    out.into()
}

/// What a batch takes from the body of an event.
#[derive(Deserialize)]
struct Head {
    timestamp: String,
    cursor: String,
}

#[cfg(test)]
mod tests {
    use entity::{DeliveryId, EventId, Position};
    use serde_json::Value;

    use super::*;
    use crate::webhook::message::Message;

    fn job(position: i64) -> Job {
        let cursor = format!("c{position}");
        let message = Message {
            event: "product.updated",
            occurred_at: 1_769_860_800_000_000 + position,
            cursor: &cursor,
            sequence: Some(position),
            data: b"{ \"a\" : 1.0}",
            errors: None,
        };
        Job {
            delivery: DeliveryId::new(),
            is_recorded: false,
            position: Position::new(position).unwrap(),
            message: EventId::new(),
            event: "product.updated".into(),
            sequence: Some(position),
            number: 1,
            before: 0,
            body: message.body(),
            node: None,
            batch: None,
        }
    }

    #[test]
    fn bodies_hold_those_of_their_events() {
        let jobs = [job(1), job(2)];
        let body = body(&jobs);
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["type"], TYPE);
        assert_eq!(
            (&json["cursor"], &json["timestamp"]),
            (&json["events"][1]["cursor"], &json["events"][1]["timestamp"])
        );
        for (i, job) in jobs.iter().enumerate() {
            assert_eq!(json["events"][i]["id"], type_id::format("evt", job.message.get()));
            let text = std::str::from_utf8(&body).unwrap();
            assert!(text.contains(std::str::from_utf8(&job.body[1..]).unwrap()), "the very bytes");
        }
        assert_eq!(json["events"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn ids_follow_from_the_events() {
        let jobs = [job(1), job(2), job(3)];
        assert_eq!(id(&jobs), id(&jobs.clone()));
        assert_ne!(id(&jobs), id(&jobs[..2]));
        assert_ne!(id(&jobs[..2]), id(&[jobs[1].clone(), jobs[0].clone()]));
    }
}
