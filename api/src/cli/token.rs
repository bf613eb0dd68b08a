//! `tandem token`.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::{Map, Value};

use crate::app::BadInput;
use crate::auth::{AuthSettings, KeyError, KeySource, NewToken, Secret, issue, local_secret};
use crate::config::{DataSettings, duration};

/// Make a token that the server accepts
#[derive(Debug, Args)]
pub struct Token {
    /// Whose token it is
    #[arg(long, value_name = "SUBJECT")]
    sub: String,

    /// A role; may be given several times
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    /// Another claim; may be given several times. The value is JSON if it can be read as such, else a string
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,

    /// How long it is valid
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    ttl: Duration,

    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    auth: AuthSettings,
}

impl Token {
    /// Prints it.
    pub fn run(self) -> anyhow::Result<()> {
        super::print(&format!("{}\n", self.make()?))
    }

    fn make(self) -> anyhow::Result<String> {
        let secret = match self.auth.key_source()? {
            Some(KeySource::Secret(secret)) => secret,
            None => own_secret(&self.data.local_secret_path())?,
            Some(KeySource::Local(path)) => own_secret(&path)?,
            Some(KeySource::PublicKey(_) | KeySource::Jwks(_)) => {
                let reason = "tokens are made with a secret; a public key can only verify those that its issuer makes";
                return Err(BadInput(reason.to_owned()).into());
            }
        };
        let token = NewToken {
            sub: self.sub,
            roles: self.roles,
            claims: self.claims.into_iter().collect::<Map<_, _>>(),
            ttl: self.ttl,
        };
        issue(&secret, &self.auth, &token).context("the token could not be signed")
    }
}

/// The secret of the data directory. That it was made only now is told, since a server elsewhere has another one.
fn own_secret(path: &Path) -> Result<Secret, KeyError> {
    let is_there = path.exists();
    let secret = local_secret(path)?;
    if !is_there {
        let shown = path.display();
        let _ = writeln!(
            io::stderr(),
            "note: there was no secret yet, so {shown} was made; only a server with this data directory accepts the token"
        );
    }
    Ok(secret)
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    match name {
        "" => Err("expected NAME=VALUE".to_owned()),
        "sub" | "exp" | "iat" => Err(format!("the claim {name} has a flag of its own or is set by the server")),
        _ => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
            Ok((name.to_owned(), value))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use http::HeaderMap;
    use serde_json::json;

    use super::*;
    use crate::auth::Authenticator;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        token: Token,
    }

    #[test]
    fn claims() {
        let cases = [
            ("tenant=acme", json!("acme")),
            ("tenant=7", json!(7)),
            ("tenant=\"7\"", json!("7")),
            ("tenant=[\"a\"]", json!(["a"])),
            ("tenant=a=b", json!("a=b")),
            ("tenant=", json!("")),
        ];
        for (text, value) in cases {
            assert_eq!(claim(text), Ok(("tenant".to_owned(), value)), "{text}");
        }
        for text in ["tenant", "=x", "sub=x", "exp=1"] {
            assert!(claim(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn the_server_of_the_same_data_directory_accepts_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let flags = ["tandem", "--sub", "ada", "--role", "support", "--role", "admin", "--claim", "tenant=7"];
        let line = Line::parse_from([&flags[..], &["--data-dir", path]].concat()).token;
        let (settings, source) = (line.auth.clone(), KeySource::Local(line.data.local_secret_path()));
        let text = line.make().unwrap();
        let authenticator = Authenticator::open(&settings, &source).await.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {text}").parse().unwrap());
        let principal = authenticator.authenticate(&headers).await.unwrap();
        assert_eq!((principal.sub.as_deref(), principal.is_admin), (Some("ada"), true));
        assert_eq!(principal.claim("tenant"), Some(&json!(7)));
    }
}
