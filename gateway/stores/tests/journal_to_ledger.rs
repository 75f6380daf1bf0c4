//! From the journal into a store, and the audit of both; every test once for each store.

// The tests are one file, and a module for each store is what runs them twice.
#![allow(clippy::duplicate_mod)]

mod ground;
mod rows;

#[path = "journal_to_ledger"]
mod sqlite {
    use crate::ground::Ground;

    #[path = "loading.rs"]
    mod loading;

    fn open() -> Ground {
        Ground::sqlite()
    }
}

#[path = "journal_to_ledger"]
mod postgres {
    use crate::ground::Ground;

    #[path = "loading.rs"]
    mod loading;

    fn open() -> Ground {
        Ground::postgres()
    }
}
