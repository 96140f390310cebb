//! A source under a name and as a component that somebody gave it.

use crate::error::Result;
use crate::source::{Item, Source, SourceOutcome};

/// Components that a source can be (contract §2).
pub const COMPONENTS: &[&str] = &["workflows", "credentials", "database", "config", "files", "agents"];

/// Another source, with a name and a component of its own.
#[derive(Debug)]
pub struct LabelledSource {
    source: Box<dyn Source>,
    name: String,
    component: String,
}

impl LabelledSource {
    /// Labels a source.
    pub fn new(source: Box<dyn Source>, name: impl Into<String>, component: impl Into<String>) -> Self {
        Self { source, name: name.into(), component: component.into() }
    }
}

impl Source for LabelledSource {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn kind(&self) -> &'static str {
        self.source.kind()
    }

    fn component(&self) -> String {
        self.component.clone()
    }

    fn paths(&self) -> Vec<String> {
        self.source.paths()
    }

    fn open(&mut self) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
        self.source.open()
    }

    fn is_repeatable(&self) -> bool {
        self.source.is_repeatable()
    }

    fn holds(&self, name: &str) -> bool {
        self.source.holds(name)
    }

    fn outcome(&self) -> SourceOutcome {
        self.source.outcome()
    }
}
