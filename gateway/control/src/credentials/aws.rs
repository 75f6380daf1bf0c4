//! Keys of AWS: from the shared file, from the container's or the machine's endpoint, or for a web
//! identity.
//!
//! Sources: AWS SDKs and Tools Reference Guide ("Credential providers"), EC2 User Guide ("Use IMDSv2"),
//! STS API Reference (`AssumeRoleWithWebIdentity`).

use std::path::PathBuf;

use serde_json::Value;
use tollgate_domain::{Secret, UnixMillis};
use tollgate_sigv4::KeyPair;

use super::{
    Fresh, FreshKind, Trouble,
    desk::{Desk, between, text},
    read, token_file,
};

/// Where the machine's endpoint lists the roles that it has keys for.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// How long a session with the machine's endpoint may be used: one conversation is enough.
const SESSION_SECONDS: &str = "60";

/// How a key of AWS is had.
pub enum AwsWay {
    /// A section of the shared credentials file.
    Profile {
        /// The file.
        file: PathBuf,
        /// The section.
        profile: String,
    },
    /// The endpoint that a container is given.
    Container {
        /// Its address.
        desk: Desk,
        /// What it wants to be shown.
        shown: Shown,
    },
    /// The machine's metadata endpoint, in its second version; the first is never asked.
    Instance(Desk),
    /// A role, for a token that names who we are.
    WebIdentity {
        /// The token service.
        desk: Desk,
        /// The role.
        role_arn: String,
        /// How the session is called in AWS's logs.
        session_name: String,
        /// Where the token is.
        token_file: PathBuf,
    },
}

/// What a container's endpoint wants to be shown.
pub enum Shown {
    /// Nothing.
    Nothing,
    /// A token.
    Token(Secret),
    /// What a file holds at the time.
    File(PathBuf),
}

impl AwsWay {
    pub(super) async fn fetch(&self) -> Result<Fresh, Trouble> {
        match self {
            Self::Profile { file, profile } => from_profile(file, profile),
            Self::Container { desk, shown } => from_container(desk, shown).await,
            Self::Instance(desk) => from_instance(desk).await,
            Self::WebIdentity { desk, role_arn, session_name, token_file: path } => {
                let token = token_file(path)?;
                let form = [
                    ("Action", "AssumeRoleWithWebIdentity"),
                    ("Version", "2011-06-15"),
                    ("RoleArn", role_arn),
                    ("RoleSessionName", session_name),
                    ("WebIdentityToken", token.expose()),
                ];
                let answer = desk.post(&form).await?;
                from_sts(&answer).ok_or_else(|| no_keys(desk.place()))
            }
        }
    }
}

fn no_keys(place: String) -> Trouble {
    Trouble::Unreadable { place, what: "no access key" }
}

fn from_profile(file: &std::path::Path, profile: &str) -> Result<Fresh, Trouble> {
    let content = read(file)?;
    let value = |name: &str| {
        section(content.expose(), profile).find_map(|(key, value)| {
            (key == name && !value.is_empty()).then(|| Secret::new(value.to_owned()))
        })
    };
    let keys = || {
        Some(KeyPair {
            access_key_id: value("aws_access_key_id")?.expose().into(),
            secret_access_key: value("aws_secret_access_key")?,
            session_token: value("aws_session_token"),
        })
    };
    let keys = keys().ok_or_else(|| no_keys(format!("[{profile}] of {}", file.display())))?;
    Ok(Fresh { what: FreshKind::Keys(keys), expires: None })
}

/// The settings of one section of a file of `name = value` lines.
fn section<'a>(content: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut inside = false;
    content.lines().map(str::trim).filter_map(move |line| {
        if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            inside = title.0.trim() == name;
            return None;
        }
        if !inside || line.starts_with(['#', ';']) {
            return None;
        }
        line.split_once('=').map(|(key, value)| (key.trim(), value.trim()))
    })
}

async fn from_container(desk: &Desk, shown: &Shown) -> Result<Fresh, Trouble> {
    let token = match shown {
        Shown::Nothing => None,
        Shown::Token(token) => Some(token.clone()),
        Shown::File(path) => Some(token_file(path)?),
    };
    let header = token.as_ref().map(|token| ("authorization", token.expose()));
    let answer = desk.get(header.as_slice()).await?;
    from_json(&answer).ok_or_else(|| no_keys(desk.place()))
}

async fn from_instance(desk: &Desk) -> Result<Fresh, Trouble> {
    let unreadable = |what| Trouble::Unreadable { place: desk.place(), what };
    let begin = desk.at("/latest/api/token");
    let session = begin.put(&[("x-aws-ec2-metadata-token-ttl-seconds", SESSION_SECONDS)]).await?;
    let session = std::str::from_utf8(&session).map_err(|_| unreadable("no session token"))?.trim();
    let shown = [("x-aws-ec2-metadata-token", session)];
    let roles = desk.at(ROLES).get(&shown).await?;
    let role = std::str::from_utf8(&roles).ok().and_then(|roles| roles.lines().next()).map(str::trim);
    // A name of a role is one segment of a path; anything else would ask for something else.
    let is_name = |role: &&str| {
        !role.is_empty()
            && role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
    };
    let role = role.filter(is_name).ok_or_else(|| unreadable("no role"))?;
    let answer = desk.at(format!("{ROLES}{role}")).get(&shown).await?;
    from_json(&answer).ok_or_else(|| no_keys(desk.place()))
}

/// The keys in an answer of a container's or machine's endpoint.
fn from_json(answer: &[u8]) -> Option<Fresh> {
    let json: Value = serde_json::from_slice(answer).ok()?;
    let keys = KeyPair {
        access_key_id: text(&json, "AccessKeyId")?.expose().into(),
        secret_access_key: text(&json, "SecretAccessKey")?,
        session_token: Some(text(&json, "Token")?),
    };
    let expires = instant(json.get("Expiration")?.as_str()?)?;
    Some(Fresh { what: FreshKind::Keys(keys), expires: Some(expires) })
}

/// The keys in an answer of the token service.
fn from_sts(answer: &[u8]) -> Option<Fresh> {
    let text = std::str::from_utf8(answer).ok()?;
    let credentials = between(text, "<Credentials>", "</Credentials>")?;
    let value = |name: &str| {
        let value = between(credentials, &format!("<{name}>"), &format!("</{name}>"))?.trim();
        (!value.is_empty()).then(|| Secret::new(value.to_owned()))
    };
    let keys = KeyPair {
        access_key_id: value("AccessKeyId")?.expose().into(),
        secret_access_key: value("SecretAccessKey")?,
        session_token: Some(value("SessionToken")?),
    };
    let expires = instant(value("Expiration")?.expose())?;
    Some(Fresh { what: FreshKind::Keys(keys), expires: Some(expires) })
}

fn instant(text: &str) -> Option<UnixMillis> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(UnixMillis::new(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_from_its_own_section() {
        let content = "# c\n[default]\naws_access_key_id = A\naws_secret_access_key=B=\n\n[ other ]\n; d\naws_access_key_id=C\n";
        let of = |name| section(content, name).collect::<Vec<_>>();
        assert_eq!(of("default"), [("aws_access_key_id", "A"), ("aws_secret_access_key", "B=")]);
        assert_eq!(of("other"), [("aws_access_key_id", "C")]);
        assert_eq!(of("none"), []);
    }

    #[test]
    fn answers_without_a_part_are_no_keys() {
        let whole =
            r#"{"AccessKeyId":"A","SecretAccessKey":"B","Token":"C","Expiration":"2026-01-02T03:04:05Z"}"#;
        let fresh = from_json(whole.as_bytes()).expect("whole");
        assert_eq!(fresh.expires.map(UnixMillis::get), Some(1_767_323_045_000));
        for part in ["AccessKeyId", "SecretAccessKey", "Token", "Expiration", "2026-01-02T"] {
            assert!(from_json(whole.replace(part, "x").as_bytes()).is_none(), "{part}");
        }
        let whole = "<R><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>B</SecretAccessKey><SessionToken>C</SessionToken><Expiration>2026-01-02T03:04:05Z</Expiration></Credentials></R>";
        assert!(from_sts(whole.as_bytes()).is_some());
        for part in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Credentials"] {
            assert!(from_sts(whole.replace(part, "x").as_bytes()).is_none(), "{part}");
        }
    }
}
