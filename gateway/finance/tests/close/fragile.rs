//! A store that takes so many changes and no more: what a killed process leaves behind.

use std::sync::atomic::{AtomicUsize, Ordering};

use tollgate_accounting::ledger::{
    AuditEntry, Batch, Closing, ConfigVersion, Cursor, Document, Entry, LedgerStore, Loaded, Override, Page,
    RowQuery, StoreError, UsageGroup, UsageQuery,
};
use tollgate_domain::{RequestId, UnixMillis};

pub(crate) struct Fragile<'a> {
    inner: &'a dyn LedgerStore,
    /// Changes that it still takes.
    pub(crate) left: AtomicUsize,
}

impl<'a> Fragile<'a> {
    pub(crate) fn new(inner: &'a dyn LedgerStore, changes: usize) -> Self {
        Self { inner, left: AtomicUsize::new(changes) }
    }

    fn change(&self) -> Result<(), StoreError> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map(drop).map_err(|_| StoreError::Failed { store: "fragile", source: "the end".into() })
    }
}

impl LedgerStore for Fragile<'_> {
    fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        self.inner.cursors()
    }

    fn load(&self, batch: &Batch) -> Result<Loaded, StoreError> {
        self.change()?;
        self.inner.load(batch)
    }

    fn rows(&self, query: &RowQuery) -> Result<Page<Entry>, StoreError> {
        self.inner.rows(query)
    }

    fn row(&self, id: RequestId) -> Result<Option<Entry>, StoreError> {
        self.inner.row(id)
    }

    fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageGroup>, StoreError> {
        self.inner.usage(query)
    }

    fn dead_letters(&self) -> Result<u64, StoreError> {
        self.inner.dead_letters()
    }

    fn revision(&self) -> Result<u64, StoreError> {
        self.inner.revision()
    }

    fn overrides(&self) -> Result<Vec<Override>, StoreError> {
        self.inner.overrides()
    }

    fn put_override(&self, state: &Override) -> Result<(), StoreError> {
        self.change()?;
        self.inner.put_override(state)
    }

    fn clear_override(&self, kind: &str, name: &str) -> Result<bool, StoreError> {
        self.change()?;
        self.inner.clear_override(kind, name)
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.inner.audit(before, limit)
    }

    fn append_audit(&self, entry: &AuditEntry) -> Result<u64, StoreError> {
        self.change()?;
        self.inner.append_audit(entry)
    }

    fn config_versions(&self, limit: usize) -> Result<Vec<ConfigVersion>, StoreError> {
        self.inner.config_versions(limit)
    }

    fn append_config_version(&self, version: &ConfigVersion) -> Result<(), StoreError> {
        self.change()?;
        self.inner.append_config_version(version)
    }

    fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        self.inner.documents(kind)
    }

    fn put_document(&self, document: &Document) -> Result<(), StoreError> {
        self.change()?;
        self.inner.put_document(document)
    }

    fn close_books(&self, until: UnixMillis, at: UnixMillis) -> Result<Closing, StoreError> {
        self.change()?;
        self.inner.close_books(until, at)
    }
}
