//! Who is calling.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::settings::AuthSettings;
use super::token::put_roles;

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

    /// The same subject with other roles, as if its token had said so.
    #[must_use]
    pub fn with_roles(&self, roles: Vec<String>, names: &RoleNames) -> Self {
        let mut claims = self.claims.clone();
        // Some issuers put dots into the name of a claim; such a claim is replaced where it is.
        match claims.get_mut(&names.claim) {
            Some(claim) => *claim = roles.as_slice().into(),
            None => put_roles(&mut claims, &names.claim, &roles),
        }
        let is_admin = roles.contains(&names.admin);
        Self { sub: self.sub.clone(), roles, claims, is_admin, expires_at: self.expires_at }
    }

    /// A claim by name; dots go into nested objects. A claim that is null counts as missing.
    pub fn claim(&self, path: &str) -> Option<&Value> {
        let mut names = path.split('.');
        let first = self.claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name)).filter(|value| !value.is_null())
    }
}

/// What roles are called in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleNames {
    /// The claim that holds the roles; dots go into nested claims.
    pub claim: String,
    /// The role that may do everything.
    pub admin: String,
}

impl RoleNames {
    /// As the settings have it.
    pub fn of(settings: &AuthSettings) -> Self {
        Self { claim: settings.jwt_roles_claim.clone(), admin: settings.admin_role.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_are_replaced_in_the_claims_too() {
        let claims = |value: Value| value.as_object().cloned().unwrap();
        let ada = |value| Principal { sub: Some("ada".to_owned()), claims: claims(value), ..Principal::default() };
        let names = |claim: &str| RoleNames { claim: claim.to_owned(), admin: "admin".to_owned() };
        for (claim, before, after) in [
            ("roles", json!({"sub": "ada", "roles": "a b"}), json!({"sub": "ada", "roles": ["admin"]})),
            ("realm.roles", json!({"realm": {"id": 1}}), json!({"realm": {"id": 1, "roles": ["admin"]}})),
            ("https://a.b/roles", json!({"https://a.b/roles": []}), json!({"https://a.b/roles": ["admin"]})),
        ] {
            let changed = ada(before).with_roles(vec!["admin".to_owned()], &names(claim));
            assert_eq!(changed.claims, claims(after), "{claim}");
            assert_eq!(
                (changed.sub.as_deref(), changed.is_admin, changed.has_role("admin")),
                (Some("ada"), true, true)
            );
        }
        let none = ada(json!({"roles": ["admin"]})).with_roles(Vec::new(), &names("roles"));
        assert_eq!((none.is_admin, none.claims), (false, claims(json!({"roles": []}))));
    }
}
