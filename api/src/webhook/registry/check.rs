//! Whether the URL and the document of a webhook are good.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Document, Registry, events, input};
use crate::auth::Principal;
use crate::store::writer::{Code, Violation};
use crate::webhook::row::Webhook;

/// A document that was checked.
pub(super) struct Checked {
    pub(super) query: String,
    pub(super) variables: Option<Map<String, Value>>,
    pub(super) events: Option<Vec<String>>,
}

impl Registry {
    pub(super) async fn check_url(&self, url: &str, errors: &mut Vec<Violation>) -> Option<String> {
        match self.guard.check_url(url).await {
            Ok(url) => Some(url.into()),
            Err(error) => {
                errors.push(Violation::named(&["url"], Code::Invalid, error.to_string()));
                None
            }
        }
    }

    /// The principal after an update; `None` if it stays, or if there are errors.
    pub(super) fn check_roles(
        &self,
        caller: &Principal,
        current: &Webhook,
        roles: Option<Vec<String>>,
        errors: &mut Vec<Violation>,
    ) -> Option<Arc<Principal>> {
        let roles = roles?;
        if !caller.is_admin {
            let message = "only an admin can change the roles that a webhook acts with";
            errors.push(Violation::named(&["roles"], Code::Forbidden, message));
            return None;
        }
        let count = errors.len();
        input::check_role_names(&roles, errors);
        (errors.len() == count).then(|| Arc::new(current.principal.with_roles(roles, &self.settings.roles)))
    }

    /// The document after an update; `None` if it stays, or if there are errors.
    ///
    /// What was made of event names is written anew for other roles. A document that was given stays even if they no longer
    /// suffice for it: to take rights away must always be possible. Then the dispatcher disables the webhook.
    pub(super) fn check_new_document(
        &self,
        current: &Webhook,
        new_owner: Option<&Arc<Principal>>,
        mut document: Document,
        errors: &mut Vec<Violation>,
    ) -> Option<Checked> {
        let owner = new_owner.unwrap_or(&current.principal);
        if document.is_empty() {
            let names = new_owner.and(current.events.clone())?;
            return self.check_events(names, owner, &mut Vec::new());
        }
        if document.query.is_none() && document.events.is_none() {
            if current.events.is_some() {
                let message = "a webhook that was made of events has no variables";
                errors.push(Violation::named(&["variables"], Code::Invalid, message));
                return None;
            }
            document.query = Some(current.query.clone());
        }
        self.check_document(document, owner, errors)
    }

    pub(super) fn check_document(
        &self,
        document: Document,
        owner: &Arc<Principal>,
        errors: &mut Vec<Violation>,
    ) -> Option<Checked> {
        let count = errors.len();
        let (checked, path) = match (document.query, document.events) {
            (Some(query), None) => {
                input::check_query(&query, errors);
                document.variables.iter().for_each(|variables| input::check_variables(variables, errors));
                (Checked { query, variables: document.variables, events: None }, "query")
            }
            (None, Some(names)) => {
                if document.variables.is_some() {
                    errors.push(Violation::named(&["variables"], Code::Invalid, "variables need a query"));
                }
                (self.check_events(names, owner, errors)?, "events")
            }
            (Some(_), Some(_)) => {
                errors.push(Violation::named(&["query"], Code::Invalid, "give query or events, not both"));
                return None;
            }
            (None, None) => {
                errors.push(Violation::named(&["query"], Code::Required, "give query or events"));
                return None;
            }
        };
        if errors.len() > count {
            return None;
        }
        let variables = checked.variables.clone().unwrap_or_default();
        if let Err(refusals) = self.render.prepare(&checked.query, &variables, Arc::clone(owner)) {
            errors.extend(refusals.into_iter().map(|refusal| {
                let code = if refusal.is_forbidden { Code::Forbidden } else { Code::Invalid };
                Violation::named(&[path], code, refusal.message)
            }));
            return None;
        }
        Some(checked)
    }

    fn check_events(&self, names: Vec<String>, owner: &Principal, errors: &mut Vec<Violation>) -> Option<Checked> {
        if names.is_empty() {
            errors.push(Violation::named(&["events"], Code::Required, "name at least one event"));
            return None;
        }
        if names.len() > events::MAX_EVENTS {
            let message = format!("at most {} events are allowed", events::MAX_EVENTS);
            errors.push(Violation::named(&["events"], Code::TooLong, message));
            return None;
        }
        match events::resources(&self.catalog, &names) {
            Ok(selected) => {
                let query = events::document(&self.catalog, &names, &selected, owner);
                Some(Checked { query, variables: None, events: Some(names) })
            }
            Err(wrong) => {
                let error = |(i, message): (usize, String)| {
                    Violation::named(&["events", &i.to_string()], Code::Invalid, message)
                };
                errors.extend(wrong.into_iter().map(error));
                None
            }
        }
    }
}
