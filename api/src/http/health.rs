//! `/healthz`: the process answers. `/readyz`: it can do its work.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use futures_util::future::BoxFuture;
use http::StatusCode;
use serde_json::json;

use super::{Gateway, respond};
use crate::live::{Executor, shown};

/// Why the server cannot do its work now; shown to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// Which part, such as `database`.
    pub part: &'static str,
    /// What is wrong with it, without addresses or causes.
    pub reason: String,
}

/// Asks all parts; no reasons means ready. It is called for each request, so it must be quick.
pub type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Vec<NotReady>> + Send + Sync>;

/// How long the parts may take to say whether they are ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// Always well.
pub async fn healthz() -> Response {
    respond::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// Ready, or the reasons why not.
pub async fn readyz<E: Executor>(State(gateway): State<Arc<Gateway<E>>>) -> Response {
    let mut reasons = database_reasons(&gateway).await;
    if gateway.live.shutdown.is_cancelled() {
        reasons.push(NotReady { part: "server", reason: "it is stopping".to_owned() });
    }
    if !gateway.live.authenticator.has_keys() {
        reasons.push(NotReady { part: "tokens", reason: "the key set could not be loaded yet".to_owned() });
    }
    if reasons.is_empty() {
        return respond::json(StatusCode::OK, &json!({ "status": "ready" }));
    }
    let reasons: Vec<_> = reasons.iter().map(|r| json!({ "part": r.part, "reason": r.reason })).collect();
    respond::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "unavailable", "reasons": reasons }))
}

/// Whether the database can be read, without waiting for one that is known not to answer.
async fn database_reasons<E: Executor>(gateway: &Gateway<E>) -> Vec<NotReady> {
    let stale_since = *gateway.live.executor.stale_since().borrow();
    let not_ready = |reason| vec![NotReady { part: "database", reason }];
    if let Some(since) = stale_since {
        return not_ready(format!("the log could not be read since {}", shown(since).unwrap_or_default()));
    }
    let reasons = tokio::time::timeout(PATIENCE, (gateway.readiness)()).await;
    reasons.unwrap_or_else(|_| not_ready("it does not answer".to_owned()))
}
