//! Secrets: long enough, no samples, no two alike, and none in the file itself. No message has one.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use tollgate_domain::Secret;

use crate::config::{problem::Path, tree::Value};

use super::{Check, MIN_SECRET_BYTES};

/// Parts of texts that stand in examples until somebody replaces them.
const SAMPLES: [&str; 9] = [
    "changeme",
    "change-me",
    "change_me",
    "replace-me",
    "replace_me",
    "replaceme",
    "placeholder",
    "your-api-key",
    "your_api_key",
];

const SAMPLE: &str = "this is a sample, not a secret: make one, for example with `openssl rand -hex 24`";

impl Check<'_> {
    pub(super) fn secrets(&mut self) {
        let file = self.file;
        let mut known = HashMap::new();
        for (index, token) in file.admin.tokens.iter().enumerate() {
            let here = Path::default().field("admin").field("tokens").index(index);
            self.name(here.field("name"), &token.name);
            self.own_secret(here.field("token"), &token.token.0, &mut known);
        }
        let tokens = Path::default().field("admin").field("tokens");
        self.unique(&tokens, "name", "token", file.admin.tokens.iter().map(|token| token.name.as_str()));
        for (index, upstream) in file.upstreams.iter().enumerate() {
            let Some(credential) = &upstream.credential else { continue };
            let here = Path::default().field("upstreams").index(index).field("credential");
            let Some(table) = credential.table() else {
                if let Some(secret) = credential.secret() {
                    self.upstream_secret(here, secret);
                }
                continue;
            };
            let secrets = [
                ("value", &table.value),
                ("secret_access_key", &table.secret_access_key),
                ("session_token", &table.session_token),
                ("client_secret", &table.client_secret),
            ];
            for (field, secret) in secrets {
                if let Some(secret) = secret {
                    self.upstream_secret(here.field(field), &secret.0);
                }
            }
        }
        let teams = Path::default().field("teams");
        for (team_index, team) in file.teams.iter().enumerate() {
            for (project_index, project) in team.projects.iter().enumerate() {
                let keys = teams.index(team_index).field("projects").index(project_index).field("keys");
                for (index, key) in project.keys.iter().enumerate() {
                    let here = keys.index(index);
                    if let Some(secret) = &key.secret {
                        self.own_secret(here.field("secret"), &secret.0, &mut known);
                    }
                    if let Some(sha256) = &key.sha256 {
                        self.digest(here.field("sha256"), &sha256.0, &mut known);
                    }
                }
            }
        }
    }

    /// A secret that callers present to us.
    fn own_secret(&mut self, path: Path, secret: &Secret, known: &mut HashMap<[u8; 32], Path>) {
        if let Some(path) = self.hard_to_guess(path, secret) {
            self.twice(path, Sha256::digest(secret.expose()).into(), known);
        }
    }

    /// A secret that we sign with; several receivers may share one.
    pub(super) fn signing_secret(&mut self, path: Path, secret: &Secret) {
        self.hard_to_guess(path, secret);
    }

    /// Gives the path back when there is nothing against the secret.
    fn hard_to_guess(&mut self, path: Path, secret: &Secret) -> Option<Path> {
        if secret.len() < MIN_SECRET_BYTES {
            let message =
                format!("a secret needs at least {MIN_SECRET_BYTES} bytes, this one has {}", secret.len());
            self.error(path, message);
            return None;
        }
        if is_sample(secret.expose()) {
            self.error(path, SAMPLE);
            return None;
        }
        self.literal(&path);
        Some(path)
    }

    fn upstream_secret(&mut self, path: Path, secret: &Secret) {
        if secret.is_empty() {
            self.error(path, "the credential is empty; leave it out for a server that asks for none");
        } else if is_sample(secret.expose()) {
            self.error(path, SAMPLE);
        } else if http::HeaderValue::from_str(secret.expose()).is_err() {
            self.error(path, "the credential has characters that cannot stand in a header: look for a line break or a space in it");
        } else {
            self.literal(&path);
        }
    }

    fn digest(&mut self, path: Path, sha256: &Secret, known: &mut HashMap<[u8; 32], Path>) {
        let mut digest = [0; 32];
        match hex::decode_to_slice(sha256.expose(), &mut digest) {
            Ok(()) => self.twice(path, digest, known),
            Err(_) => self.error(path, "expected the SHA-256 of a secret in 64 hexadecimal digits"),
        }
    }

    fn twice(&mut self, path: Path, digest: [u8; 32], known: &mut HashMap<[u8; 32], Path>) {
        match known.get(&digest) {
            Some(first) => {
                let message = format!(
                    "the same secret is given at {}: each needs one of its own",
                    self.tree.place_of(first)
                );
                self.error(path, message);
            }
            None => {
                known.insert(digest, path);
            }
        }
    }

    /// Warns of a secret that is no reference.
    pub(super) fn literal(&mut self, path: &Path) {
        let written = self.tree.find(path).map(|node| &node.value);
        if matches!(written, Some(Value::Text(text)) if !text.expanded) {
            self.warn(path.clone(), "this secret stands in the file: use ${env:NAME} or ${file:PATH}");
        }
    }
}

fn is_sample(secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    let one_character = lower.chars().next().is_some_and(|first| lower.chars().all(|c| c == first));
    one_character
        || (lower.starts_with('<') && lower.ends_with('>'))
        || SAMPLES.iter().any(|sample| lower.contains(sample))
}
