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
        output("maxInFlight", "Int!", "How many requests may be on their way at the same time."),
        output("rateLimit", "Int", "How many requests may start in a second; null for no limit."),
        output(
            "retrySchedule",
            "[Int!]",
            "The seconds from the end of one attempt to the next one; null for the server's schedule.",
        ),
        output("timeoutMs", "Int", "The milliseconds that one attempt may take; null for the server's limit."),
        output("batch", "WebhookBatch", "How events are sent together; null if each has a request of its own."),
        output("status", "WebhookStatus!", "Whether events are delivered."),
        output("statusReason", "String", "Why it is not enabled, if the server decided so."),
        output("owner", "String!", "The `sub` of who registered it; it acts with their rights."),
        output(
            "cursor",
            "String!",
            "The webhook's position in the log: what is before it is delivered or recorded for a retry.",
        ),
        output("lag", "Int!", "How many events of the log it is behind."),
        output(
            "publicKey",
            "String!",
            "`whpk_` and the key by which receivers verify the `v1a` entries of its signatures; it is at \
             `/.well-known/jwks.json?webhook=<id>` too, and keys from before a rotation as long as they sign.",
        ),
        output(
            "previousSecretUntil",
            "DateTime",
            "Until when a secret from before the last rotation signs as well; null if none does.",
        ),
        output(
            "roles",
            "[String!]!",
            "The roles that it acts with: those of its owner's token at registration, unless an admin gave it others.",
        ),
        output(
            "verifiedAt",
            "DateTime",
            "When its receiver confirmed that it wants the events; null if it has not, or does not have to.",
        ),
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
        [
            ("NONE", "None: first attempts start in log order, and a failing one holds up nothing."),
            (
                "PER_NODE",
                "Those of a node wait for each other: a delivery is sent when the ones before it of the same node have \
                 succeeded, or have failed for good. Other nodes go on.",
            ),
            (
                "STRICT",
                "All wait for each other: a delivery is sent when all before it have succeeded, or have failed for good. \
                 There is one request at a time.",
            ),
        ],
    );
    let fields = vec![
        output("maxEvents", "Int!", "The most events of one request."),
        output("maxWaitMs", "Int!", "The milliseconds that the first event of a request waits for others."),
    ];
    builder.object("WebhookBatch", "How the events of a webhook are sent together.", &[], fields);
    builder.enumeration(
        "WebhookStatus",
        "Whether a webhook's events are delivered.",
        [
            ("ENABLED", "They are."),
            (
                "UNVERIFIED",
                "Not until its receiver has confirmed that it wants them, see `verify`; it keeps its position and begins from \
                 there.",
            ),
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
        output(
            "messageId",
            "ID!",
            "The id of the event: the `webhook-id` that is sent, or its `id` in a batch. The same on every attempt.",
        ),
        output("type", "String!", "The name of the event, such as `order_line.updated`."),
        output("sequence", "BigInt", "Counts the events of this webhook in log order: 1, 2, 3 …"),
        output("status", "DeliveryStatus!", "What became of it."),
        output(
            "nextAttemptAt",
            "DateTime",
            "When it is tried next; null if it is not tried again, or waits for an earlier delivery.",
        ),
        output("body", "String", "The body that is sent; null if it is no longer kept."),
        output("attempts", "[DeliveryAttempt!]!", "The requests that were made for it, the first one first."),
    ];
    builder.object("Delivery", "One event for one webhook.", &[NODE], fields);
    let fields = shared::connection_fields("DeliveryEdge", "Delivery");
    builder.object("DeliveryConnection", "A page of deliveries.", &[], fields);
    shared::add_edge(builder, "DeliveryEdge", "Delivery");
    let statuses = [
        ("PENDING", "It failed so far and will be tried again, or it waits for an earlier one that did."),
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
        output("responseBody", "String", "The first 16 KiB of the answer's body, or 1 KiB if it was sent in a batch."),
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

    let batch = vec![
        input("maxEvents", "Int!", "The most events of one request, from 1 to 1000."),
        input(
            "maxWaitMs",
            "Int!",
            "The milliseconds that the first event of a request waits for others, from 0 to 60000.",
        )
        .default(1000),
    ];
    builder.input_object("WebhookBatchInput", "How the events of a webhook are sent together.", batch);

    let mut fields = vec![input("url", "String!", "Where events are POSTed to.")];
    fields.extend(document_fields());
    fields.push(
        input("ordering", "WebhookOrdering!", "Which deliveries wait for which.")
            .default(Value::Enum(Name::new("NONE"))),
    );
    let in_flight = "How many requests may be on their way at the same time; 1 with the ordering STRICT.";
    fields.push(input("maxInFlight", "Int!", in_flight).default(16));
    fields.extend(sending_fields());
    let verify = "Whether its receiver has to confirm first that it wants the events: by echoing the `data.challenge` of a \
                  message of the type `tandem.challenge`, or by the handshake of CloudEvents. Another URL has to confirm anew.";
    fields.push(input("verify", "Boolean!", verify).default(false));
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
    fields.extend(sending_fields());
    fields.push(input("status", "WebhookStatus", "PAUSED pauses it, ENABLED resumes it or enables it again."));
    let verify = "true asks its receiver (again) to confirm that it wants the events, and delivers none before; false does \
                  without.";
    fields.push(input("verify", "Boolean", verify));
    let roles = "For the admin role: the roles that it acts with from the next event on. A document that they no longer \
                 suffice for disables it.";
    fields.push(input("roles", "[String!]", roles));
    fields.extend(shared::mutation_inputs());
    builder.input_object("UpdateWebhookInput", "What is to change; what is left out stays as it is.", fields);
    let fields = vec![
        output("webhook", "Webhook", "The updated webhook; null if there are user errors."),
        shared::user_errors(),
        shared::client_mutation_id_output(),
    ];
    builder.object("UpdateWebhookPayload", "What came of `updateWebhook`.", &[], fields);

    add_rotation(builder);

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

fn add_rotation(builder: &mut Builder) {
    let mut fields = vec![input("id", "ID!", "Which webhook.")];
    let revoke = "Whether the secrets before stop signing at once, because one has leaked; else they sign beside the new one for \
                  24 hours, or as long as the server's settings say.";
    fields.push(input("revokePrevious", "Boolean!", revoke).default(false));
    fields.extend(shared::mutation_inputs());
    let description = "A new secret and a new `v1a` key for a webhook.";
    builder.input_object("RotateWebhookSecretInput", description, fields);
    let fields = vec![
        output("webhook", "Webhook", "The webhook, with its new public key; null if there are user errors."),
        output(
            "secret",
            "String",
            "The new secret. It is shown only here, and again to a retry with the same `idempotencyKey` while the webhook \
             still has it.",
        ),
        shared::user_errors(),
        shared::client_mutation_id_output(),
    ];
    builder.object("RotateWebhookSecretPayload", "What came of `rotateWebhookSecret`.", &[], fields);
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

fn sending_fields() -> [Input; 4] {
    [
        input("rateLimit", "Int", "How many requests may start in a second, from 1 to 10000; null for no limit."),
        input(
            "retrySchedule",
            "[Int!]",
            "The seconds from the end of one attempt to the next one, at most 29; null for the server's schedule.",
        ),
        input(
            "timeoutMs",
            "Int",
            "The milliseconds that one attempt may take, from 100 to 60000; null for the server's limit.",
        ),
        input(
            "batch",
            "WebhookBatchInput",
            "Sends events together, as a list in one request; null sends each in a request of its own.",
        ),
    ]
}
