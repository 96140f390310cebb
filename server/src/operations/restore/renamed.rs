//! How workflows get back into an n8n, with what earlier restores did to their ids: what was made again under another id is found under
//! that one, and not made once more.

use std::collections::BTreeMap;

use chronos_connect::n8n::restore::RestoreOptions;
use chronos_store::Repository;
use serde_json::Value;

use crate::config::Source;
use crate::error::Result;
use crate::operations::undo::{report, workflows};
use crate::sources::n8n_way_back;
use crate::state::{RollbackFilter, State};
use crate::workplace::Workplace;

/// The newest rollbacks of a target that are asked.
const ASKED_MAX: u32 = 1000;

/// The way back into the n8n of a source. A history that cannot be read keeps nobody from bringing things back: it is told of.
pub(crate) fn way_back(
    workplace: &Workplace,
    repository: &Repository,
    target: &str,
    source: &Source,
) -> RestoreOptions {
    let known_ids = new_ids(workplace, repository, target, &source.name).unwrap_or_else(|error| {
        let told = format!("workflows that were made again under another id may be made once more: {error}");
        repository.monitor().problem(&told);
        BTreeMap::new()
    });
    RestoreOptions { known_ids, ..n8n_way_back(source) }
}

/// Ids that restores gave to workflows, by the ids that they had before.
fn new_ids(
    workplace: &Workplace,
    repository: &Repository,
    target: &str,
    source: &str,
) -> Result<BTreeMap<String, String>> {
    let mut ids = BTreeMap::new();
    let folder = &workplace.places.state;
    if !State::is_there(folder) {
        return Ok(ids);
    }
    let state = State::open(folder)?;
    let repository = repository.id().to_string();
    let filter =
        RollbackFilter { target: Some(target), repository: Some(&repository), ..RollbackFilter::default() };
    // The newest first.
    for row in state.rollbacks(&filter, ASKED_MAX)? {
        let report = report(&state, &row)?;
        for (_, workflow) in workflows(report.as_ref()).into_iter().filter(|(of, _)| of == source) {
            let text = |key: &str| workflow.get(key).and_then(Value::as_str).map(str::to_owned);
            if let Some((id, live_id)) = text("id").zip(text("live_id")) {
                ids.entry(id).or_insert(live_id);
            }
        }
    }
    Ok(ids)
}
