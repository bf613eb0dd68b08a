//! What clients may ask of the registry, checked all at once.

use entity::webhook::Status;
use serde_json::{Map, Value};

use crate::store::writer::{Code, Violation};
use crate::webhook::message::CustomHeaders;
use crate::webhook::sending::SendingInput;

/// Longest document, in bytes.
pub const MAX_QUERY_LENGTH: usize = 64 * 1024;
/// Most bytes of the JSON of a document's variables.
pub const MAX_VARIABLES_LENGTH: usize = 64 * 1024;
/// Longest description, in characters.
pub const MAX_DESCRIPTION_LENGTH: usize = 500;
/// How many requests a webhook may have in flight.
pub const MAX_IN_FLIGHT: std::ops::RangeInclusive<i64> = 1..=256;

/// Most roles that an admin may give to a webhook.
pub const MAX_ROLES: usize = 100;
/// Longest name of a role, in characters.
pub const MAX_ROLE_LENGTH: usize = 200;

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Where messages are sent to.
    pub url: String,
    /// What it follows.
    pub document: Document,
    /// For people.
    pub description: Option<String>,
    /// Sent along with every message: names and values.
    pub headers: Vec<(String, String)>,
    /// Most requests at the same time.
    pub max_in_flight: i64,
    /// Order, pace, batches and attempts.
    pub sending: SendingInput,
    /// Whether its receiver has to confirm that it wants the events.
    pub verify: bool,
}

/// What a webhook follows; exactly one of `query` and `events` must be given.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// A subscription document.
    pub query: Option<String>,
    /// Its variables.
    pub variables: Option<Map<String, Value>>,
    /// Short for a written-out document.
    pub events: Option<Vec<String>>,
}

impl Document {
    pub(super) fn is_empty(&self) -> bool {
        self.query.is_none() && self.variables.is_none() && self.events.is_none()
    }
}

/// Changes of a webhook. What is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct WebhookPatch {
    /// Where messages are sent to.
    pub url: Option<String>,
    /// What it follows; with `variables` alone, the document stays.
    pub document: Document,
    /// For people; `Some(None)` removes it.
    pub description: Option<Option<String>>,
    /// Replaces all headers.
    pub headers: Option<Vec<(String, String)>>,
    /// Most requests at the same time.
    pub max_in_flight: Option<i64>,
    /// Order, pace, batches and attempts.
    pub sending: SendingInput,
    /// Pauses it, resumes it, or enables it again; DISABLED is for the server alone.
    pub status: Option<Status>,
    /// Whether its receiver has to confirm it from now on; `true` asks it again.
    pub verify: Option<bool>,
    /// The roles that it acts with from now on; for admins.
    pub roles: Option<Vec<String>>,
}

pub(super) fn check_description(description: &str, errors: &mut Vec<Violation>) {
    if description.chars().count() > MAX_DESCRIPTION_LENGTH {
        let message = format!("at most {MAX_DESCRIPTION_LENGTH} characters are allowed");
        errors.push(Violation::named(&["description"], Code::TooLong, message));
    }
    if description.contains('\0') {
        errors.push(Violation::named(&["description"], Code::Invalid, "the character U+0000 is not allowed"));
    }
}

pub(super) fn check_max_in_flight(max_in_flight: i64, errors: &mut Vec<Violation>) {
    if !MAX_IN_FLIGHT.contains(&max_in_flight) {
        let message = format!("from {} to {} are allowed", MAX_IN_FLIGHT.start(), MAX_IN_FLIGHT.end());
        errors.push(Violation::named(&["maxInFlight"], Code::OutOfRange, message));
    }
}

pub(super) fn check_headers(given: &[(String, String)], errors: &mut Vec<Violation>) -> CustomHeaders {
    use crate::webhook::message::HeaderError;
    let mut headers = CustomHeaders::default();
    for (i, (name, value)) in given.iter().enumerate() {
        let Err(error) = headers.add(name, value) else { continue };
        let index = i.to_string();
        let (path, code) = match error {
            HeaderError::TooMany => (vec!["headers"], Code::TooMany),
            HeaderError::Value => (vec!["headers", &index, "value"], Code::Invalid),
            HeaderError::Name | HeaderError::Reserved | HeaderError::Twice => {
                (vec!["headers", index.as_str(), "name"], Code::Invalid)
            }
        };
        errors.push(Violation::named(&path, code, error.to_string()));
        if error == HeaderError::TooMany {
            break;
        }
    }
    headers
}

pub(super) fn check_role_names(roles: &[String], errors: &mut Vec<Violation>) {
    if roles.len() > MAX_ROLES {
        errors.push(Violation::named(&["roles"], Code::TooLong, format!("at most {MAX_ROLES} roles are allowed")));
        return;
    }
    for (i, role) in roles.iter().enumerate() {
        if role.is_empty() || role.chars().count() > MAX_ROLE_LENGTH || role.contains('\0') {
            let message = format!("the name of a role has 1 to {MAX_ROLE_LENGTH} characters, none of them U+0000");
            errors.push(Violation::named(&["roles", &i.to_string()], Code::Invalid, message));
        }
    }
}

pub(super) fn check_query(query: &str, errors: &mut Vec<Violation>) {
    if query.len() > MAX_QUERY_LENGTH {
        let message = format!("at most {MAX_QUERY_LENGTH} bytes are allowed");
        errors.push(Violation::named(&["query"], Code::TooLong, message));
    }
    if query.contains('\0') {
        errors.push(Violation::named(&["query"], Code::Invalid, "the character U+0000 is not allowed"));
    }
}

pub(super) fn check_variables(variables: &Map<String, Value>, errors: &mut Vec<Violation>) {
    // `\u0000` in JSON text is harmless to a database.
    if serde_json::to_string(variables).map_or(usize::MAX, |text| text.len()) > MAX_VARIABLES_LENGTH {
        let message = format!("at most {MAX_VARIABLES_LENGTH} bytes are allowed");
        errors.push(Violation::named(&["variables"], Code::TooLong, message));
    }
}
