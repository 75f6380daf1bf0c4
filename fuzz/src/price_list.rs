//! Price lists of others: what is taken is sound, and taken once.

use tollgate_accounting::price::PriceBook;
use tollgate_domain::UnixMillis;
use tollgate_finance::price_list::{ImportOptions, import, write_entries};

pub(crate) fn check(bytes: &[u8]) {
    let options = ImportOptions {
        from: UnixMillis::new(1_795_478_400_000),
        currency: "USD".into(),
        providers: Vec::new(),
        upstream: None,
        allow_large_changes: false,
    };
    let first = match import(bytes, &[], &options) {
        Ok(import) => import,
        Err(fault) => return assert!(!fault.to_string().is_empty()),
    };
    assert!(first.refused.iter().all(|refusal| !refusal.why.is_empty()), "{:?}", first.refused);
    let lines = write_entries(&first.entries).lines().count();
    assert_eq!(lines, first.entries.len(), "an entry is a line");
    PriceBook::build(first.entries.clone()).unwrap_or_else(|fault| panic!("an unsound price: {fault}"));
    let again = import(bytes, &first.entries, &options).expect("a list, as before");
    assert_eq!((again.entries.len(), again.unchanged), (0, first.entries.len()), "{:?}", again.entries);
}
