//! Who is told when: budgets at their thresholds, models without a price, answers that show what nobody
//! has configured.
//!
//! Nothing here is on a request's path. A beat looks at the quotas and at the ledger's rollups; what
//! is news becomes an alert in the book, which is kept in the ledger store under a revision, so
//! that of several processes, and over restarts, one alone makes it. Then it is delivered to webhooks,
//! in order, until the receiver takes it or a day has passed: at least once, under the same id.

mod beat;
mod book;
mod courier;
mod event;
mod foresight;
mod watch;
mod webhook;

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use tollgate_accounting::ledger::{AuditEntry, Document, LedgerStore, StoreError};
use tollgate_domain::{Name, UnixMillis};

pub use self::{
    beat::{Watched, beat},
    book::{Alert, Delivery, DeliveryState},
    event::{About, Event},
    foresight::Foresight,
    webhook::Webhook,
};
use self::{
    book::{Book, Tried},
    courier::Letter,
};

/// Kind and name of the one document that holds the book.
const DOCUMENT: (&str, &str) = ("alerts", "book");
/// Who the gateway is in the audit.
const GATEWAY: &str = "gateway";
/// Events that wait to be looked at; further ones are dropped, since the same will come again.
const MOST_RAISED: usize = 1_024;
/// How often a change is tried again that another process was faster with.
const TRIES: usize = 8;

/// The alerts of an organization. Methods may block on the store, but for [`raise`](Self::raise).
pub struct Alerts {
    store: Arc<dyn LedgerStore>,
    organization: Name,
    instance: Name,
    kept: Mutex<Kept>,
    raised: Mutex<VecDeque<Event>>,
    /// Webhooks that this process is sending to.
    busy: Mutex<HashSet<String>>,
}

/// The book as this process saw it last.
#[derive(Default)]
struct Kept {
    revision: u64,
    book: Book,
}

impl Alerts {
    /// The alerts kept in this store; `instance` is the name of this process among those that share it.
    ///
    /// # Errors
    /// The store cannot be read, or a newer version has written the book.
    pub fn open(store: Arc<dyn LedgerStore>, organization: Name, instance: Name) -> Result<Self, StoreError> {
        let kept = Mutex::new(read(&*store)?);
        let (raised, busy) = Default::default();
        Ok(Self { store, organization, instance, kept, raised, busy })
    }

    /// Tells an event that somebody met on another way; whether it is news is decided with the next
    /// beat. Never blocks and never fails.
    pub fn raise(&self, event: Event) {
        let mut raised = self.raised.lock();
        if raised.len() < MOST_RAISED && !raised.contains(&event) {
            raised.push_back(event);
        }
    }

    /// Takes in what is news of these events and of those that were raised. Each becomes an alert
    /// once, to be sent to those of the webhooks that want it. Gives the new ones.
    ///
    /// # Errors
    /// The store does not take the book; nothing was taken in, and what was raised waits for the next
    /// call.
    pub fn take(
        &self,
        mut events: Vec<Event>,
        webhooks: &[Arc<Webhook>],
        now: UnixMillis,
    ) -> Result<Vec<Alert>, StoreError> {
        events.extend(self.raised.lock().iter().cloned());
        let is_news = |book: &Book| events.iter().any(|event| book.is_news(event));
        let taken = self.change(now, is_news, |book| {
            let mut alerts = Vec::new();
            for event in &events {
                if book.is_news(event) {
                    book.note(event);
                    alerts.push(book.add(event.alert(&self.organization, &self.instance, now), webhooks));
                }
            }
            alerts
        })?;
        self.raised.lock().retain(|event| !events.contains(event));
        let alerts = taken.unwrap_or_default();
        for alert in &alerts {
            tollgate_telemetry::alert_made(alert.kind.as_str());
            tracing::warn!(id = alert.id, kind = alert.kind.as_str(), "{}", alert.text());
            self.audit(&format!("alert.{}", alert.kind.as_str()), alert, alert.body.clone(), now);
        }
        Ok(alerts)
    }

    /// What is to be sent now: for each webhook the oldest alert that it has not taken yet, if its
    /// turn has come and nobody is sending to it.
    ///
    /// # Errors
    /// The store does not take the book; nothing is to be sent.
    fn due(&self, webhooks: &[Arc<Webhook>], now: UnixMillis) -> Result<Vec<Letter>, StoreError> {
        let busy = self.busy.lock().clone();
        let idle = || webhooks.iter().filter(|webhook| !busy.contains(&*webhook.name));
        let is_due = |book: &Book| {
            book.is_overdue(now)
                || idle().any(|webhook| book.turn(&webhook.name, &self.instance, now).is_some())
        };
        let changed = self.change(now, is_due, |book| {
            let given_up = book.give_up(now);
            let letters: Vec<Letter> = idle()
                .filter_map(|webhook| {
                    let (alert, attempt) = book.claim(&webhook.name, &self.instance, now)?;
                    Some(Letter { webhook: Arc::clone(webhook), alert: alert.clone(), attempt })
                })
                .collect();
            (letters, given_up)
        })?;
        let (letters, given_up) = changed.unwrap_or_default();
        for (alert, webhook) in &given_up {
            tollgate_telemetry::alert_tried(webhook, "given_up");
            tracing::error!(id = alert.id, webhook, "an alert could not be delivered and is given up");
            self.audit("alert.given_up", alert, serde_json::json!({ "webhook": webhook }), now);
        }
        self.busy.lock().extend(letters.iter().map(|letter| letter.webhook.name.to_string()));
        Ok(letters)
    }

    /// Notes how a letter fared.
    ///
    /// # Errors
    /// The store does not take the book: the letter will be sent again, under the same id.
    fn fared(&self, letter: &Letter, tried: &Tried, now: UnixMillis) -> Result<(), StoreError> {
        let (name, id) = (&*letter.webhook.name, letter.alert.id.as_str());
        let noted = self.change(now, |_| true, |book| book.fared(id, name, tried, now));
        self.busy.lock().remove(name);
        match tried {
            Tried::Taken { status } => {
                tollgate_telemetry::alert_tried(name, "delivered");
                let attempts = letter.attempt;
                let detail = serde_json::json!({ "webhook": name, "status": status, "attempts": attempts });
                self.audit("alert.delivered", &letter.alert, detail, now);
            }
            Tried::Failed { error, .. } => {
                tollgate_telemetry::alert_tried(name, "failed");
                tracing::warn!(id, webhook = name, error, "an alert was not taken");
            }
        }
        noted.map(drop)
    }

    /// Looks what other processes have written into the book.
    ///
    /// # Errors
    /// The store cannot be read; the book stays as it was seen last.
    fn follow(&self) -> Result<(), StoreError> {
        let mut kept = self.kept.lock();
        *kept = read(&*self.store)?;
        Ok(())
    }

    /// The alerts that are kept, the newest first, with what became of their deliveries.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self) -> Result<Vec<Alert>, StoreError> {
        Ok(read(&*self.store)?.book.into_newest_first())
    }

    /// Changes the book where that is `wanted`. Another process may be faster: then it is looked
    /// again, and the change is made to what that one has left.
    fn change<T>(
        &self,
        now: UnixMillis,
        wanted: impl Fn(&Book) -> bool,
        change: impl Fn(&mut Book) -> T,
    ) -> Result<Option<T>, StoreError> {
        let mut kept = self.kept.lock();
        for _ in 0..TRIES {
            if !wanted(&kept.book) {
                return Ok(None);
            }
            let mut book = kept.book.clone();
            let changed = change(&mut book);
            let document = document(&book, kept.revision + 1, now);
            match self.store.put_document(&document) {
                Ok(()) => {
                    *kept = Kept { revision: document.revision, book };
                    return Ok(Some(changed));
                }
                Err(StoreError::Exists(_)) => *kept = read(&*self.store)?,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Exists("a newer book of alerts, again and again,".to_owned()))
    }

    /// What happened stands in the book; that the audit does not tell it is said in the log.
    fn audit(&self, action: &str, alert: &Alert, mut detail: serde_json::Value, at: UnixMillis) {
        detail["id"] = alert.id.clone().into();
        let entry = AuditEntry {
            seq: 0,
            at,
            actor: GATEWAY.to_owned(),
            action: action.to_owned(),
            subject: alert.subject.clone(),
            detail: detail.to_string(),
        };
        if let Err(error) = self.store.append_audit(&entry) {
            tracing::error!(action, id = alert.id, %error, "an alert is missing in the audit");
        }
    }
}

fn read(store: &dyn LedgerStore) -> Result<Kept, StoreError> {
    let (kind, name) = DOCUMENT;
    let Some(document) = store.documents(kind)?.into_iter().find(|document| document.name == name) else {
        return Ok(Kept::default());
    };
    let book = serde_json::from_str(&document.body)
        .map_err(|error| StoreError::Failed { store: "the book of alerts", source: error.into() })?;
    Ok(Kept { revision: document.revision, book })
}

fn document(book: &Book, revision: u64, at: UnixMillis) -> Document {
    let (kind, name) = DOCUMENT;
    let body = serde_json::to_string(book).expect("texts and numbers are JSON");
    Document { kind: kind.to_owned(), name: name.to_owned(), revision, at, body }
}

#[cfg(test)]
mod tests;
