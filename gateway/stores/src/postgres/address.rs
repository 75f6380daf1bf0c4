//! Where a server is and how to get in, from one URL.
//!
//! Nothing here, no error and no debug output, shows a part of the URL that could be its password.

use std::{fmt, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;
use tokio_postgres::config::SslMode;
use url::{Host, Url};

/// How long it may take until a server has let us in.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection on which nothing moves for so long is asked whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Bytes that a peer does not acknowledge for so long end the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// A PostgreSQL server, a database of it, and the right to use it.
#[derive(Clone)]
pub struct ServerUrl {
    pub(super) config: Box<tokio_postgres::Config>,
    pub(super) encryption: Encryption,
    shown: String,
}

/// What travels between us and the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Encryption {
    /// Clear text.
    No,
    /// TLS with a server whose certificate was checked.
    Verified {
        /// Certificates of those who may vouch for it, in PEM; none: the system's.
        roots: Option<PathBuf>,
    },
}

/// A text that is no address of a PostgreSQL server.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL, or not one of this kind.
    #[error(
        "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE; special characters in a part are written as %XX"
    )]
    Malformed,
    /// Without a user there is no right.
    #[error("the URL names no user")]
    NoUser,
    /// Without a database there is no place.
    #[error("the URL names no database")]
    NoDatabase,
    /// The value of `sslmode`.
    #[error(
        "sslmode is one of: disable, require, verify-full; the latter two check the server's certificate"
    )]
    SslMode,
    /// A part after `?`.
    #[error("what may follow the `?` is: host, user, sslmode, sslrootcert, application_name")]
    Parameter,
}

impl ServerUrl {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    ///
    /// Parameters: `sslmode` (`disable`; `require` and `verify-full`, which both check the server's
    /// certificate and name; default: `disable` on this machine, else `require`), `sslrootcert` (a PEM
    /// file of authorities; default: the system's), `application_name`, and for a unix socket `host`, its
    /// folder, with `user`: `postgres:///DATABASE?host=/run/postgresql&user=USER`.
    ///
    /// # Errors
    /// It is no such URL. The error does not show it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text).map_err(|_| UrlError::Malformed)?;
        if !matches!(url.scheme(), "postgres" | "postgresql")
            || url.cannot_be_a_base()
            || url.fragment().is_some()
        {
            return Err(UrlError::Malformed);
        }
        let parameters = Parameters::read(&url)?;
        let user = match parameters.user {
            Some(user) if url.username().is_empty() => user,
            Some(_) => return Err(UrlError::Parameter),
            None => decoded(url.username())?,
        };
        if user.is_empty() {
            return Err(UrlError::NoUser);
        }
        let database = decoded(url.path().trim_start_matches('/'))?;
        if database.is_empty() || database.contains('/') {
            return Err(UrlError::NoDatabase);
        }
        let place = Place::of(&url, parameters.host)?;
        let encryption = match parameters.sslmode.as_deref() {
            Some("disable") => Encryption::No,
            Some("require" | "verify-full") => Encryption::Verified { roots: parameters.roots },
            Some(_) => return Err(UrlError::SslMode),
            None if place.is_here() => Encryption::No,
            None => Encryption::Verified { roots: parameters.roots },
        };
        let port = url.port().unwrap_or(5432);
        let mut config = tokio_postgres::Config::new();
        config
            .user(user)
            .dbname(&database)
            .port(port)
            .application_name(parameters.application.unwrap_or_else(|| "tollgate".to_owned()))
            .ssl_mode(if encryption == Encryption::No { SslMode::Disable } else { SslMode::Require })
            .connect_timeout(CONNECT)
            .keepalives_idle(KEEPALIVE)
            .tcp_user_timeout(UNACKNOWLEDGED);
        if let Some(password) = url.password() {
            config.password(decoded(password)?);
        }
        let shown = match &place {
            Place::Host(name) => format!("{name}:{port}/{database}"),
            Place::Folder(folder) => format!("{}/{database}", folder.display()),
        };
        match place {
            Place::Host(name) => config.host(name),
            Place::Folder(folder) => config.host_path(folder),
        };
        Ok(Self { config: Box::new(config), encryption, shown })
    }
}

impl fmt::Display for ServerUrl {
    /// Host, port and database.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({})", self.shown)
    }
}

/// Where the server listens.
enum Place {
    Host(String),
    /// The folder of its unix socket.
    Folder(PathBuf),
}

impl Place {
    fn of(url: &Url, parameter: Option<String>) -> Result<Self, UrlError> {
        let host = match (url.host(), parameter) {
            (None | Some(Host::Domain("")), None) => return Err(UrlError::Malformed),
            (None | Some(Host::Domain("")), Some(host)) => host,
            (Some(_), Some(_)) => return Err(UrlError::Parameter),
            (Some(Host::Domain(name)), None) => decoded(name)?,
            (Some(Host::Ipv4(address)), None) => address.to_string(),
            (Some(Host::Ipv6(address)), None) => address.to_string(),
        };
        Ok(if host.starts_with('/') { Self::Folder(host.into()) } else { Self::Host(host) })
    }

    /// True when nothing leaves this machine on the way.
    fn is_here(&self) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::Host(name) => {
                name == "localhost"
                    || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

/// What may follow the `?`.
#[derive(Default)]
struct Parameters {
    sslmode: Option<String>,
    roots: Option<PathBuf>,
    host: Option<String>,
    user: Option<String>,
    application: Option<String>,
}

impl Parameters {
    fn read(url: &Url) -> Result<Self, UrlError> {
        let mut read = Self::default();
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            match &*name {
                "sslmode" => read.sslmode = Some(value),
                "sslrootcert" => read.roots = Some(value.into()),
                "host" => read.host = Some(value),
                "user" => read.user = Some(value),
                "application_name" => read.application = Some(value),
                // Not told which one: what stands here may be the rest of a password with a `?`.
                _ => return Err(UrlError::Parameter),
            }
        }
        Ok(read)
    }
}

fn decoded(part: &str) -> Result<String, UrlError> {
    let text = percent_decode_str(part).decode_utf8().map_err(|_| UrlError::Malformed)?;
    // The protocol ends its texts with this byte.
    if text.contains('\0') { Err(UrlError::Malformed) } else { Ok(text.into_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_this_machine_is_spoken_to_in_clear_text_and_others_are_verified() {
        let verified = |roots: Option<&str>| Encryption::Verified { roots: roots.map(PathBuf::from) };
        let cases = [
            ("postgres://u:p@127.0.0.1:5433/ledger", "127.0.0.1:5433/ledger", Encryption::No),
            ("postgresql://u@localhost/ledger", "localhost:5432/ledger", Encryption::No),
            ("postgres://u@[::1]/l", "::1:5432/l", Encryption::No),
            ("postgres:///l?host=/run/postgresql&user=u", "/run/postgresql/l", Encryption::No),
            ("postgres://u@%2Frun%2Fpostgresql/l", "/run/postgresql/l", Encryption::No),
            ("postgres://u:p@db.example/l", "db.example:5432/l", verified(None)),
            ("postgres://u:p@db.example/l?sslmode=disable", "db.example:5432/l", Encryption::No),
            (
                "postgres://u:p@127.0.0.1/l?sslmode=verify-full&sslrootcert=/etc/ca.pem",
                "127.0.0.1:5432/l",
                verified(Some("/etc/ca.pem")),
            ),
        ];
        for (text, shown, encryption) in cases {
            let url = ServerUrl::parse(text).expect(text);
            assert_eq!((url.to_string().as_str(), &url.encryption), (shown, &encryption), "{text}");
        }
    }

    #[test]
    fn parts_are_decoded() {
        let url = ServerUrl::parse("postgres://us%40er:p%3A%2F%3F@h/led%20ger").expect("a URL");
        assert_eq!(url.config.get_user(), Some("us@er"));
        assert_eq!(url.config.get_password(), Some(&b"p:/?"[..]));
        assert_eq!(url.config.get_dbname(), Some("led ger"));
    }

    #[test]
    fn what_is_no_url_is_refused_without_showing_it() {
        let cases = [
            ("host=h password=s3cret dbname=l", UrlError::Malformed),
            ("mysql://u:s3cret@h/l", UrlError::Malformed),
            ("postgres://u:s3cret@/l", UrlError::Malformed),
            ("postgres://u:s3cret@h:port/l", UrlError::Malformed),
            ("postgres://h/l", UrlError::NoUser),
            ("postgres://u:s3cret@h", UrlError::NoDatabase),
            ("postgres://u:s3cret@h/l?sslmode=prefer", UrlError::SslMode),
            ("postgres://u:pass?s3cret@h/l", UrlError::Malformed),
            ("postgres://u@h/l?s3cret=1", UrlError::Parameter),
            ("postgres://u@h/l?host=/tmp", UrlError::Parameter),
            ("postgres://u@h/l?user=s3cret", UrlError::Parameter),
        ];
        for (text, error) in cases {
            let found = ServerUrl::parse(text).expect_err(text);
            assert_eq!(found, error, "{text}");
            assert!(!format!("{found} {found:?}").contains("s3cret"), "{text}");
        }
        let url = ServerUrl::parse("postgres://u:s3cret@h/l").expect("a URL");
        assert!(!format!("{url} {url:?} {:?}", url.config).contains("s3cret"));
    }
}
