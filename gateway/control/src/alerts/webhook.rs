//! A receiver of alerts, and how it knows that they are ours.
//!
//! Header `x-tollgate-signature: t=SECONDS,v1=HEX`, where HEX is HMAC-SHA-256 under the webhook's
//! secret of the text `SECONDS.BODY`. A receiver computes the same and refuses what is older than
//! it likes, so that neither a changed nor a replayed message passes.

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use rustls::ClientConfig;
use sha2::Sha256;
use tollgate_domain::{Name, Secret, UnixMillis};
use tollgate_proxy::Origin;

use crate::config::file::AlertKind;

/// A webhook, ready to be sent to.
pub struct Webhook {
    /// Its name.
    pub name: Name,
    /// Where it is.
    pub origin: Origin,
    /// The rest of its address, which may hold a secret.
    pub target: Secret,
    /// What alerts are signed with.
    pub secret: Secret,
    /// TLS towards it, when its address is https.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// Only these kinds; `None` is all.
    pub events: Option<HashSet<AlertKind>>,
    /// Only these teams; `None` is all, and what is of no team.
    pub teams: Option<Vec<Name>>,
}

impl Webhook {
    /// Whether an alert of this kind and team is for it.
    pub(super) fn wants(&self, kind: AlertKind, team: Option<&str>) -> bool {
        let of_team = |teams: &Vec<Name>| team.is_some_and(|team| teams.iter().any(|known| **known == *team));
        self.events.as_ref().is_none_or(|events| events.contains(&kind))
            && self.teams.as_ref().is_none_or(of_team)
    }

    /// The value of the header that signs a body sent at this time.
    pub(super) fn signature(&self, body: &[u8], now: UnixMillis) -> String {
        let seconds = now.get().div_euclid(1_000);
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes())
            .expect("HMAC takes keys of any length");
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Webhook {
    /// Without address and secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).finish_non_exhaustive()
    }
}
