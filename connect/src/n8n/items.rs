//! The items of an open source, in the order of their paths.

use std::fmt;
use std::sync::mpsc::Receiver;

use chronos_snapshot::{Item, PathError, SourcePart, TreePath, counted};

use crate::n8n::error::{Error, Result};
use crate::n8n::node;
use crate::n8n::reading::{Fetching, Prepared, Read};
use crate::n8n::said::Said;

/// Workflows one after the other that cannot be read before the whole source counts as failed.
const FAILED_IN_A_ROW_MAX: u32 = 5;

/// Gives what was prepared, then the workflows as they come, then ends.
pub(super) struct Items {
    folder: TreePath,
    said: Said,
    stage: Stage,
    failed_in_a_row: u32,
    count: u64,
    bytes: u64,
    gone: u64,
}

enum Stage {
    Preparing(Receiver<Result<Prepared>>),
    Giving(std::vec::IntoIter<Item>, Option<Fetching>),
    Ended,
}

impl Items {
    pub(super) fn new(folder: &TreePath, said: Said, prepared: Receiver<Result<Prepared>>) -> Self {
        let stage = Stage::Preparing(prepared);
        Self { folder: folder.clone(), said, stage, failed_in_a_row: 0, count: 0, bytes: 0, gone: 0 }
    }

    fn fail(&mut self, error: Error) -> Item {
        self.stage = Stage::Ended;
        let why = error.to_string();
        self.said.failed(error);
        Item::Failed(why)
    }

    /// The next workflow; `None` for one that is gone.
    fn workflow(&mut self, name: &str, read: Result<Option<Read>>) -> Option<Item> {
        let path = match node::below(&self.folder, &format!("workflows/{name}")) {
            Ok(path) => path,
            Err(error) => return Some(self.fail(error)),
        };
        match read {
            Ok(Some(Read { bytes, time })) => {
                self.failed_in_a_row = 0;
                self.count += 1;
                self.bytes += bytes.len() as u64;
                Some(node::file(path, bytes, time))
            }
            Ok(None) => {
                self.gone += 1;
                None
            }
            Err(error) => {
                self.failed_in_a_row += 1;
                if error.is_of_the_server() || self.failed_in_a_row >= FAILED_IN_A_ROW_MAX {
                    return Some(self.fail(error));
                }
                Some(Item::Problem(PathError { path: format!("/{path}"), error: error.to_string() }))
            }
        }
    }

    /// Says what the workflows came to.
    fn finish(&mut self) {
        self.said.part(SourcePart {
            file: format!("{}/workflows", self.folder),
            kind: "workflows".to_owned(),
            count: Some(self.count),
            size: Some(self.bytes),
            error: None,
        });
        if self.gone > 0 {
            self.said
                .note(format!("{} disappeared while the others were read", counted(self.gone, "workflow")));
        }
    }
}

impl Iterator for Items {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            match &mut self.stage {
                Stage::Ended => return None,
                Stage::Preparing(prepared) => match prepared.recv() {
                    Ok(Ok(Prepared { items, workflows })) => {
                        self.stage = Stage::Giving(items.into_iter(), workflows);
                    }
                    Ok(Err(error)) => return Some(self.fail(error)),
                    Err(_) => return Some(self.fail(Error::Interrupted)),
                },
                Stage::Giving(items, workflows) => {
                    if let Some(item) = items.next() {
                        return Some(item);
                    }
                    let found = workflows.as_mut().map(Iterator::next);
                    match found {
                        Some(Some(Some((name, read)))) => {
                            if let Some(item) = self.workflow(&name, read) {
                                return Some(item);
                            }
                        }
                        Some(Some(None)) => return Some(self.fail(Error::Interrupted)),
                        Some(None) => {
                            self.finish();
                            self.stage = Stage::Ended;
                        }
                        None => self.stage = Stage::Ended,
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items")
            .field("folder", &self.folder)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
