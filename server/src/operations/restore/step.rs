//! One thing that is put back as a whole, of whatever kind: planned when it is made, then kept, then applied.

use std::fmt;

use chronos_snapshot::Source;

use crate::error::Result;
use crate::operations::restore::done::StepDone;
use crate::operations::restore::plan::StepPlan;
use crate::operations::restore::record::Record;
use crate::operations::restore::safety::{Safety, Width};

/// One thing that is put back as a whole.
pub(super) trait Step: fmt::Debug {
    /// What is going to be done.
    fn plan(&self) -> &StepPlan;

    /// What reads the live state that is going to be changed; nothing if there is none.
    fn live(&self, _width: Width) -> Result<Vec<Box<dyn Source>>> {
        Ok(Vec::new())
    }

    /// Keeps others from changing what is going to be changed, so that the snapshot of it has all of it.
    fn hold(&self) -> Result<()> {
        Ok(())
    }

    /// What stands there now, in a few bytes: others if it is changed. Nothing where it changes all the time and goes as a whole.
    fn standing(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Whether there is more than one way to keep the live state.
    fn can_be_wider(&self) -> bool {
        false
    }

    /// Whether something at this path, as it is shown to people, is going to be changed.
    fn touches(&self, _path: &str) -> bool {
        false
    }

    /// Fails if something that is going to be changed is not in the snapshot of the live state as it is now.
    fn check_kept(&self, _safety: &Safety) -> Result<()> {
        Ok(())
    }

    /// Does it, and reads back what was written. An error means that it failed as a whole, and says in which state it is.
    fn apply(&self, safety: Option<&Safety>, record: &Record) -> Result<StepDone>;
}

/// What cannot be put back, and is only named.
#[derive(Debug)]
pub(super) struct LeftOut(pub(super) StepPlan);

impl Step for LeftOut {
    fn plan(&self) -> &StepPlan {
        &self.0
    }

    fn apply(&self, _safety: Option<&Safety>, _record: &Record) -> Result<StepDone> {
        Ok(StepDone::of(&self.0))
    }
}
