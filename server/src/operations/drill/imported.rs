//! Stored workflows in the scratch n8n that is configured for drills.
//!
//! What always holds: it is none of the n8n that are configured as sources, by whatever name its address goes; and one that holds anything
//! of somebody else's is left alone.

use std::collections::BTreeMap;

use chronos_connect::n8n::{Client, Instance, Limits, Server, id_of_file, try_workflows};
use chronos_snapshot::counted;
use serde_json::Value;

use crate::config::SourceKind;
use crate::error::{Error, Result};
use crate::operations::drill::apart::{Place, is_n8n};
use crate::operations::drill::files::Restored;
use crate::operations::drill::findings::Findings;
use crate::operations::drill::trial::Trial;
use crate::turn::Turn;

/// Whose turn it is at the scratch n8n: one drill at a time.
const TURN: &str = "scratch-n8n";
/// Differences that are told.
const SHOWN: usize = 5;

/// Tries the workflows of a source, if there is a scratch n8n.
pub(super) fn tried(trial: &Trial<'_>, place: &Restored, found: &mut Findings) -> Result<()> {
    let config = &trial.workplace.config.drill;
    let Some(url) = &config.n8n_url else { return Ok(()) };
    if let Some(why) = is_live(trial, url) {
        found.not_tried(format!("its workflows were not imported: {why}"));
        return Ok(());
    }
    let Some(_turn) = Turn::try_take(&trial.workplace.places.state, TURN, TURN)? else {
        found.not_tried("its workflows were not imported: another drill uses the scratch n8n");
        return Ok(());
    };
    let key = config.n8n_api_key.as_ref().map(|key| trial.workplace.resolve(key)).transpose()?;
    let client = Client::new(&Server { url: url.clone(), key, basic: None }, Limits::default());
    let monitor = &**trial.catalog.repository.monitor();
    let outcome =
        client.map_err(Into::into).and_then(|c| try_workflows(&Instance::Api(c), stored(place)?, monitor));
    match outcome {
        Ok(outcome) => {
            found.holds(format!(
                "{} imported into the scratch n8n and removed again",
                counted(outcome.taken, "workflow")
            ));
            for (id, what) in outcome.differences.iter().take(SHOWN) {
                found.holds(format!("workflow {id} is shown otherwise by the scratch n8n: {what}"));
            }
            for (id, why) in outcome.errors {
                found.fails(format!("workflow {id} was not taken by the scratch n8n: {why}"));
            }
        }
        // That it cannot be used says nothing of the snapshot.
        Err(error) => found.not_tried(format!("its workflows were not imported: {error}")),
    }
    Ok(())
}

/// The stored workflows by their ids; what is none was told already.
fn stored(place: &Restored) -> chronos_connect::Result<BTreeMap<String, Value>> {
    let failed = |e: Error| chronos_connect::Error::Invalid(e.to_string());
    let mut stored = BTreeMap::new();
    for path in place.files().map_err(failed)? {
        let Some(id) = path.file_name().and_then(|n| n.to_str()).and_then(id_of_file) else { continue };
        let bytes = std::fs::read(&path).map_err(|e| failed(Error::local(&path, e)))?;
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(workflow) if workflow.get("nodes").is_some() => drop(stored.insert(id, workflow)),
            _ => {}
        }
    }
    Ok(stored)
}

/// Why an address is, or may be, that of a source.
fn is_live(trial: &Trial<'_>, scratch: &str) -> Option<String> {
    let Some(own) = Place::of(scratch) else { return Some(format!("{scratch} is no address")) };
    for target in &trial.workplace.config.targets {
        for source in target.sources.iter().filter(|s| s.kind == SourceKind::N8n) {
            match is_n8n(trial.workplace, &own, source) {
                Ok(false) => {}
                Ok(true) => {
                    return Some(format!(
                        "drill.n8n_url is the n8n of target {}, which a drill never touches: name one that is nobody's",
                        target.name
                    ));
                }
                Err(why) => {
                    return Some(format!(
                        "whether drill.n8n_url is the n8n of target {} is not known: {why}",
                        target.name
                    ));
                }
            }
        }
    }
    None
}
