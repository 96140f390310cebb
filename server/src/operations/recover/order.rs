//! The fixed order of a recovery: what others need comes before them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::{Config, SourceKind, TargetConfig};
use crate::targets::canonical_target;

/// When something comes back. The order of the variants is that of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Sources of component `config`: `.env`, compose files.
    Config,
    /// Whatever else belongs to target `event-bus`.
    EventBus,
    /// Databases.
    Databases,
    /// Files, which the services that follow may need.
    Files,
    /// The workflows of `control-plane`.
    ControlN8n,
    /// The workflows of `prod`.
    ProdN8n,
    /// The workflows of `dev`.
    DevN8n,
    /// The workflows of all other targets.
    OtherN8n,
    /// Sources of component `agents`, and target `agents`.
    Agents,
}

impl Phase {
    /// Whether what comes back goes over a server of its target that runs.
    pub(super) fn needs_a_server(self) -> bool {
        matches!(self, Self::ControlN8n | Self::ProdN8n | Self::DevN8n | Self::OtherN8n)
    }
}

/// Component and target of agents.
const AGENTS: &str = "agents";
/// Target of the Event Bus.
const EVENT_BUS: &str = "event-bus";

/// A source that is to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// When.
    pub(super) phase: Phase,
    /// Its target.
    pub(super) target: String,
    /// Its name.
    pub(super) source: String,
    /// Its component.
    pub(super) component: String,
}

/// Everything that is configured, in the order of a recovery; within a phase as the configuration has it.
pub(super) fn all(config: &Config) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = config.targets.iter().flat_map(of_target).collect();
    all.sort_by_key(|wanted| wanted.phase);
    all
}

fn of_target(target: &TargetConfig) -> Vec<Wanted> {
    let wanted = |source: &str, component: &str, kind| Wanted {
        phase: phase(target, component, kind),
        target: target.name.clone(),
        source: source.to_owned(),
        component: component.to_owned(),
    };
    let own = (!target.paths.is_empty()).then(|| wanted("files", "files", SourceKind::Files));
    let sources = target.sources.iter().map(|source| wanted(&source.name, source.component(), source.kind));
    own.into_iter().chain(sources).collect()
}

fn phase(target: &TargetConfig, component: &str, kind: SourceKind) -> Phase {
    let is = |name: &str| target.name == name || target.aliases.iter().any(|a| canonical_target(a) == name);
    match (component, kind) {
        ("config" | "credentials", _) => Phase::Config,
        _ if is(EVENT_BUS) => Phase::EventBus,
        (_, SourceKind::N8n) if is("control-plane") => Phase::ControlN8n,
        (_, SourceKind::N8n) if is("prod") => Phase::ProdN8n,
        (_, SourceKind::N8n) if is("dev") => Phase::DevN8n,
        (_, SourceKind::N8n) => Phase::OtherN8n,
        _ if component == AGENTS || is(AGENTS) => Phase::Agents,
        ("database", _) | (_, SourceKind::Postgres | SourceKind::Sqlite) => Phase::Databases,
        _ => Phase::Files,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::path::Path;

    use super::*;

    const WHOLE: &str = r#"
        [[target]]
        name = "agents"
        paths = ["/srv/agents"]
        [[target]]
        name = "dev"
        [[target.source]]
        name = "flows"
        kind = "n8n"
        url = "http://localhost:1"
        api_key = { env = "KEY" }
        [[target]]
        name = "central"
        aliases = ["control-n8n"]
        [[target.source]]
        name = "flows"
        kind = "n8n"
        url = "http://localhost:2"
        api_key = { env = "KEY" }
        [[target.source]]
        name = "env"
        kind = "files"
        component = "config"
        paths = ["/srv/.env"]
        [[target]]
        name = "supabase"
        [[target.source]]
        name = "crm"
        kind = "postgres"
        url = { env = "URL" }
        [[target]]
        name = "event-bus"
        [[target.source]]
        name = "bus"
        kind = "sqlite"
        path = "/srv/bus.db"
    "#;

    #[test]
    fn what_others_need_comes_first() {
        let config = Config::parse(WHOLE, Path::new("/etc/chronos.toml")).unwrap();
        let found: Vec<_> = all(&config).into_iter().map(|w| (w.phase, w.target, w.source)).collect();
        let expected = [
            (Phase::Config, "central", "env"),
            (Phase::EventBus, "event-bus", "bus"),
            (Phase::Databases, "supabase", "crm"),
            (Phase::ControlN8n, "central", "flows"),
            (Phase::DevN8n, "dev", "flows"),
            (Phase::Agents, "agents", "files"),
        ];
        let expected: Vec<_> =
            expected.map(|(phase, target, source)| (phase, target.to_owned(), source.to_owned())).into();
        assert_eq!(found, expected);
    }
}
