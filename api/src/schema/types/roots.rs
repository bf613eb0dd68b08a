//! The root fields: what can be asked, done and followed.

use crate::catalog::{Catalog, Resource, ResourceId};

use super::builder::{Builder, Output, input, output};
use super::describe::{a, words};
use super::names::{self, Names};
use super::shared;
use super::{MUTATION, QUERY, SUBSCRIPTION, resources, webhook_operations};

pub(super) fn add_query(builder: &mut Builder, catalog: &Catalog) {
    let mut fields = vec![
        output("node", "Node", "Anything by its id; null if there is no such thing for this caller.")
            .arguments([input("id", "ID!", "Its id.")]),
        output(
            "nodes",
            "[Node]!",
            "Anything by its ids, in their order; null in the place of each for which there is no such thing for this \
             caller.",
        )
        .arguments([input("ids", "[ID!]!", "The ids, at most 1,000; each counts as often as it is given.")]),
        output("viewer", "Viewer!", "Who is calling."),
    ];
    for (resource, names) in roots(catalog) {
        let noun = words(&resource.name);
        let one =
            format!("One {noun}, by its id or by another unique key; null if there is no such {noun} for this caller.");
        fields.push(output(&names.find_field, &names.object, one).arguments([input(
            "by",
            format!("{}!", names.by),
            format!("Which {noun}."),
        )]));
        let all = format!("The rows of {} that the caller may see, a page at a time.", resource.name);
        fields.push(output(&names.list_field, required(&names.connection), all).arguments(resources::page(resource)));
    }
    let page = shared::forward_arguments();
    fields.push(
        output("changes", "ChangeConnection!", "The log, oldest first, as far as the caller may see it.")
            .arguments(page.into_iter().chain(shared::log_arguments())),
    );
    fields.push(
        output("webhook", "Webhook", "One webhook of the caller; an admin may see any.")
            .arguments([input("id", "ID!", "Its id.")]),
    );
    fields.push(
        output("webhooks", "WebhookConnection!", "The webhooks of the caller; for an admin, all of them.")
            .arguments(shared::forward_arguments()),
    );
    builder.object(QUERY, "What can be read.", &[], fields);
}

pub(super) fn add_mutation(builder: &mut Builder, catalog: &Catalog) {
    let mut fields = Vec::new();
    for (id, resource) in catalog.resources().filter(|(_, resource)| resource.root) {
        let names = Names::of(resource);
        let noun = a(&words(&resource.name));
        fields.push(mutation(
            &names.create_field,
            &names.create_input,
            &names.create_payload,
            format!("Creates {noun}."),
        ));
        if names::has_update(resource) {
            let text = format!("Updates {noun}.");
            fields.push(mutation(&names.update_field, &names.update_input, &names.update_payload, text));
        }
        fields.push(mutation(
            &names.delete_field,
            &names.delete_input,
            &names.delete_payload,
            format!("Deletes {noun}."),
        ));
        fields.extend(batches(catalog, id, &names));
    }
    let webhooks = [
        ("create", "Create", "Registers a webhook. It gets every event that commits from now on."),
        ("update", "Update", "Changes a webhook, pauses it, or enables it again."),
        ("delete", "Delete", "Deletes a webhook, and what it still had to deliver."),
    ];
    for (field, ty, text) in webhooks {
        let field = format!("{field}Webhook");
        fields.push(mutation(&field, &format!("{ty}WebhookInput"), &format!("{ty}WebhookPayload"), text.to_owned()));
    }
    let text = "Gives a webhook a new secret; for some time the one before signs as well.";
    let (input, payload) = ("RotateWebhookSecretInput", "RotateWebhookSecretPayload");
    fields.push(mutation("rotateWebhookSecret", input, payload, text.to_owned()));
    for (field, ty, text) in webhook_operations::MUTATIONS {
        fields.push(mutation(field, &format!("{ty}Input"), &format!("{ty}Payload"), text.to_owned()));
    }
    builder.object(
        MUTATION,
        "What can be done. Each mutation is one transaction, and its events are part of it.",
        &[],
        fields,
    );
}

/// The mutations that look first, or write many rows.
fn batches(catalog: &Catalog, id: ResourceId, names: &Names) -> Vec<Output> {
    let resource = catalog.resource(id);
    let mut fields = Vec::new();
    if names::has_upsert(catalog, id) {
        let text = format!("Updates the {} with this key, or creates it if it is not there.", words(&resource.name));
        fields.push(mutation(&names.upsert_field, &names.upsert_input, &names.upsert_payload, text));
    }
    if names::has_new_row(catalog, id) {
        let text = format!("Creates many rows of {}.", resource.name);
        fields.push(mutation(&names.create_many_field, &names.create_many_input, &names.create_many_payload, text));
    }
    if names::has_update(resource) {
        let text = format!("Updates all rows of {} that match a filter, or none.", resource.name);
        fields.push(mutation(&names.update_many_field, &names.update_many_input, &names.update_many_payload, text));
    }
    let text = format!("Deletes all rows of {} that match a filter, or none.", resource.name);
    fields.push(mutation(&names.delete_many_field, &names.delete_many_input, &names.delete_many_payload, text));
    fields
}

fn mutation(name: &str, input_type: &str, payload: &str, description: String) -> Output {
    output(name, payload, description).arguments([input("input", required(input_type), "What to do.")])
}

pub(super) fn add_subscription(builder: &mut Builder, catalog: &Catalog) {
    let after = || input("after", "String", "Continue after this cursor or `asOf`; from now on if left out.");
    let mut fields = Vec::new();
    for (resource, names) in roots(catalog) {
        let text = format!("The changes of {}, as far as the caller may see them.", resource.name);
        fields.push(output(&names.changed_field, required(&names.change), text).arguments([
            input("filter", &names.filter, "Only rows that match, before or after the change."),
            input("kinds", "[ChangeKind!]", "Only these kinds of changes."),
            after(),
        ]));
    }
    fields.push(
        output("changes", "Change!", "The changes of all resources, in log order, as far as the caller may see them.")
            .arguments(shared::log_arguments().into_iter().chain([after()])),
    );
    fields.extend(webhook_operations::subscriptions());
    builder.subscription(
        SUBSCRIPTION,
        "What can be followed: changes in the order of the log, and what becomes of webhooks.",
        fields,
    );
}

fn roots(catalog: &Catalog) -> impl Iterator<Item = (&Resource, Names)> {
    catalog.resources().filter(|(_, resource)| resource.root).map(|(_, resource)| (resource, Names::of(resource)))
}

fn required(ty: &str) -> String {
    format!("{ty}!")
}
