//! Webhooks: addresses, secrets, and what is sent to them.

use std::time::Duration;

use url::Url;

use crate::config::{file::Webhook, problem::Path};

use super::{Check, upstreams::nearness};

/// An attempt may take so long.
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

impl Check<'_> {
    pub(super) fn alerts(&mut self) {
        let file = self.file;
        let webhooks = Path::default().field("alerts").field("webhooks");
        let names = file.alerts.webhooks.iter().map(|webhook| webhook.name.as_str());
        self.unique(&webhooks, "name", "webhook", names);
        for (index, webhook) in file.alerts.webhooks.iter().enumerate() {
            let here = webhooks.index(index);
            self.name(here.field("name"), &webhook.name);
            self.webhook_url(here.field("url"), webhook);
            self.signing_secret(here.field("secret"), &webhook.secret.0);
            if webhook.timeout.is_some_and(|timeout| !TIMEOUTS.contains(&timeout.0)) {
                self.error(here.field("timeout"), "expected 1s to 60s");
            }
            if webhook.events.as_ref().is_some_and(Vec::is_empty) {
                self.error(here.field("events"), "expected at least one kind; leave it out for all");
            }
            if let Some(tls) = &webhook.tls
                && tls.cert.is_some() != tls.key.is_some()
            {
                self.error(here.field("tls"), "a client certificate needs both `cert` and `key`");
            }
            for (position, team) in webhook.teams.iter().flatten().enumerate() {
                let known = file.teams.iter().map(|team| team.name.as_str());
                self.reference(here.field("teams").index(position), "team", team, known);
            }
        }
    }

    /// The address itself stays out of messages: it may hold a secret.
    fn webhook_url(&mut self, path: Path, webhook: &Webhook) {
        let url = Url::parse(webhook.url.0.expose()).ok();
        let url = url.filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let Some(url) = url else {
            return self.error(path, "expected an address that begins with https:// or http://");
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return self.error(path, "an address has no user, no password and no `#` part here");
        }
        let near = nearness(&url);
        if near.is_private() && !webhook.allow_private {
            self.error(path, "a private or loopback address needs `allow_private: true`");
        } else if url.scheme() == "http" && !near.is_loopback() {
            self.warn(path, "alerts travel in clear text: use https");
        }
    }
}
