//! Webhooks: addresses and certificates.

use std::{sync::Arc, time::Duration};

use tollgate_domain::{Name, Secret};
use tollgate_proxy::{Origin, Scheme};
use url::Url;

use super::tls::Clients;
use crate::{
    alerts::Webhook,
    config::{
        document::Document,
        file,
        problem::{Path, Problem},
    },
};

const USUAL_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn compile(document: &Document, problems: &mut Vec<Problem>) -> Vec<Arc<Webhook>> {
    let mut clients = Clients::default();
    let mut webhooks = Vec::new();
    for (index, given) in document.file.alerts.webhooks.iter().enumerate() {
        match webhook(document, given, &mut clients) {
            Ok(webhook) => webhooks.push(Arc::new(webhook)),
            Err((field, message)) => {
                let here = Path::default().field("alerts").field("webhooks").index(index);
                problems.push(document.problem(here.field(field), message));
            }
        }
    }
    webhooks
}

/// An error names the field at fault.
fn webhook(
    document: &Document,
    given: &file::Webhook,
    clients: &mut Clients,
) -> Result<Webhook, (&'static str, String)> {
    // The address stays out of messages: it may hold a secret.
    let unusable = || ("url", "expected an address with a host".to_owned());
    let url = Url::parse(given.url.0.expose()).map_err(|_| unusable())?;
    let host = url.host_str().ok_or_else(unusable)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let tls = match scheme {
        Scheme::Http => None,
        Scheme::Https => {
            let client = clients.get(given.tls.as_ref(), false, document.sources());
            Some(client.map_err(|message| ("tls", message))?.config)
        }
    };
    let port = url.port_or_known_default().ok_or_else(unusable)?;
    let names = |teams: &Vec<String>| teams.iter().map(|team| Name::from(team.as_str())).collect();
    Ok(Webhook {
        name: given.name.as_str().into(),
        origin: Origin { scheme, host, port, allow_private: given.allow_private },
        target: Secret::new(url[url::Position::BeforePath..].to_owned()),
        secret: given.secret.0.clone(),
        tls,
        timeout: given.timeout.map_or(USUAL_TIMEOUT, |timeout| timeout.0),
        events: given.events.as_ref().map(|events| events.iter().copied().collect()),
        teams: given.teams.as_ref().map(names),
    })
}
