//! What a restore would do, as a value: one part for each thing that is put back as a whole. A dry run answers it.

use chronos_snapshot::Strategy;
use serde::Serialize;
use utoipa::ToSchema;

use crate::operations::restore::Task;
use crate::operations::restore::step::Step;

/// Digits of a fingerprint.
const FINGERPRINT_LEN: usize = 32;
/// Names of one list that an answer holds; more are only counted.
const NAMES_MAX: usize = 1000;

/// What a restore would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RestorePlan)]
pub struct Plan {
    /// What is put back, in this order.
    pub steps: Vec<StepPlan>,
    /// Bytes that are written.
    pub bytes: u64,
    /// Stands for the plan and for what is there now: a request that has it is refused if one of them has become another.
    pub fingerprint: String,
}

/// What would be done with some sources, which succeed or fail together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RestoreStepPlan)]
pub struct StepPlan {
    /// The sources of the snapshot.
    pub sources: Vec<String>,
    /// The sources of the target that they go to.
    pub into: Vec<String>,
    /// `files`, `sqlite`, `postgres`, `n8n`, …
    pub kind: String,
    /// Where it goes.
    pub place: String,
    /// The tables that are meant, if only a part of a database is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// The schemas.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// What is not there and comes.
    pub creates: Names,
    /// What is there and is written anew.
    pub overwrites: Names,
    /// What stays and gets other attributes.
    pub attributes: Names,
    /// What is there and goes, with everything below it.
    pub removes: Names,
    /// Bytes that are written.
    pub bytes: u64,
    /// What cannot be put back exactly, and why.
    pub not_exact: Vec<String>,
    /// Why nothing of it is put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// A list of names, which may be cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RestoreNames)]
pub struct Names {
    /// How many there are.
    pub count: u64,
    /// The first thousand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl StepPlan {
    /// Whether something is left to do.
    pub fn has_work(&self) -> bool {
        self.left_out.is_none()
            && [&self.creates, &self.overwrites, &self.attributes, &self.removes].iter().any(|l| l.count > 0)
    }
}

impl Names {
    /// Adds one.
    pub(super) fn push(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.names.len() < NAMES_MAX {
            self.names.push(name());
        }
    }
}

impl FromIterator<String> for Names {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let mut list = Self::default();
        names.into_iter().for_each(|name| list.push(|| name));
        list
    }
}

impl Plan {
    /// That of these steps.
    pub(super) fn of(task: &Task<'_>, steps: &[Box<dyn Step + '_>]) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        add(task.snapshot.id.to_string().as_bytes());
        add(task.target.as_bytes());
        add(task.strategy.name().as_bytes());
        for step in steps {
            // Texts, numbers and lists can always be written.
            let text = serde_json::to_string(step.plan()).unwrap_or_default();
            // The place that a plan named is not that of the restore that comes later.
            let is_new = task.strategy == Strategy::NewLocation;
            add(if is_new { text.replace(&task.stamp(), "") } else { text }.as_bytes());
            add(&step.standing());
        }
        let fingerprint = hasher.finalize().to_hex().chars().take(FINGERPRINT_LEN).collect();
        let steps: Vec<StepPlan> = steps.iter().map(|step| step.plan().clone()).collect();
        Self { bytes: steps.iter().map(|step| step.bytes).sum(), steps, fingerprint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let names: Names = (0..NAMES_MAX + 5).map(|n| n.to_string()).collect();
        assert_eq!((names.count, names.names.len()), (NAMES_MAX as u64 + 5, NAMES_MAX));
    }

    #[test]
    fn what_is_left_out_is_no_work() {
        let work = StepPlan { creates: ["a".to_owned()].into_iter().collect(), ..StepPlan::default() };
        assert!(work.has_work() && !StepPlan::default().has_work());
        assert!(!StepPlan { left_out: Some("why".into()), ..work }.has_work());
    }
}
