//! A source that is known to have failed before it was opened, so that the others of its target go on without it.

use crate::error::{Error, Result};
use crate::source::{Item, Source};

/// Stands for a source that could not be made.
#[derive(Clone, Debug)]
pub struct AbsentSource {
    /// Its name.
    pub name: String,
    /// What it would be.
    pub kind: &'static str,
    /// Which component of its target it is.
    pub component: String,
    /// What it would cover.
    pub paths: Vec<String>,
    /// Why it is not there.
    pub why: String,
}

impl Source for AbsentSource {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn component(&self) -> String {
        self.component.clone()
    }

    fn paths(&self) -> Vec<String> {
        self.paths.clone()
    }

    fn open(&mut self) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
        Err(Error::Source { name: self.name.clone(), why: self.why.clone() })
    }

    fn is_repeatable(&self) -> bool {
        true
    }
}
