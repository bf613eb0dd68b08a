//! Types that are the same for every resource file: nodes, pages, changes, user errors, scalars.

use super::builder::{Builder, Input, Output, input, output};

pub(super) const NODE: &str = "Node";
pub(super) const CHANGE: &str = "Change";
pub(super) const ORDER_DIRECTION: &str = "OrderDirection";
pub(super) const BATCH_MODE: &str = "BatchMode";

/// What every order of a resource refers to.
pub(super) fn add_order_direction(builder: &mut Builder) {
    builder.enumeration(
        ORDER_DIRECTION,
        "Which way an order goes.",
        [("ASC", "Smallest first."), ("DESC", "Greatest first.")],
    );
}

/// Nodes, pages, the caller, user errors.
pub(super) fn add_common(builder: &mut Builder) {
    let id =
        output("id", "ID!", "A prefix that names the type, and 26 more characters; the same string in every channel.");
    builder.interface(NODE, "Anything that has an id.", vec![id]);
    let fields = vec![
        output("hasNextPage", "Boolean!", "Whether there is more after this page."),
        output("hasPreviousPage", "Boolean!", "Whether there is more before this page."),
        output("startCursor", "String", "The cursor of the first item, for `before`; null if there is none."),
        output("endCursor", "String", "The cursor of the last item, for `after`; null if there is none."),
    ];
    builder.object("PageInfo", "Where a page lies in its list.", &[], fields);
    let fields = vec![
        output("sub", "String", "The `sub` of the caller's token; null for anonymous callers."),
        output("roles", "[String!]!", "The roles of the caller's token."),
    ];
    builder.object("Viewer", "Who is calling.", &[], fields);
    let fields = vec![
        output("code", "UserErrorCode!", "What kind of mistake it is, for programs."),
        output("message", "String!", "What is wrong, for people."),
        output(
            "path",
            "[String!]!",
            "Where it is in the input, such as `[\"lines\", \"create\", \"2\", \"quantity\"]`.",
        ),
    ];
    builder.object(
        "UserError",
        "A mistake in the input of a mutation. What it is about was not written, nor anything else unless the mutation's \
         mode is INDEPENDENT.",
        &[],
        fields,
    );
    builder.enumeration("UserErrorCode", "Kinds of mistakes in the input of a mutation.", USER_ERROR_CODES);
}

const USER_ERROR_CODES: [(&str, &str); 14] = [
    ("REQUIRED", "A value is missing, or null where it may not be."),
    ("INVALID", "The value is none of its type or format."),
    ("TOO_SHORT", "A text has too few characters, or a list too few items."),
    ("TOO_LONG", "A text has too many characters, or a list too many items."),
    ("OUT_OF_RANGE", "A number or time is too small or too great."),
    ("PATTERN_MISMATCH", "A text does not match the pattern."),
    ("NOT_UNIQUE", "Another row has this value, and it must be unique."),
    ("NOT_FOUND", "There is no such row for this caller."),
    ("REFERENCED", "Other rows refer to this one, so that it cannot be deleted."),
    ("IMMUTABLE", "The value cannot be changed by this mutation: an upsert keeps the key that it finds a row by."),
    ("FORBIDDEN", "The caller may not do this."),
    ("VERSION_CONFLICT", "The row has another version than `ifVersion`."),
    (
        "TOO_MANY",
        "More rows would be written than one mutation may write or `atMost` allows, or the caller has as many of these as \
         they may have.",
    ),
    ("IDEMPOTENCY_KEY_REUSED", "The `idempotencyKey` was used for another mutation, or with another input."),
];

/// The log: `Change`, its connection and its enums.
pub(super) fn add_changes(builder: &mut Builder) {
    let description = "One committed create, update or delete of one row: an event of the log. \
                       Each resource has a type of its own, with the row before and after.";
    builder.interface(CHANGE, description, change_fields());
    builder.enumeration(
        "ChangeKind",
        "What was done to a row.",
        [("CREATED", "It was created."), ("UPDATED", "It was updated."), ("DELETED", "It was deleted.")],
    );
    builder.enumeration(
        "Transition",
        "What a change means for a list of the rows that match a filter and that the caller may see. \
         The list stays right by removing the row on LEFT, and putting `after` in its place on anything else.",
        [
            ("ENTERED", "The row matches since this change; also when it was created."),
            ("STAYED", "The row matched before and still does."),
            ("LEFT", "The row no longer matches, or the caller may no longer see it; also when it was deleted."),
        ],
    );
    builder.object(
        "ChangeConnection",
        "A page of the log, oldest first.",
        &[],
        connection_fields("ChangeEdge", CHANGE),
    );
    add_edge(builder, "ChangeEdge", CHANGE);
}

/// The fields of the interface `Change`, which every change has.
pub(super) fn change_fields() -> Vec<Output> {
    vec![
        output(
            "id",
            "ID!",
            "The id of the event, `evt_` and 26 more characters; a webhook's `webhook-id` is the same.",
        ),
        output("cursor", "String!", "Where to continue after this change, as `after`."),
        output("kind", "ChangeKind!", "What was done."),
        output("type", "String!", "The name of the row's type, such as `OrderLine`."),
        output("nodeId", "ID!", "The id of the row."),
        output(
            "version",
            "Int!",
            "The row's version after the change; that of a deleted row is one more than its last.",
        ),
        output(
            "changedFields",
            "[String!]!",
            "The names of the fields that an update changed, of those that the caller may see.",
        ),
        output("occurredAt", "DateTime!", "When it was written."),
        output("transactionId", "ID!", "The same for all changes of one mutation."),
        output("transition", "Transition!", "What it means for the list of rows that match the filter."),
        output("position", "BigInt", "The number of the event in the log; null unless the caller has the admin role."),
        output("by", "String", "The `sub` of who did it; null unless the caller has the admin role."),
    ]
}

/// Arguments that select from the log.
pub(super) fn log_arguments() -> Vec<Input> {
    vec![
        input("types", "[String!]", "Only rows of these types, such as `OrderLine`."),
        input("kinds", "[ChangeKind!]", "Only these kinds of changes."),
        input(
            "events",
            "[String!]",
            "Events by name: `product.created`, `order_line.*` or `*`. Instead of `types` and `kinds`.",
        ),
    ]
}

pub(super) fn connection_fields(edge: &str, node: &str) -> Vec<Output> {
    vec![
        output("edges", format!("[{edge}!]!"), "The items, each with its cursor."),
        output("nodes", format!("[{node}!]!"), "The items."),
        output("pageInfo", "PageInfo!", "Where this page lies in the whole list."),
    ]
}

pub(super) fn add_edge(builder: &mut Builder, name: &str, node: &str) {
    let fields = vec![
        output("cursor", "String!", "The item's place in the list, for `after` and `before`."),
        output("node", format!("{node}!"), "The item."),
    ];
    builder.object(name, format!("{node} in a list."), &[], fields);
}

/// `first` and `after`, for lists that are read in one direction.
pub(super) fn forward_arguments() -> Vec<Input> {
    vec![
        input("first", "Int", "How many items at most, from the start; 50 if left out, and at most 1,000."),
        input("after", "String", "Only items after this cursor."),
    ]
}

pub(super) fn page_arguments() -> Vec<Input> {
    let mut arguments = forward_arguments();
    arguments.push(input("last", "Int", "How many items at most, from the end; at most 1,000. Instead of `first`."));
    arguments.push(input("before", "String", "Only items before this cursor."));
    arguments
}

pub(super) fn user_errors() -> Output {
    output("userErrors", "[UserError!]!", "All mistakes in the input; if there is one, nothing was written.")
}

/// What every input of a mutation ends with.
pub(super) fn mutation_inputs() -> [Input; 2] {
    let key = "Makes a retry safe: for 24 hours the same key with the same input gets the first payload again, and nothing is \
               written. At most 255 bytes, best a UUID. Keys belong to the caller's `sub`; anonymous callers share theirs.";
    [input("idempotencyKey", "String", key), input("clientMutationId", "String", "Comes back in the payload.")]
}

/// What a batch of new rows does about those that are refused.
pub(super) fn add_batch_mode(builder: &mut Builder) {
    builder.enumeration(
        BATCH_MODE,
        "What becomes of the other rows when one is refused.",
        [
            ("ATOMIC", "All rows are written, or none."),
            ("INDEPENDENT", "Those that are good are written, all of them in one transaction."),
        ],
    );
}

pub(super) fn client_mutation_id_output() -> Output {
    output("clientMutationId", "String", "The one of the input.")
}

/// The scalars that are used, after everything else.
pub(super) fn add_scalars(builder: &mut Builder) {
    const RFC_3339: &str = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6";
    let scalars = [
        ("BigInt", "A whole number of 64 bits, as a string, so that no client rounds it.", None),
        ("Decimal", "An exact decimal number, as a string: `\"12.50\"`. It never passes through floating point.", None),
        ("DateTime", "An instant: RFC 3339, in UTC, with microseconds: `2026-01-31T12:00:00.000000Z`.", Some(RFC_3339)),
        ("Date", "A day of the calendar: `2026-01-31`.", Some(RFC_3339)),
        ("UUID", "A UUID, lower case with hyphens.", Some("https://www.rfc-editor.org/rfc/rfc9562")),
        ("JSON", "Any JSON value.", Some("https://www.rfc-editor.org/rfc/rfc8259")),
    ];
    for (name, description, url) in scalars {
        if builder.uses(name) {
            builder.scalar(name, description, url);
        }
    }
}
