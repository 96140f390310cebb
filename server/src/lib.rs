//! Configuration of targets, sources and policies: what the program is told by a file and by the environment.
//!
//! Modules in the order of dependence; each uses only those above it.

mod error;
mod values;

pub mod config;
pub mod environment;
pub mod targets;

pub use config::{Config, Limits, RepositoryConfig, Retention, Source, SourceKind, TargetConfig, TierRule};
pub use environment::Environment;
pub use error::{Error, Result};
pub use targets::{canonical_target, check_target_name};
pub use values::{nearest, parse_duration, parse_size};
