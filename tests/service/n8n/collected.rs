//! All that a source gives, in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use chronos_connect::Secret;
use chronos_connect::n8n::{Limits, N8nOptions, N8nSource, Parts, Server, Way};
use chronos_snapshot::{Item, Origin, PathError, Source, SourceOutcome};
use serde_json::Value;

/// What came.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Files by path.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) problems: Vec<PathError>,
    pub(crate) failed: Option<String>,
    pub(crate) outcome: SourceOutcome,
}

impl Collected {
    /// A file as JSON.
    pub(crate) fn json(&self, path: &str) -> Value {
        let bytes =
            self.files.get(path).unwrap_or_else(|| panic!("{path} is not in {:?}", self.files.keys()));
        serde_json::from_slice(bytes).unwrap()
    }

    /// Ids of the workflows.
    pub(crate) fn ids(&self) -> Vec<String> {
        let names = self.files.keys().filter_map(|path| path.strip_prefix("n8n/workflows/"));
        names.map(|name| chronos_connect::n8n::id_of_file(name).unwrap()).collect()
    }

    /// A workflow by its id.
    pub(crate) fn workflow(&self, id: &str) -> Value {
        self.json(&format!("n8n/workflows/{id}.json"))
    }
}

/// A server, and limits without patience.
pub(crate) fn api(url: &str, key: &str) -> (Server, Limits) {
    let server = Server { url: url.to_owned(), key: Some(Secret::new(key)), basic: None };
    (server, Limits { pause: Duration::from_millis(1), ..Limits::default() })
}

/// Options for everything over the API.
pub(crate) fn options(url: &str, key: &str) -> N8nOptions {
    let (server, limits) = api(url, key);
    by(Way::Api { server, limits })
}

/// Options for everything, read in this way.
pub(crate) fn by(way: Way) -> N8nOptions {
    N8nOptions { name: "n8n".to_owned(), way, parts: Parts::All, workflow: None }
}

/// Reads all of a source; checks that paths come in order.
pub(crate) fn collect(source: &mut N8nSource) -> Collected {
    let mut found = Collected::default();
    let mut last = None;
    for item in source.open().unwrap() {
        match item {
            Item::Entry(entry) => {
                assert!(last.is_none_or(|last| last < entry.path), "{}", entry.path);
                if let Origin::Bytes(bytes) = entry.origin {
                    assert_eq!(entry.node.size(), bytes.len() as u64);
                    found.files.insert(entry.path.to_string(), bytes);
                }
                last = Some(entry.path);
            }
            Item::Problem(problem) => found.problems.push(problem),
            Item::Failed(why) => found.failed = Some(why),
        }
    }
    found.outcome = source.outcome();
    found
}

/// Reads all of a server.
pub(crate) fn take(url: &str, key: &str) -> Collected {
    collect(&mut N8nSource::new(options(url, key)).unwrap())
}
