//! Who is calling.

use std::time::SystemTime;

use serde_json::{Map, Value};

/// The caller of a request, the holder of a socket or the owner of a webhook.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Principal {
    /// The `sub` of the token; `None` for an anonymous caller.
    pub sub: Option<String>,
    /// The roles of the token.
    pub roles: Vec<String>,
    /// All claims of the token.
    pub claims: Map<String, Value>,
    /// Whether one of the roles is the admin role, which may do everything.
    pub is_admin: bool,
    /// When the token ends.
    pub expires_at: Option<SystemTime>,
}

impl Principal {
    /// A caller without a token.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Whether there was no token.
    pub fn is_anonymous(&self) -> bool {
        self.sub.is_none()
    }

    /// Whether the caller has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r == role)
    }

    /// A claim by name; dots go into nested objects. A claim that is null counts as missing.
    pub fn claim(&self, path: &str) -> Option<&Value> {
        let mut names = path.split('.');
        let first = self.claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name)).filter(|value| !value.is_null())
    }
}
