//! The target that `CHRONOS_FUZZ_TARGET` names, under libFuzzer.

#![no_main]

use std::sync::OnceLock;

use chronos_fuzz::Target;
use libfuzzer_sys::fuzz_target;

fn target() -> &'static Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("CHRONOS_FUZZ_TARGET").unwrap_or_default();
        chronos_fuzz::target(&name).unwrap_or_else(|| panic!("CHRONOS_FUZZ_TARGET={name:?} names no target"))
    })
}

fuzz_target!(|bytes: &[u8]| {
    (target().run)(bytes);
});
