//! Configurations for tests, as text: blocks that a test can replace one by one.

use std::{fmt, net::SocketAddr, path::Path};

use crate::gateway::{ADMIN_TOKEN, Launch};

/// One of the two regions of [`ConfigText::two_regions`].
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// The region's name.
    pub region: &'static str,
    /// Its zone.
    pub zone: &'static str,
    /// Where its simulated provider listens.
    pub provider: SocketAddr,
}

/// A configuration in blocks of YAML, each with its own top-level key.
#[derive(Clone, Debug)]
pub struct ConfigText {
    /// Listeners, folders, tokens: what every test needs alike.
    pub head: String,
    /// `regions:`
    pub regions: String,
    /// `upstreams:`
    pub upstreams: String,
    /// `models:`
    pub models: String,
    /// `teams:`
    pub teams: String,
    /// The text of `prices.yaml`.
    pub prices: String,
}

impl ConfigText {
    /// The key of project `search` of team `retail`, which has no limits and may use every model.
    pub const KEY: &str = "key-of-retail-search";
    /// The secret that the gateway shows to its upstreams.
    pub const UPSTREAM_KEY: &str = "credential-of-the-upstreams";

    /// Two regions, an OpenAI, an Azure and an Anthropic upstream in each, three models that
    /// prefer the first region, one team with one project and one key.
    pub fn two_regions(first: SocketAddr, second: SocketAddr) -> Self {
        let sides = [
            Side { region: "east", zone: "us", provider: first },
            Side { region: "west", zone: "us", provider: second },
        ];
        Self {
            head: head(),
            regions: list("regions", sides.iter().map(Side::region_line)),
            upstreams: list("upstreams", sides.iter().flat_map(Side::upstream_lines)),
            models: list(
                "models",
                [
                    model("gpt-5-mini", "openai"),
                    model("azure-gpt-5-mini", "azure"),
                    model("text-embedding-3-small", "openai"),
                    model("claude-sonnet-4-6", "anthropic"),
                ],
            ),
            teams: TEAMS.replace("KEY", Self::KEY),
            prices: PRICES.to_owned(),
        }
    }

    /// What to start with this configuration.
    pub fn launch(&self, binary: impl AsRef<Path>) -> Launch {
        Launch {
            binary: binary.as_ref().to_owned(),
            config: self.to_string(),
            files: vec![("prices.yaml".to_owned(), self.prices.clone())],
            environment: Vec::new(),
        }
    }
}

impl fmt::Display for ConfigText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for block in [&self.head, &self.regions, &self.upstreams, &self.models, &self.teams] {
            writeln!(out, "{}", block.trim_end())?;
        }
        Ok(())
    }
}

impl Side {
    fn region_line(&self) -> String {
        format!("{{ name: {}, zone: {} }}", self.region, self.zone)
    }

    fn upstream_lines(&self) -> [String; 3] {
        let Self { region, provider, .. } = self;
        [("openai", "openai", "/v1"), ("azure", "azure-openai", ""), ("anthropic", "anthropic", "")].map(
            |(name, dialect, path)| {
                format!(
                    "{{ name: {name}-{region}, dialect: {dialect}, region: {region}, \
                     base_url: \"http://{provider}{path}\", allow_private: true, credential: {} }}",
                    ConfigText::UPSTREAM_KEY
                )
            },
        )
    }
}

/// A model served by the upstreams of one kind, the first region before the second.
fn model(name: &str, kind: &str) -> String {
    let served = name.strip_prefix("azure-").unwrap_or(name);
    format!(
        "{{ name: {name}, targets: [{{ upstream: {kind}-east, model: {served}, priority: 1 }}, \
         {{ upstream: {kind}-west, model: {served}, priority: 2 }}] }}"
    )
}

fn list(key: &str, lines: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{key}:\n");
    for line in lines {
        text.push_str("  - ");
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn head() -> String {
    format!(
        "version: 1
organization: contoso
instance: gw-test
currency: USD
listen:
  data: {{ address: \"127.0.0.1:0\" }}
  admin: {{ address: \"127.0.0.1:0\" }}
data_dir: data
admin:
  tokens:
    - {{ name: tests, role: admin, token: {ADMIN_TOKEN} }}
prices: [ prices.yaml ]
# Other tests may keep this disk busy for seconds, which is not what they are about.
ledger: {{ journal: {{ slow_sync: 60s }} }}"
    )
}

const TEAMS: &str = "teams:
  - name: retail
    projects:
      - name: search
        models: [gpt-5-mini, azure-gpt-5-mini, text-embedding-3-small, claude-sonnet-4-6]
        keys:
          - { name: prod, secret: KEY }
";

const PRICES: &str = "prices:
  - { model: gpt-5-mini, from: 2020-01-01, currency: USD, per: 1000000, input: \"0.25\", cached_input: \"0.025\", output: \"2.00\" }
  - { model: text-embedding-3-small, from: 2020-01-01, currency: USD, per: 1000000, input: \"0.02\", output: \"0\" }
  - { model: claude-sonnet-4-6, from: 2020-01-01, currency: USD, per: 1000000, input: \"3\", cached_input: \"0.30\", cache_write_5m: \"3.75\", cache_write_1h: \"6\", output: \"15\" }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_names_an_upstream_that_stands_in_the_text() {
        let text = ConfigText::two_regions("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap())
            .to_string();
        let named: Vec<&str> =
            text.split("upstream: ").skip(1).filter_map(|rest| rest.split(',').next()).collect();
        assert_eq!(named.len(), 8);
        for upstream in named {
            assert!(text.contains(&format!("- {{ name: {upstream},")), "{upstream} in\n{text}");
        }
    }
}
