//! Who uses a socket: the caller of the upgrade, then who `connection_init` names, then the same subject with a newer
//! token.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::auth::Principal;
use crate::live::{Executor, Live, Seat};

/// Why a caller is refused: close code and reason.
pub(super) type Refused = (u16, Cow<'static, str>);

/// The connection inside a socket.
pub(super) struct Session {
    principal: Arc<Principal>,
    is_open: bool,
    seat: Seat,
}

impl Session {
    /// Of a socket that `principal` has opened.
    pub(super) fn new(principal: Arc<Principal>, seat: Seat) -> Self {
        Self { principal, is_open: false, seat }
    }

    /// Whether `connection_init` was accepted.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Who may run operations; `None` before `connection_init` was accepted.
    pub(super) fn principal(&self) -> Option<&Arc<Principal>> {
        self.is_open.then_some(&self.principal)
    }

    /// Opens the connection with the payload of `connection_init`, which may name somebody else than the upgrade did.
    pub(super) async fn open<E: Executor>(
        &mut self,
        live: &Live<E>,
        payload: &Map<String, Value>,
    ) -> Result<&Arc<Principal>, Refused> {
        if let Some(value) = authorization(payload) {
            let principal = authenticate(live, value).await?;
            self.seat.hand_over(&principal).map_err(|full| (1013, format!("Try again later: {full}").into()))?;
            self.principal = principal;
        }
        self.is_open = true;
        Ok(&self.principal)
    }

    /// Goes on with a newer token of the same subject. `None` if the payload names no token.
    pub(super) async fn renew<E: Executor>(
        &mut self,
        live: &Live<E>,
        payload: &Map<String, Value>,
    ) -> Result<Option<&Arc<Principal>>, Refused> {
        let Some(value) = authorization(payload) else { return Ok(None) };
        let principal = authenticate(live, value).await?;
        if principal.sub != self.principal.sub {
            return Err((4403, "Forbidden: the new token is of another subject".into()));
        }
        self.principal = principal;
        Ok(Some(&self.principal))
    }
}

async fn authenticate<E: Executor>(live: &Live<E>, value: &Value) -> Result<Arc<Principal>, Refused> {
    // What is not a string is no token either.
    let verified = live.authenticator.authenticate_value(value.as_str().unwrap_or_default()).await;
    verified.map_err(|error| (4403, format!("Forbidden: {error}").into()))
}

/// The token in a payload: by itself or, as several clients send it, among `headers`.
fn authorization(payload: &Map<String, Value>) -> Option<&Value> {
    let find = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case("authorization");
    let value = payload.iter().find(find).or_else(|| payload.get("headers")?.as_object()?.iter().find(find));
    value.map(|(_, value)| value).filter(|value| !value.is_null())
}
