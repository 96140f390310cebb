//! An object store on a bad line, as a place for the suites of the engine: some requests are refused, some connections close before or
//! after the request is carried out, some answers are late.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use chronos_remote::{Location, OpenOptions, Variables, open};
use chronos_store::backend::{Backend, BackendResult, Durability, Entry, Upkeep};
use chronos_tests::{S3Fault, S3Rule, S3Server};

/// Before every key.
const PREFIX: &str = "r/";

/// Of many calls, each of which is struck in a run of its own, every so many: each run takes hundreds of requests.
pub(crate) const STRUCK: usize = 16;

/// A bucket with faults; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    server: Arc<S3Server>,
    backend: Arc<dyn Backend>,
}

/// What happens to requests: every so many of a method. Each costs a pause before it is repeated, so they are few.
pub(crate) fn faults() -> Vec<S3Rule> {
    let rule =
        |method, every, fault| S3Rule { skip: every - 1, every, ..S3Rule::always(Some(method), fault) };
    vec![
        rule("PUT", 19, S3Fault::DoneButClosed),
        rule("PUT", 31, S3Fault::Refused(503)),
        rule("PUT", 41, S3Fault::DoneButAnswered(500)),
        rule("GET", 37, S3Fault::Closed),
        rule("GET", 53, S3Fault::Late(Duration::from_millis(50))),
        rule("LIST", 29, S3Fault::Refused(503)),
        rule("HEAD", 43, S3Fault::Closed),
        rule("DELETE", 17, S3Fault::DoneButClosed),
    ]
}

impl Place {
    pub(crate) fn new() -> Self {
        let server = S3Server::new();
        faults().into_iter().for_each(|rule| server.add(rule));
        let variables: Variables = server.variables().into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let location = Location::parse(&server.location(PREFIX.trim_end_matches('/'))).unwrap();
        let backend = open(&location, &OpenOptions { variables, ..OpenOptions::default() }).unwrap();
        Self { server: Arc::new(server), backend }
    }

    /// A place of its own with everything as it is now.
    pub(crate) fn fork(&self) -> Self {
        let fork = Self::new();
        fork.server.objects().content().clone_from(&self.server.objects().content());
        fork
    }

    /// A copy of everything as it is now.
    pub(crate) fn content(&self) -> BTreeMap<String, Arc<[u8]>> {
        let content = self.server.objects().content().clone();
        let named = content
            .into_iter()
            .filter_map(|(key, bytes)| Some((key.strip_prefix(PREFIX)?.to_owned(), bytes)));
        named.map(|(name, bytes)| (name, Arc::from(&bytes[..]))).collect()
    }

    /// Replaces the bytes of an object, or removes it.
    pub(crate) fn damage(&self, name: &str, bytes: Option<&[u8]>) {
        let (key, mut content) = (format!("{PREFIX}{name}"), self.server.objects().content());
        match bytes {
            Some(bytes) => content.insert(key, bytes.to_vec().into()),
            None => content.remove(&key),
        };
    }
}

impl Backend for Place {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        self.backend.list(prefix, after, limit)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.backend.stat(name)
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        self.backend.read(name, range)
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        self.backend.write_new(name, bytes, durability)
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        self.backend.remove(name)
    }

    fn sync(&self) -> BackendResult<()> {
        self.backend.sync()
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        self.backend.maintain(work)
    }

    fn lanes(&self) -> usize {
        self.backend.lanes()
    }

    fn location(&self) -> String {
        self.backend.location()
    }
}
