//! What the program is told by files and by the environment, and the operations that it offers: the same ones for the command
//! line, HTTP and schedules.
//!
//! Modules in the order of dependence; each uses only those above it.

mod agent;
mod error;
mod values;

pub mod schedule;
pub mod secret;

pub mod config;
pub mod environment;
pub mod targets;

pub mod workplace;

mod outgoing;

pub mod catalog;
pub mod retention;
pub mod sources;
pub mod state;
mod turn;

pub mod events;
pub mod hooks;

pub mod operations;

pub mod jobs;

pub mod starter;

pub mod http;

pub use agent::Agent;
pub use catalog::Catalog;
pub use config::{
    Config, EventsConfig, HookConfig, HookMoment, HookPolicy, Limits, Network, NotifyConfig, NotifyKind,
    Occasion, RepositoryConfig, Retention, ScheduleConfig, ServiceConfig, Share, Source, SourceKind,
    TargetConfig, TierRule,
};
pub use environment::Environment;
pub use error::{Error, Kind, Result, Upstream};
pub use secret::SecretRef;
pub use targets::{canonical_target, check_target_name};
pub use values::{nearest, parse_duration, parse_size, shown};
pub use workplace::{Choices, Variables, Workplace};
