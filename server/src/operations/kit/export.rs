//! Making a kit: a key of its own in the repository, sealed in a page.

use std::cell::OnceCell;
use std::path::PathBuf;

use chronos_store::backend::Backend;
use chronos_store::{FORMAT_VERSION, Repository, Secret, durable, seal_key};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::operations::kit::{Copied, KIND, Kit, SLOTS, VERSION, page};
use crate::operations::recover::Configuration;
use crate::values::shown;
use crate::workplace::location::{parse, shown_place};
use crate::workplace::{CONFIG_OBJECT, Workplace, host};

/// Most key slots that are copied: more than a repository can have.
const SLOTS_MAX: usize = 128;

/// How the key slots of kits are labelled.
const LABEL: &str = "recovery kit";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct ExportRequest<'a> {
    /// Where the page is written.
    pub output: PathBuf,
    /// Where copies of the repository are.
    pub copies: &'a [String],
    /// The password of the kit.
    pub password: &'a str,
}

/// What was made.
#[derive(Debug)]
pub struct Exported {
    /// The kit.
    pub kit: Kit,
    /// Kits whose keys still open the repository: slot and label.
    pub others: Vec<(String, String)>,
    /// Why the configuration that there is would not come back as it is.
    pub lacks_config: Option<String>,
}

/// Writes the kit of an open repository. If that fails, the repository is as it was.
///
/// # Errors
/// A file of that name; what cannot be read or written.
pub fn export(
    workplace: &Workplace,
    repository: &Repository,
    request: &ExportRequest<'_>,
) -> Result<Exported> {
    let output = &request.output;
    if output.symlink_metadata().is_ok() {
        let why = "it is there already: a kit is written over nothing".to_owned();
        return Err(Error::Value { place: shown(output), why });
    }
    let now =
        Timestamp::from_nanosecond(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))?;
    let label = format!("{LABEL} {}", now.strftime("%Y-%m-%d"));
    let others = repository.key_slots()?.into_iter().filter(|slot| slot.label.starts_with(LABEL));
    let others = others.map(|slot| (slot.slot, slot.label)).collect();
    let lacks_config = lacks_config(workplace, repository);
    let mut locations = vec![workplace.location.shown()];
    for copy in request.copies {
        locations.push(shown_place(&parse(copy)?));
    }
    let key = Zeroizing::new(workplace.env.random_bytes()?);
    let slot = repository.add_key(&Secret::Key(*key), &label)?;
    let page = OnceCell::new();
    let made = || {
        let sealed = seal_key(&workplace.env, &key, request.password)?;
        let kit = Kit {
            kind: KIND.to_owned(),
            version: VERSION,
            format_version: FORMAT_VERSION,
            created_at: now.to_string(),
            host: host(),
            repository: repository.id().to_string(),
            locations: locations.clone(),
            slot: slot.clone(),
            sealed_key: text("the sealed key", sealed)?,
            objects: copies(&*workplace.backend()?)?,
            checksum: String::new(),
        };
        let kit = kit.summed();
        let text = page::write(&kit)?;
        let page = page.get_or_init(|| text);
        durable::create_new(output, page.as_bytes())?;
        Ok(kit)
    };
    match made() {
        Ok(kit) => Ok(Exported { kit, others, lacks_config }),
        Err(error) => {
            // It may be there and not safe: a page whose key is gone must not be taken for a kit.
            if page
                .get()
                .is_some_and(|page| std::fs::read(output).is_ok_and(|there| there == page.as_bytes()))
            {
                drop(std::fs::remove_file(output));
            }
            // Why no kit was made is told first; a key that nobody has opens nothing.
            drop(repository.remove_key(&slot));
            Err(error)
        }
    }
}

fn lacks_config(workplace: &Workplace, repository: &Repository) -> Option<String> {
    let file = workplace.config_file.as_ref().filter(|_| workplace.config.own().is_some())?;
    match Configuration::newest(workplace, repository, Some(&host())) {
        Ok(found) if std::fs::read(file).is_ok_and(|now| now == found.bytes) => None,
        Ok(found) => Some(format!("what {} has of it is another one", found.snapshot.manifest.backup_id)),
        Err(error) => Some(error.to_string()),
    }
}

/// The config and the key slots, as they are.
fn copies(backend: &dyn Backend) -> Result<Vec<Copied>> {
    let store = |e| Error::from(chronos_store::Error::from(e));
    let slots = backend.list(SLOTS, None, SLOTS_MAX).map_err(store)?;
    let names = std::iter::once(CONFIG_OBJECT.to_owned()).chain(slots.into_iter().map(|entry| entry.name));
    let copied = names.map(|name| {
        let bytes = backend.read(&name, None).map_err(store)?;
        let text = text(&name, bytes)?;
        Ok(Copied { name, text })
    });
    copied.collect()
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String> {
    Ok(String::from_utf8(bytes).map_err(|_| chronos_store::Error::damaged(name, "it is no text"))?)
}
