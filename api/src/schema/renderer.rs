//! What the dispatcher asks of the schema: documents of webhooks, and what they make of events.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::core::Core;
use super::document::{ErrorCode, GraphqlError};
use super::follower::{Follower, follow};
use super::request::Request;
use crate::auth::Principal;
use crate::catalog::ResourceId;
use crate::log::{ChangeKind, Event};
use crate::webhook::render::{Follow, Refusal, Render, RenderError, Rendered};

/// Turns the documents of webhooks into followers, the same ones that live clients have.
pub struct Renderer {
    pub(crate) core: Arc<Core>,
}

struct WebhookFollower {
    core: Arc<Core>,
    follower: Follower,
}

impl Render for Renderer {
    fn prepare(
        &self,
        query: &str,
        variables: &Map<String, Value>,
        principal: Arc<Principal>,
    ) -> Result<Arc<dyn Follow>, Vec<Refusal>> {
        let request = Request { query: query.to_owned(), variables: variables.clone(), ..Request::default() };
        let (follower, after) = follow(&self.core, &request, &principal, true).map_err(|errors| refusals(&errors))?;
        if after.is_some() {
            let message = "A webhook has a position of its own; leave out the argument after.".to_owned();
            return Err(vec![Refusal { message, is_forbidden: false }]);
        }
        Ok(Arc::new(WebhookFollower { core: Arc::clone(&self.core), follower }))
    }
}

fn refusals(errors: &[GraphqlError]) -> Vec<Refusal> {
    let refusal = |error: &GraphqlError| {
        let message = match error.locations.first() {
            Some(place) => format!("{} (line {}, column {})", error.message, place.line, place.column),
            None => error.message.clone(),
        };
        Refusal { message, is_forbidden: error.code == ErrorCode::Forbidden }
    };
    errors.iter().map(refusal).collect()
}

impl Follow for WebhookFollower {
    fn kinds(&self) -> &[(ResourceId, ChangeKind)] {
        self.follower.kinds()
    }

    fn render<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<Option<Rendered>, RenderError>> {
        Box::pin(async move {
            let rendered =
                self.follower.render(&self.core, event).await.map_err(|error| RenderError(Box::new(error)))?;
            Ok(rendered.map(|rendered| Rendered { data: rendered.data, errors: rendered.errors }))
        })
    }
}
