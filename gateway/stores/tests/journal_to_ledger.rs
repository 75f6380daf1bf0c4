//! From the journal into a store, and the audit of both; every test once for each store.

#![expect(clippy::duplicate_mod, reason = "the same tests, on another store")]

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
