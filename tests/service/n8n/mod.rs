//! n8n: three real versions, one per generation of the API; a stub only for faults that the real thing cannot be made to show.

mod backup;
mod by_command;
mod collected;
mod command;
mod faults;
mod listing;
mod many;
pub(crate) mod restore;
pub(crate) mod workflows;

/// Runs a test on each version.
macro_rules! on_each_version {
    ($($name:ident)*) => {
        mod v1_123 { $(#[test] fn $name() { super::$name(&chronos_tests::n8n("1.123.81")); })* }
        mod v2_8 { $(#[test] fn $name() { super::$name(&chronos_tests::n8n("2.8.4")); })* }
        mod v2_40 { $(#[test] fn $name() { super::$name(&chronos_tests::n8n("2.40.7")); })* }
    };
}
use on_each_version;
