//! Webhooks, their deliveries, and the mutations that make and change them.

use async_graphql::{Name, Value};

use super::builder::{Builder, Input, input, output};
use super::shared::{self, NODE};

pub(super) fn add(builder: &mut Builder) {
    add_webhook(builder);
    add_deliveries(builder);
    add_mutations(builder);
}

fn add_webhook(builder: &mut Builder) {
    let page = shared::forward_arguments();
    let filters = [
        input("status", "DeliveryStatus", "Only deliveries with this status."),
        input("event", "String", "Only deliveries of events with this name, such as `order_line.updated`."),
        input("since", "DateTime", "Only deliveries that began at this time or later, to the millisecond."),
        input("until", "DateTime", "Only deliveries that began before this time."),
    ];
    let fields = vec![
        output("id", "ID!", "The id of the webhook."),
        output("url", "String!", "Where events are POSTed to."),
        output("query", "String!", "The subscription document that selects the events and the `data` of their bodies."),
        output("variables", "JSON", "The variables of the document."),
        output("events", "[String!]", "The event names that it was registered with, if it was."),
        output("description", "String", "For people."),
        output("headers", "[WebhookHeader!]!", "Headers that are sent along."),
        output("ordering", "WebhookOrdering!", "Which deliveries wait for which."),
        output("maxInFlight", "Int!", "How many deliveries may be on their way at the same time."),
        output("status", "WebhookStatus!", "Whether events are delivered."),
        output("statusReason", "String", "Why it is not enabled, if the server decided so."),
        output("owner", "String!", "The `sub` of who registered it; it acts with their rights."),
        output(
            "cursor",
            "String!",
            "The webhook's position in the log: what is before it is delivered or recorded for a retry.",
        ),
        output("lag", "Int!", "How many events of the log it is behind."),
        output("createdAt", "DateTime!", "When it was registered."),
        output("updatedAt", "DateTime!", "When it was last changed by a mutation or disabled by the server."),
        output("health", "WebhookHealth", "How it fares; null if it has just been deleted."),
        output(
            "deliveries",
            "DeliveryConnection!",
            "What became of its events, newest first. They are kept for 14 days, unless the server is told otherwise.",
        )
        .arguments(filters.into_iter().chain(page)),
        output("replays", "[WebhookReplay!]!", "Its replays, newest first, at most 20."),
    ];
    let description =
        "A URL to which changes are POSTed, signed as Standard Webhooks say and retried until they arrive.";
    builder.object("Webhook", description, &[NODE], fields);
    let fields = shared::connection_fields("WebhookEdge", "Webhook");
    builder.object("WebhookConnection", "A page of webhooks.", &[], fields);
    shared::add_edge(builder, "WebhookEdge", "Webhook");
    let fields =
        vec![output("name", "String!", "Its name."), output("value", "String!", "Redacted, since it may be a secret.")];
    builder.object("WebhookHeader", "A header of the requests to a webhook.", &[], fields);
    builder.enumeration(
        "WebhookOrdering",
        "Which deliveries of a webhook wait for which.",
        [("NONE", "None: first attempts start in log order, and a failing one holds up nothing.")],
    );
    builder.enumeration(
        "WebhookStatus",
        "Whether a webhook's events are delivered.",
        [
            ("ENABLED", "They are."),
            ("PAUSED", "Its owner paused it; it keeps its position and goes on from there."),
            (
                "DISABLED",
                "The server gave up on it, see `statusReason`; it keeps its position and can be enabled again.",
            ),
        ],
    );
}

fn add_deliveries(builder: &mut Builder) {
    let fields = vec![
        output("id", "ID!", "The id of the delivery."),
        output("messageId", "ID!", "The `webhook-id` that is sent: the id of the event, the same on every attempt."),
        output("type", "String!", "The name of the event, such as `order_line.updated`."),
        output("sequence", "BigInt", "Counts the events of this webhook in log order: 1, 2, 3 …"),
        output("status", "DeliveryStatus!", "What became of it."),
        output("nextAttemptAt", "DateTime", "When it is tried next; null if it is not tried again."),
        output("body", "String", "The body that is sent; null if it is no longer kept."),
        output("attempts", "[DeliveryAttempt!]!", "The requests that were made for it, the first one first."),
    ];
    builder.object("Delivery", "One event for one webhook.", &[NODE], fields);
    let fields = shared::connection_fields("DeliveryEdge", "Delivery");
    builder.object("DeliveryConnection", "A page of deliveries.", &[], fields);
    shared::add_edge(builder, "DeliveryEdge", "Delivery");
    let statuses = [
        ("PENDING", "It failed so far and will be tried again."),
        ("SUCCEEDED", "The receiver answered with a 2xx status."),
        ("FAILED", "All attempts failed."),
    ];
    builder.enumeration("DeliveryStatus", "What became of a delivery.", statuses);
    let fields = vec![
        output("number", "Int!", "1 for the first."),
        output("startedAt", "DateTime!", "When it began."),
        output("durationMs", "Int!", "How long it took, in milliseconds."),
        output("statusCode", "Int", "The HTTP status of the answer, if there was one."),
        output("address", "String", "The IP address and port that it went to, if it got that far."),
        output("error", "DeliveryError", "Why it failed; null if it did not."),
        output("responseBody", "String", "The first 16 KiB of the answer's body."),
    ];
    builder.object("DeliveryAttempt", "One HTTP request of a delivery.", &[], fields);
    let fields = vec![
        output("code", "DeliveryErrorCode!", "What kind of failure it is, for programs."),
        output("message", "String!", "What went wrong, for people."),
    ];
    builder.object("DeliveryError", "Why an attempt failed.", &[], fields);
    let codes = [
        ("BLOCKED_ADDRESS", "The URL leads to an address to which nothing may be sent."),
        ("DNS", "The host name could not be resolved."),
        ("CONNECT", "No connection could be made."),
        ("TLS", "No secure connection could be made, or the certificate is not valid."),
        ("TIMEOUT", "The answer's head did not arrive in time."),
        ("STATUS", "The receiver answered with a status that is not 2xx."),
        ("REDIRECT", "The receiver answered with a redirect, and these are not followed."),
        ("PROTOCOL", "The connection broke, or the answer was no HTTP."),
    ];
    builder.enumeration("DeliveryErrorCode", "Kinds of failed attempts.", codes);
}

fn add_mutations(builder: &mut Builder) {
    let header =
        vec![input("name", "String!", "Its name."), input("value", "String!", "Its value, shown to nobody later.")];
    builder.input_object("WebhookHeaderInput", "A header of the requests to a webhook.", header);

    let mut fields = vec![input("url", "String!", "Where events are POSTed to.")];
    fields.extend(document_fields());
    fields.push(
        input("ordering", "WebhookOrdering!", "Which deliveries wait for which.")
            .default(Value::Enum(Name::new("NONE"))),
    );
    let in_flight = "How many deliveries may be on their way at the same time.";
    fields.push(input("maxInFlight", "Int!", in_flight).default(16));
    fields.extend(shared::mutation_inputs());
    builder.input_object("CreateWebhookInput", "A new webhook; with either `query` or `events`.", fields);
    let fields = vec![
        output("webhook", "Webhook", "The new webhook; null if there are user errors."),
        output(
            "secret",
            "String",
            "`whsec_` and the key that signs its requests. It is shown only here, and again to a retry with the same \
             `idempotencyKey` while the webhook still has it.",
        ),
        shared::user_errors(),
        shared::client_mutation_id_output(),
    ];
    builder.object("CreateWebhookPayload", "What came of `createWebhook`.", &[], fields);

    let mut fields =
        vec![input("id", "ID!", "Which webhook."), input("url", "String", "Where events are POSTed to from now on.")];
    fields.extend(document_fields());
    fields.push(input("ordering", "WebhookOrdering", "Which deliveries wait for which."));
    fields.push(input("maxInFlight", "Int", in_flight));
    fields.push(input("status", "WebhookStatus", "PAUSED pauses it, ENABLED resumes it or enables it again."));
    fields.extend(shared::mutation_inputs());
    builder.input_object("UpdateWebhookInput", "What is to change; what is left out stays as it is.", fields);
    let fields = vec![
        output("webhook", "Webhook", "The updated webhook; null if there are user errors."),
        shared::user_errors(),
        shared::client_mutation_id_output(),
    ];
    builder.object("UpdateWebhookPayload", "What came of `updateWebhook`.", &[], fields);

    let mut fields = vec![input("id", "ID!", "Which webhook.")];
    fields.extend(shared::mutation_inputs());
    builder.input_object("DeleteWebhookInput", "The end of a webhook, and of all its deliveries.", fields);
    let fields = vec![
        output("deletedWebhookId", "ID", "The id of the deleted webhook; null if there are user errors."),
        shared::user_errors(),
        shared::client_mutation_id_output(),
    ];
    builder.object("DeleteWebhookPayload", "What came of `deleteWebhook`.", &[], fields);
}

fn document_fields() -> [Input; 5] {
    [
        input("query", "String", "A subscription document of one root field: which events, and what of them."),
        input("variables", "JSON", "The variables of the document, an object."),
        input("events", "[String!]", "Instead of `query`: event names, `product.created`, `order.*` or `*`."),
        input("description", "String", "For people."),
        input("headers", "[WebhookHeaderInput!]", "Headers that are sent along."),
    ]
}
