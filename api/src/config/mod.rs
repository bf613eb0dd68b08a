//! Settings: one struct per concern. Each setting is a flag and an environment variable; the flag wins.
//!
//! A value is checked when it is parsed, and what several settings must fulfil together is checked by
//! [`Settings::key_source`]. Errors name the flag and the variable. Secrets appear in no error and no `Debug`.

mod retention;
mod signing;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::auth::{AuthSettings, KeySource, Secret, SettingsError};
use crate::store::tables::Allowed;
use crate::store::writer;
use crate::webhook::egress::AllowList;
use crate::webhook::retry::Schedule;

pub use retention::RetentionSettings;
pub use signing::SigningSettings;
pub use values::duration;
use values::{listen_address, origin, positive_duration, size_bytes, size_bytes_or_none};

/// What several settings must fulfil together, and do not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No key, and the server can be reached from elsewhere.
    #[error(
        "--listen {0} can be reached from other machines, so the key of its tokens must be given: --jwt-secret \
         (TANDEM_JWT_SECRET), --jwt-public-key (TANDEM_JWT_PUBLIC_KEY) or --jwks (TANDEM_JWKS)"
    )]
    KeyRequired(SocketAddr),
    /// No key for the secrets in a database that others share, and a data directory that may be another one next time.
    #[error(
        "--listen {0} can be reached from other machines and the database is PostgreSQL, so the key that secrets in it are \
         encrypted with must be given, the same to all servers of this database: --encryption-key (TANDEM_ENCRYPTION_KEY), \
         32 bytes in base64; `openssl rand -base64 32` makes one"
    )]
    EncryptionKeyRequired(SocketAddr),
    /// The settings of tokens do not go together.
    #[error(transparent)]
    Auth(#[from] SettingsError),
}

/// All settings of `tandem serve`.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Where it listens and how it stops.
    #[command(flatten)]
    pub server: ServerSettings,
    /// The resource file.
    #[command(flatten)]
    pub resources: ResourceSettings,
    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// How the tables follow the resource file.
    #[command(flatten)]
    pub tables: TableSettings,
    /// How it writes.
    #[command(flatten)]
    pub writer: WriterSettings,
    /// Tokens.
    #[command(flatten)]
    pub auth: AuthSettings,
    /// GraphQL over HTTP.
    #[command(flatten)]
    pub http: HttpSettings,
    /// Live push.
    #[command(flatten)]
    pub live: LiveSettings,
    /// Durable push.
    #[command(flatten)]
    pub webhook: WebhookSettings,
    /// What is kept for how long.
    #[command(flatten)]
    pub retention: RetentionSettings,
    /// What webhooks are signed with, and who receivers know them by.
    #[command(flatten)]
    pub signing: SigningSettings,
    /// Logs.
    #[command(flatten)]
    pub log: LogSettings,
}

impl Settings {
    /// Where the keys of tokens come from. On loopback, without any given: the secret of the data directory.
    pub fn key_source(&self) -> Result<KeySource, Error> {
        match self.auth.key_source()? {
            Some(source) => Ok(source),
            None if self.server.is_loopback() => Ok(KeySource::Local(self.database.data.local_secret_path())),
            None => Err(Error::KeyRequired(self.server.listen)),
        }
    }

    /// The ranges that webhooks may reach besides public addresses.
    pub fn webhook_allow(&self) -> AllowList {
        match &self.webhook.allow {
            Some(ranges) => ranges.clone(),
            None if self.server.is_loopback() => AllowList::loopback(),
            None => AllowList::none(),
        }
    }
}

/// Where it listens and how it stops.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerSettings {
    /// Address and port to listen on
    #[arg(long, env = "TANDEM_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080",
          value_parser = listen_address)]
    pub listen: SocketAddr,

    /// Over how long the open sockets are closed when the server stops, so that not all come back at once
    #[arg(long, env = "TANDEM_DRAIN_WINDOW", value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub drain_window: Duration,

    /// How long the server may take to stop, in all, before it drops what is left
    #[arg(long, env = "TANDEM_SHUTDOWN_TIMEOUT", value_name = "DURATION", default_value = "25s",
          value_parser = positive_duration)]
    pub shutdown_timeout: Duration,
}

impl ServerSettings {
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.listen.ip().is_loopback()
    }
}

/// The resource file.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Resources and data")]
pub struct ResourceSettings {
    /// The file that declares the resources
    #[arg(long, env = "TANDEM_RESOURCES", value_name = "FILE", default_value = "resources.graphql")]
    pub resources: PathBuf,
}

/// The data directory.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Resources and data")]
pub struct DataSettings {
    /// Directory of the embedded database and of the secrets made at first start
    #[arg(long, env = "TANDEM_DATA_DIR", value_name = "DIRECTORY", default_value = "tandem-data")]
    pub data_dir: PathBuf,
}

impl DataSettings {
    /// The file of the secret that is made at first start on loopback.
    pub fn local_secret_path(&self) -> PathBuf {
        self.data_dir.join("jwt-secret")
    }

    /// The file of the key that secrets in the database are encrypted with, made at first start.
    pub fn encryption_key_path(&self) -> PathBuf {
        self.data_dir.join("encryption-key")
    }
}

const DATABASE_URL_HELP: &str =
    "sqlite://<file> or postgres://<user>:<password>@<host>/<database> [default: sqlite://<data-dir>/tandem.db]";

/// Where the data is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Resources and data")]
pub struct DatabaseSettings {
    /// The data directory.
    #[command(flatten)]
    pub data: DataSettings,

    /// The database, as a URL; without one, the file `tandem.db` in the data directory.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", help = DATABASE_URL_HELP)]
    pub database_url: Option<Secret>,
}

impl DatabaseSettings {
    /// The database URL, with its password.
    pub fn url(&self) -> Secret {
        let default = || Secret::new(format!("sqlite://{}", self.data.data_dir.join("tandem.db").display()));
        self.database_url.clone().filter(|url| !url.expose().is_empty()).unwrap_or_else(default)
    }

    /// The database URL as it may be shown: without password and parameters.
    pub fn shown_url(&self) -> String {
        let url = self.url();
        let text = url.expose().split('?').next().unwrap_or_default();
        let Some((scheme, rest)) = text.split_once("://") else { return "[redacted]".to_owned() };
        match rest.rsplit_once('@') {
            Some((user, place)) => format!("{scheme}://{}@{place}", user.split(':').next().unwrap_or_default()),
            None => text.to_owned(),
        }
    }
}

/// How the tables follow the resource file.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Resources and data")]
pub struct TableSettings {
    /// Steps to allow although they lose data, by the names that `tandem migrate --plan` prints, separated by commas
    #[arg(long = "allow", env = "TANDEM_ALLOW", value_name = "STEPS")]
    pub allowed_steps: Vec<Allowed>,
}

impl TableSettings {
    /// As the planner takes them.
    pub fn allowed(&self) -> Allowed {
        Allowed::all(self.allowed_steps.iter().cloned())
    }
}

/// How it writes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Resources and data")]
pub struct WriterSettings {
    /// Most mutations that are committed together
    #[arg(long, env = "TANDEM_WRITER_MAX_BATCH", value_name = "COUNT", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub writer_max_batch: u16,

    /// Most mutations that may wait to be written; more are refused with RATE_LIMITED
    #[arg(long, env = "TANDEM_WRITER_QUEUE_LENGTH", value_name = "COUNT", default_value_t = 1024,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub writer_queue_length: u16,
}

impl WriterSettings {
    /// As the writer takes them.
    pub fn options(&self) -> writer::Settings {
        writer::Settings { max_batch: self.writer_max_batch.into(), queue_length: self.writer_queue_length.into() }
    }
}

/// GraphQL over HTTP.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpSettings {
    /// Origins of web pages that may call the API, separated by commas; * for all [default: same origin only]
    #[arg(long, env = "TANDEM_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = origin)]
    pub cors_origin: Vec<String>,

    /// Largest request body
    #[arg(long, env = "TANDEM_MAX_BODY_BYTES", value_name = "BYTES", default_value = "1MiB",
          value_parser = size_bytes)]
    pub max_body_bytes: usize,

    /// How long one query or mutation may take, over whatever transport, and a subscription until it starts
    #[arg(long, env = "TANDEM_REQUEST_TIMEOUT", value_name = "DURATION", default_value = "30s",
          value_parser = positive_duration)]
    pub request_timeout: Duration,

    /// Most requests in one body, which is then a JSON array; 1 takes no arrays
    #[arg(long, env = "TANDEM_MAX_BATCH", value_name = "COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=100))]
    pub max_batch: u8,

    /// Memory for the documents of automatic persisted queries; 0 turns them off
    #[arg(long, env = "TANDEM_PERSISTED_QUERIES_BYTES", value_name = "BYTES", default_value = "4MiB",
          value_parser = size_bytes_or_none)]
    pub persisted_queries_bytes: usize,

    /// Let responses say in extensions.debug how many SQL statements they took, and how the arguments of their root
    /// fields were read
    #[arg(long, env = "TANDEM_DEBUG_EXTENSIONS")]
    pub debug_extensions: bool,
}

/// Live push, over every transport.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Live push")]
pub struct LiveSettings {
    /// Time between two signs of life to an idle client; a socket that answers none of two is dropped
    #[arg(long, env = "TANDEM_LIVE_KEEPALIVE", value_name = "DURATION", default_value = "20s",
          value_parser = positive_duration)]
    pub live_keepalive: Duration,

    /// How long a write to a client may stand still before it is given up as too slow
    #[arg(long, env = "TANDEM_LIVE_WRITE_TIMEOUT", value_name = "DURATION", default_value = "15s",
          value_parser = positive_duration)]
    pub live_write_timeout: Duration,

    /// Operations that one connection may have at a time
    #[arg(long, env = "TANDEM_LIVE_MAX_OPERATIONS", value_name = "COUNT", default_value = "100",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub live_max_operations: u32,

    /// Sockets and streams at a time
    #[arg(long, env = "TANDEM_LIVE_MAX_CONNECTIONS", value_name = "COUNT", default_value = "20000",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub live_max_connections: u32,

    /// Sockets and streams that the tokens of one subject may have at a time; anonymous callers are not counted
    #[arg(long, env = "TANDEM_LIVE_MAX_CONNECTIONS_PER_PRINCIPAL", value_name = "COUNT", default_value = "1000",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub live_max_connections_per_principal: u32,

    /// How long a new socket may wait before its connection_init
    #[arg(long, env = "TANDEM_WS_INIT_TIMEOUT", value_name = "DURATION", default_value = "10s",
          value_parser = positive_duration)]
    pub ws_init_timeout: Duration,

    /// Largest message that a client may send over a socket
    #[arg(long, env = "TANDEM_WS_MAX_MESSAGE_BYTES", value_name = "BYTES", default_value = "1MiB",
          value_parser = size_bytes)]
    pub ws_max_message_bytes: usize,

    /// How long a reservation of a stream waits for its connection
    #[arg(long, env = "TANDEM_SSE_RESERVATION_TIMEOUT", value_name = "DURATION", default_value = "10s",
          value_parser = positive_duration)]
    pub sse_reservation_timeout: Duration,

    /// Reservations that may wait at a time
    #[arg(long, env = "TANDEM_SSE_MAX_RESERVATIONS", value_name = "COUNT", default_value = "1000",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub sse_max_reservations: u32,
}

/// Durable push.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Webhooks")]
pub struct WebhookSettings {
    /// Address ranges that webhooks may reach besides public ones, separated by commas; or none [default: loopback if
    /// listening on loopback, else none]
    #[arg(long = "webhook-allow", env = "TANDEM_WEBHOOK_ALLOW", value_name = "RANGES")]
    pub allow: Option<AllowList>,

    /// When the attempts of a delivery are made, each counted from the end of the one before
    #[arg(long = "webhook-retry-schedule", env = "TANDEM_WEBHOOK_RETRY_SCHEDULE", value_name = "DURATIONS",
          default_value_t = Schedule::default())]
    pub retry_schedule: Schedule,

    /// How long one attempt may take, from the resolving of the name to the end of the answer
    #[arg(long = "webhook-timeout", env = "TANDEM_WEBHOOK_TIMEOUT", value_name = "DURATION", default_value = "15s",
          value_parser = positive_duration)]
    pub timeout: Duration,
}

/// Logs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogSettings {
    /// Form of the log lines, which go to standard error
    #[arg(long, env = "TANDEM_LOG_FORMAT", value_name = "FORMAT", default_value = "text", value_enum)]
    pub log_format: LogFormat,

    /// error, warn, info, debug; or per module, such as info,tandem::webhook=debug
    #[arg(long, env = "TANDEM_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Settings as these flags give them.
#[cfg(test)]
pub(crate) fn settings(flags: &[&str]) -> Settings {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }
    let line: Result<Line, _> = clap::Parser::try_parse_from([&["tandem"], flags].concat());
    line.unwrap_or_else(|error| panic!("{error}")).settings
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_key_is_required_unless_on_loopback() {
        let everywhere = "0.0.0.0:8080";
        let cases: [(&[&str], Result<KeySource, Error>); 7] = [
            (&[], Ok(KeySource::Local("tandem-data/jwt-secret".into()))),
            (&["--listen", "[::1]:1", "--data-dir", "d"], Ok(KeySource::Local("d/jwt-secret".into()))),
            (&["--listen", everywhere], Err(Error::KeyRequired(everywhere.parse().unwrap()))),
            (&["--listen", everywhere, "--jwt-secret", SECRET], Ok(KeySource::Secret(Secret::new(SECRET)))),
            (&["--jwt-secret", "short"], Err(SettingsError::ShortSecret(5).into())),
            (&["--jwt-secret", SECRET, "--jwks", "keys.json"], Err(SettingsError::SeveralKeys.into())),
            (&["--jwt-secret", "", "--jwks", "keys.json"], Ok(KeySource::Jwks("keys.json".to_owned()))),
        ];
        for (flags, expected) in cases {
            assert_eq!(settings(flags).key_source(), expected, "{flags:?}");
        }
    }

    #[test]
    fn webhooks_reach_loopback_only_from_loopback() {
        assert_eq!(settings(&[]).webhook_allow(), AllowList::loopback());
        assert_eq!(settings(&["--listen", "0.0.0.0:1"]).webhook_allow().to_string(), "none");
        assert_eq!(settings(&["--webhook-allow", "none"]).webhook_allow().to_string(), "none");
        assert_eq!(settings(&["--webhook-allow", "10.0.0.0/8"]).webhook_allow().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn the_password_of_the_database_is_not_shown() {
        let cases = [
            ("postgres://me:secret@db.example.com/shop?sslmode=require", "postgres://me@db.example.com/shop"),
            ("postgres://me:p@ss@db/shop", "postgres://me@db/shop"),
            ("postgres://db/shop", "postgres://db/shop"),
            ("", "sqlite://tandem-data/tandem.db"),
            ("nonsense", "[redacted]"),
        ];
        for (url, shown) in cases {
            let settings = settings(&["--database-url", url]);
            assert_eq!(settings.database.shown_url(), shown);
            assert!(!format!("{settings:?}").contains("secret@"));
        }
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let settings = settings(&["--cors-origin", "https://a.example,https://b.example", "--jwt-issuer", "a,b"]);
        assert_eq!(settings.http.cors_origin, ["https://a.example", "https://b.example"]);
        assert_eq!(settings.auth.jwt_issuer, ["a", "b"]);
        assert_eq!(settings.webhook.retry_schedule.attempts(), 10);
    }
}
