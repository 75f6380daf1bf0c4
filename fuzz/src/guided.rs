//! libFuzzer under the one target that `TOLLGATE_FUZZ_TARGET` names; `cargo xtask fuzz` builds and
//! runs it.
#![no_main]

use std::sync::LazyLock;

use tollgate_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TOLLGATE_FUZZ_TARGET").expect("TOLLGATE_FUZZ_TARGET names the target");
    Target::named(&name).unwrap_or_else(|| panic!("no target is called {name:?}"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET.check(bytes));
