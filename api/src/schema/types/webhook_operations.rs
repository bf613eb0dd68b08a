//! What is done with webhooks beside making and changing them, how they fare, and what can be followed of them.

use async_graphql::{Name, Value};

use super::builder::{Builder, Output, input, output};
use super::shared;

/// The mutations: field, the beginning of the names of its types, description.
pub(super) const MUTATIONS: [(&str, &str, &str); 4] = [
    (
        "pingWebhook",
        "PingWebhook",
        "Sends a message of the type `tandem.ping` to a webhook, whatever its status, and waits for the answer.",
    ),
    (
        "retryDelivery",
        "RetryDelivery",
        "Sends a delivery once more, at once: with the same `webhook-id`, body and `sequence`. Its webhook must be enabled, \
         or the attempt waits until it is.",
    ),
    (
        "replayWebhook",
        "ReplayWebhook",
        "Sends older events to a webhook again, each with its `webhook-id` and, as long as its delivery is kept, its \
         `sequence`. There is no limit to their number: they are sent in turns with new events, within the limits of the \
         webhook, and go on after a restart.",
    ),
    (
        "cancelReplay",
        "CancelReplay",
        "Ends a replay that runs: it puts nothing more in line. What it has put in line already is sent all the same; to keep \
         that from being sent, pause the webhook.",
    ),
];

pub(super) fn subscriptions() -> Vec<Output> {
    let webhook = || input("webhookId", "ID!", "Of which webhook.");
    let attempted = "The attempts of a webhook as they are recorded, whichever node made them.";
    let changed = "Webhooks of the caller that are made, deleted, paused, resumed or disabled, or whose health changes; for \
                   an admin, those of everybody. It tells how they stand, not each step on the way there.";
    vec![
        output("deliveryAttempted", "DeliveryAttempted!", attempted).arguments([
            webhook(),
            input(
                "after",
                "String",
                "Continue after this cursor of an attempt; from now on if left out. If attempts after it are no longer kept, \
                 the subscription ends with CURSOR_EXPIRED.",
            ),
        ]),
        output("webhookStatusChanged", "WebhookStatusChange!", changed).arguments([
            input("webhookId", "ID", "Only this one."),
            input(
                "after",
                "String",
                "A cursor that this subscription has given: then it first tells how each webhook stands, for what happened \
                 in between is not kept.",
            ),
        ]),
    ]
}

pub(super) fn add(builder: &mut Builder) {
    add_health(builder);
    add_replays(builder);
    add_feeds(builder);
    add_mutations(builder);
}

fn add_health(builder: &mut Builder) {
    let fields = vec![
        output("state", "WebhookHealthState!", "In one word."),
        output("failingSince", "DateTime", "When the first attempt failed since the last success."),
        output("consecutiveFailures", "Int!", "How many attempts have failed since the last success."),
        output("lastSuccessAt", "DateTime", "When an attempt last succeeded."),
        output("lastFailureAt", "DateTime", "When an attempt last failed."),
        output("lastError", "DeliveryError", "Why it failed then."),
        output(
            "disablesAt",
            "DateTime",
            "When it is disabled at the earliest if nothing succeeds: 5 days after `failingSince`, with the tenth failure.",
        ),
        output("disabledAt", "DateTime", "When the server disabled it; null if it is not disabled."),
    ];
    builder.object("WebhookHealth", "How a webhook fares. Enabling it again is a new beginning.", &[], fields);
    let states = [
        ("HEALTHY", "The last attempt succeeded, or there was none."),
        ("FAILING", "The last attempt failed."),
        (
            "AT_RISK",
            "Nothing has succeeded for two and a half days and five attempts or more: a warning, before it is disabled.",
        ),
        (
            "DISABLED",
            "The server gave it up: nothing succeeded for 5 days and 10 attempts, or its receiver answered 410.",
        ),
    ];
    builder.enumeration("WebhookHealthState", "How a webhook fares, in one word.", states);
}

fn add_replays(builder: &mut Builder) {
    let fields = vec![
        output("id", "ID!", "The id of the replay."),
        output("only", "WebhookReplayScope!", "Which events are sent again."),
        output("status", "WebhookReplayStatus!", "How it stands."),
        output("statusReason", "String", "Why it ended before everything was in line, if it did."),
        output("queued", "Int!", "How many deliveries it has put in line so far."),
        output("cursor", "String", "How far it has come, if it is one of all events."),
        output("until", "String!", "The position of its last event."),
        output("createdAt", "DateTime!", "When it was asked for."),
        output("updatedAt", "DateTime!", "When it last put something in line."),
    ];
    builder.object("WebhookReplay", "Older events that are sent to a webhook again.", &[], fields);
    let scopes = [
        ("FAILED", "Those whose delivery has failed, with a new schedule of attempts."),
        (
            "ALL",
            "All that the webhook's document selects now, also those from before it was made and those that were accepted \
             before the replay was asked for. What still waits for a retry stays in its place.",
        ),
    ];
    builder.enumeration("WebhookReplayScope", "Which events are sent again.", scopes);
    let statuses = [
        ("RUNNING", "There is more to put in line. While the webhook is not enabled, it waits."),
        ("DONE", "Everything is in line; what becomes of it is seen in the deliveries."),
        ("STOPPED", "It cannot go on, see `statusReason`."),
        ("CANCELLED", "It was ended by `cancelReplay`; what it had put in line by then is sent."),
    ];
    builder.enumeration("WebhookReplayStatus", "How a replay stands.", statuses);
}

fn add_feeds(builder: &mut Builder) {
    let fields = vec![
        output("cursor", "String!", "Where to continue after this attempt, as `after`."),
        output("delivery", "Delivery", "What it was made for, as it is now; null if it has been removed since."),
        output("attempt", "DeliveryAttempt", "The request, and what came of it; null if it has been removed since."),
    ];
    builder.object("DeliveryAttempted", "An attempt that was recorded.", &[], fields);
    let fields = vec![
        output("webhookId", "ID!", "Which webhook."),
        output("webhook", "Webhook", "The webhook as it is now; null if it was deleted."),
        output("status", "WebhookStatus", "Whether its events are delivered; null if it was deleted."),
        output("previousStatus", "WebhookStatus", "The same before; null if it is new to the subscriber."),
        output("health", "WebhookHealthState", "How it fares; null if it was deleted."),
        output("previousHealth", "WebhookHealthState", "The same before; null if it is new to the subscriber."),
        output("reason", "String", "Why it is disabled, if it is."),
    ];
    builder.object("WebhookStatusChange", "A change of how a webhook stands.", &[], fields);
}

fn add_mutations(builder: &mut Builder) {
    let payload = |mut fields: Vec<Output>| {
        fields.extend([shared::user_errors(), shared::client_mutation_id_output()]);
        fields
    };
    let mut fields = vec![input("id", "ID!", "Which webhook.")];
    fields.extend(shared::mutation_inputs());
    builder.input_object("PingWebhookInput", "A ping.", fields);
    let fields = payload(vec![
        output("webhook", "Webhook", "The webhook; null if there are user errors."),
        output("messageId", "ID", "The `webhook-id` that was sent."),
        output("attempt", "DeliveryAttempt", "The request, and what came of it. It counts in no health and no list."),
    ]);
    builder.object("PingWebhookPayload", "What came of `pingWebhook`.", &[], fields);

    let mut fields = vec![input("id", "ID!", "Which delivery.")];
    fields.extend(shared::mutation_inputs());
    builder.input_object("RetryDeliveryInput", "One more attempt of a delivery.", fields);
    let delivery = output("delivery", "Delivery", "The delivery, which is due now; null if there are user errors.");
    builder.object("RetryDeliveryPayload", "What came of `retryDelivery`.", &[], payload(vec![delivery]));

    let mut fields = vec![
        input("id", "ID!", "Which webhook."),
        input("after", "String", "The events after this cursor. Either this or `since`."),
        input(
            "since",
            "DateTime",
            "The events from this time on, as far as they are kept; of FAILED, the deliveries that began from then on.",
        ),
        input("only", "WebhookReplayScope!", "Which events.").default(Value::Enum(Name::new("FAILED"))),
        input("dryRun", "Boolean!", "Whether they are only counted.").default(false),
    ];
    fields.extend(shared::mutation_inputs());
    let description = "Older events, up to the webhook's position: those after it are delivered in any case. One replay of a \
                       webhook runs at a time.";
    builder.input_object("ReplayWebhookInput", description, fields);
    let fields = payload(vec![
        output("webhook", "Webhook", "The webhook; null if there are user errors."),
        output("replay", "WebhookReplay", "The replay; null of a dry run, or if there are user errors."),
        output("count", "Int", "How many events would be sent again, of a dry run."),
        output(
            "countedTo",
            "String",
            "Up to which cursor they were counted, if there were too many to count them all in time; null if all were.",
        ),
    ]);
    builder.object("ReplayWebhookPayload", "What came of `replayWebhook`.", &[], fields);

    let mut fields = vec![input("id", "ID!", "Which replay, as in `webhook.replays`.")];
    fields.extend(shared::mutation_inputs());
    builder.input_object("CancelReplayInput", "The end of a replay.", fields);
    let fields = payload(vec![
        output("webhook", "Webhook", "Its webhook; null if there are user errors."),
        output(
            "replay",
            "WebhookReplay",
            "The replay; null if there are user errors. What it has `queued` is sent all the same.",
        ),
    ]);
    builder.object("CancelReplayPayload", "What came of `cancelReplay`.", &[], fields);
}
