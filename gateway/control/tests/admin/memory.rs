//! A ledger store in memory that can be told to fail.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use tollgate_accounting::ledger::{
    AuditEntry, Batch, Closing, ConfigVersion, Cursor, Document, Entry, LedgerStore, Loaded, Override, Page,
    RowQuery, StoreError, UsageGroup, UsageQuery,
};
use tollgate_domain::{RequestId, UnixMillis};

#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) rows: Mutex<Vec<Entry>>,
    pub(crate) overrides: Mutex<Vec<Override>>,
    pub(crate) audit: Mutex<Vec<AuditEntry>>,
    versions: Mutex<Vec<ConfigVersion>>,
    pub(crate) documents: Mutex<Vec<Document>>,
    /// While it stands, every change fails.
    pub(crate) full: AtomicBool,
    /// While it stands, rows can be read only up to the end of their first page.
    pub(crate) breaks_off: AtomicBool,
}

impl MemoryStore {
    fn changeable(&self) -> Result<(), StoreError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError::Failed { store: "memory", source: "the disk is full".into() });
        }
        Ok(())
    }
}

impl LedgerStore for MemoryStore {
    fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        Ok(Vec::new())
    }

    fn load(&self, batch: &Batch) -> Result<Loaded, StoreError> {
        self.changeable()?;
        self.rows.lock().extend(batch.rows.iter().map(|row| row.entry.clone()));
        Ok(Loaded { inserted: batch.rows.len() as u64, ..Loaded::default() })
    }

    fn rows(&self, query: &RowQuery) -> Result<Page<Entry>, StoreError> {
        if query.after.is_some() && self.breaks_off.load(Ordering::Relaxed) {
            return Err(StoreError::Failed { store: "memory", source: "the disk is gone".into() });
        }
        let from: usize = match &query.after {
            None => 0,
            Some(after) => after.parse().map_err(|_| StoreError::BadCursor(after.clone()))?,
        };
        let mut found: Vec<Entry> =
            self.rows.lock().iter().filter(|row| query.matches(row)).cloned().collect();
        found.sort_by_key(|row| std::cmp::Reverse(row.started_at));
        let left = found.len().saturating_sub(from);
        let items: Vec<Entry> = found.into_iter().skip(from).take(query.limit).collect();
        let next = (left > query.limit).then(|| (from + query.limit).to_string());
        Ok(Page { items, next })
    }

    fn row(&self, id: RequestId) -> Result<Option<Entry>, StoreError> {
        Ok(self.rows.lock().iter().find(|row| row.id == id).cloned())
    }

    fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageGroup>, StoreError> {
        let mut groups: BTreeMap<Vec<String>, UsageGroup> = BTreeMap::new();
        for row in self.rows.lock().iter() {
            let who = &row.identity;
            let wanted = query.filter.admits(who.team.as_str(), who.project.as_str(), who.key.as_str());
            let in_time = query.from.is_none_or(|from| row.started_at >= from)
                && query.to.is_none_or(|to| row.started_at < to);
            if !wanted || !in_time {
                continue;
            }
            let values: Vec<String> =
                query.by.iter().map(|by| by.value(row, &query.time_zone).into_owned()).collect();
            let named = query.by.iter().cloned().zip(values.iter().cloned()).collect();
            groups.entry(values).or_insert_with(|| UsageGroup::empty(named, row.currency.clone())).count(row);
        }
        Ok(groups.into_values().collect())
    }

    fn dead_letters(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.documents.lock().iter().map(|document| document.revision).sum())
    }

    fn overrides(&self) -> Result<Vec<Override>, StoreError> {
        Ok(self.overrides.lock().clone())
    }

    fn put_override(&self, state: &Override) -> Result<(), StoreError> {
        self.changeable()?;
        let mut overrides = self.overrides.lock();
        overrides.retain(|kept| (&kept.kind, &kept.name) != (&state.kind, &state.name));
        overrides.push(state.clone());
        Ok(())
    }

    fn clear_override(&self, kind: &str, name: &str) -> Result<bool, StoreError> {
        self.changeable()?;
        let mut overrides = self.overrides.lock();
        let before = overrides.len();
        overrides.retain(|kept| kept.kind != kind || kept.name != name);
        Ok(overrides.len() < before)
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let older = |entry: &&AuditEntry| before.is_none_or(|before| entry.seq < before);
        Ok(self.audit.lock().iter().rev().filter(older).take(limit).cloned().collect())
    }

    fn append_audit(&self, entry: &AuditEntry) -> Result<u64, StoreError> {
        self.changeable()?;
        let mut audit = self.audit.lock();
        let seq = audit.len() as u64 + 1;
        audit.push(AuditEntry { seq, ..entry.clone() });
        Ok(seq)
    }

    fn config_versions(&self, limit: usize) -> Result<Vec<ConfigVersion>, StoreError> {
        Ok(self.versions.lock().iter().rev().take(limit).cloned().collect())
    }

    fn append_config_version(&self, version: &ConfigVersion) -> Result<(), StoreError> {
        self.changeable()?;
        self.versions.lock().push(version.clone());
        Ok(())
    }

    fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        let mut found: Vec<Document> =
            self.documents.lock().iter().filter(|document| document.kind == kind).cloned().collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn put_document(&self, document: &Document) -> Result<(), StoreError> {
        self.changeable()?;
        let mut documents = self.documents.lock();
        let same = |kept: &&mut Document| kept.kind == document.kind && kept.name == document.name;
        match documents.iter_mut().find(same) {
            Some(kept) if document.revision == kept.revision + 1 => *kept = document.clone(),
            None if document.revision == 1 => documents.push(document.clone()),
            _ => return Err(StoreError::Exists(document.name.clone())),
        }
        Ok(())
    }

    fn close_books(&self, until: UnixMillis, at: UnixMillis) -> Result<Closing, StoreError> {
        let closing = Closing::new(until, at, self.rows.lock().len() as u64, &[]);
        self.put_document(&closing.document())?;
        Ok(closing)
    }
}
