//! The storage contract on top of an object store.

use std::fmt::{self, Debug};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chronos_store::backend::{
    Backend, BackendError, BackendResult, Durability, Entry, OBJECT_BYTES_MAX, check_name, check_prefix,
    check_range, check_size,
};
use futures_util::TryStreamExt;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use super::connection::PATIENCE;
use super::failure;
use crate::location::Bucket;
use crate::runtime;

/// Most names in one answer; none gives more.
const PAGE: usize = 1000;

/// Calls under way at a time: with objects of 16 MiB a line of 1 Gbit/s and 100 ms is full.
const LANES: usize = 4;

/// Pages without a name that are looked behind, one after the other.
const EMPTY_PAGES_MAX: usize = 100;

/// Bytes that go out at a time, so that it shows how an upload gets on.
const UPLOAD_PART_BYTES: usize = 64 << 10;

/// What an object store has to be able to do.
pub(super) trait Store: ObjectStore + PaginatedListStore {}

impl<S: ObjectStore + PaginatedListStore> Store for S {}

/// A bucket, or a part of it.
#[derive(Clone)]
pub(crate) struct ObjectBackend {
    store: Arc<dyn Store>,
    /// What stands before each name: empty, or ends with a slash.
    root: Arc<str>,
    shown: Arc<str>,
    /// The bucket has answered once.
    is_there: Arc<AtomicBool>,
}

impl ObjectBackend {
    pub(super) fn new(store: Arc<dyn Store>, bucket: &Bucket) -> Self {
        let root = if bucket.prefix.is_empty() { String::new() } else { format!("{}/", bucket.prefix) };
        let (root, shown) = (root.into(), bucket.to_string().into());
        Self { store, root, shown, is_there: Arc::default() }
    }

    fn path(&self, name: &str) -> BackendResult<Path> {
        check_name(name)?;
        Path::parse(format!("{}{name}", self.root)).map_err(|e| BackendError::Invalid(e.to_string()))
    }

    /// Runs a call that answers within `limit`, and puts its failure into words.
    fn call<T: Send + 'static>(
        &self,
        name: &str,
        limit: Option<Duration>,
        call: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> BackendResult<T> {
        let late = |_| BackendError::io(name, ErrorKind::TimedOut.into());
        let limited = async move {
            match limit {
                Some(limit) => tokio::time::timeout(limit, call).await,
                None => Ok(call.await),
            }
        };
        let answer = runtime::wait(limited).map_err(|error| BackendError::io(name, error))?.map_err(late)?;
        let answer = answer.map_err(|e| failure::of(name, e))?;
        self.is_there.store(true, Ordering::Relaxed);
        Ok(answer)
    }

    async fn page(
        store: Arc<dyn Store>,
        prefix: String,
        options: PaginatedListOptions,
    ) -> object_store::Result<(Vec<(String, u64)>, Option<String>)> {
        let page = store.list_paginated(Some(&prefix), options).await?;
        let objects = page.result.objects.into_iter();
        Ok((objects.map(|object| (object.location.to_string(), object.size)).collect(), page.page_token))
    }
}

/// Where it is alone: what the library holds has keys in it.
impl Debug for ObjectBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectBackend").field(&self.shown).finish()
    }
}

impl Backend for ObjectBackend {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        check_prefix(prefix)?;
        let after = after.filter(|after| !after.is_empty());
        let full = |text: &str| format!("{}{text}", self.root);
        let mut found: Vec<Entry> = Vec::new();
        let (mut page_token, mut last, mut empty) = (None, String::new(), 0);
        while found.len() < limit {
            let options = PaginatedListOptions {
                offset: after.map(full),
                max_keys: Some(PAGE.min(limit - found.len())),
                page_token: page_token.take(),
                ..PaginatedListOptions::default()
            };
            let page = Self::page(Arc::clone(&self.store), full(prefix), options);
            let (objects, next) = self.call(prefix, Some(PATIENCE), page)?;
            empty = if objects.is_empty() { empty + 1 } else { 0 };
            let is_behind = objects.last().is_some_and(|(path, _)| *path <= last);
            if next.is_some() && (is_behind || empty > EMPTY_PAGES_MAX) {
                return Err(BackendError::Invalid(format!(
                    "{}: {}",
                    self.shown,
                    failure::Unfit::EndlessLists
                )));
            }
            last = objects.last().map_or(last, |(path, _)| path.clone());
            for (path, size) in objects {
                let Some(name) = path.strip_prefix(&*self.root) else { continue };
                // What others have put there is none of ours, and a server that does not know `after` begins at the beginning.
                if check_name(name).is_err() || !name.starts_with(prefix) || after.is_some_and(|a| name <= a)
                {
                    continue;
                }
                if found.last().is_some_and(|last| last.name.as_str() >= name) {
                    return Err(BackendError::Invalid(format!("{}: its lists are not in order", self.shown)));
                }
                found.push(Entry { name: name.to_owned(), size });
            }
            page_token = next;
            if page_token.is_none() {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        let head = {
            let (store, path) = (Arc::clone(&store), path.clone());
            async move { Ok(store.head(&path).await?.size) }
        };
        match self.call(name, Some(PATIENCE), head) {
            // An answer to HEAD has no words: it may be the bucket that is missing, or somebody else who answers.
            Err(BackendError::NotFound(_)) if !self.is_there.load(Ordering::Relaxed) => {}
            size => return size,
        }
        let get = async move { store.get_opts(&path, GetOptions::default()).await };
        let found = self.call(name, Some(PATIENCE), get);
        if matches!(found, Err(BackendError::NotFound(_))) {
            self.is_there.store(true, Ordering::Relaxed);
        }
        Ok(found?.meta.size)
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        let path = self.path(name)?;
        if let Some(range) = &range {
            check_range(name, range, u64::MAX)?;
            // There is no request for nothing, and none for what no object has.
            if range.is_empty() || range.end > OBJECT_BYTES_MAX as u64 {
                return check_range(name, range, self.stat(name)?).map(|()| Vec::new());
            }
        }
        let store = Arc::clone(&self.store);
        let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let got = self.call(name, Some(PATIENCE), async move { store.get_opts(&path, options).await });
        let got = match (got, &range) {
            (Err(error), Some(range)) if is_of_range(&error) => {
                return check_range(name, range, self.stat(name)?).and(Err(error));
            }
            (got, _) => got?,
        };
        if let Some(range) = &range {
            check_range(name, range, got.meta.size)?;
        }
        let content = runtime::wait(content(got)).map_err(|e| BackendError::io(name, e))?;
        content.map_err(|e| {
            e.map_or_else(|| BackendError::io(name, ErrorKind::TimedOut.into()), |e| failure::of(name, e))
        })
    }

    fn write_new(&self, name: &str, bytes: &[u8], _durability: Durability) -> BackendResult<()> {
        let path = self.path(name)?;
        check_size(name, bytes.len() as u64)?;
        let store = Arc::clone(&self.store);
        let payload: PutPayload = bytes.chunks(UPLOAD_PART_BYTES).map(Bytes::copy_from_slice).collect();
        let put = async move { store.put_opts(&path, payload, PutMode::Create.into()).await };
        // The connection knows how much of it has gone out, and how long that may take.
        self.call(name, None, put).map(drop)
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        let (store, path) = (Arc::clone(&self.store), self.path(name)?);
        match self.call(name, Some(PATIENCE), async move { store.delete(&path).await }) {
            Err(BackendError::NotFound(_)) => Ok(()),
            outcome => outcome,
        }
    }

    /// A request is answered once its object is safe, and shows everywhere.
    fn sync(&self) -> BackendResult<()> {
        Ok(())
    }

    fn lanes(&self) -> usize {
        LANES
    }

    fn location(&self) -> String {
        self.shown.to_string()
    }
}

/// The bytes of an answer; `Err(None)` if they stop coming.
async fn content(got: GetResult) -> Result<Vec<u8>, Option<object_store::Error>> {
    let wanted = (got.range.end - got.range.start) as usize;
    let too_long =
        || object_store::Error::Generic { store: "answer", source: Box::new(failure::Unfit::TooLong) };
    if wanted > OBJECT_BYTES_MAX {
        return Err(Some(too_long()));
    }
    let mut all = BytesMut::with_capacity(wanted);
    let mut stream = got.into_stream();
    let mut next =
        async || tokio::time::timeout(PATIENCE, stream.try_next()).await.map_err(|_| None)?.map_err(Some);
    while let Some(part) = next().await? {
        all.extend_from_slice(&part);
        if all.len() > wanted {
            return Err(Some(too_long()));
        }
    }
    if all.len() != wanted {
        let short = io::Error::from(ErrorKind::ConnectionReset);
        return Err(Some(object_store::Error::Generic { store: "answer", source: Box::new(short) }));
    }
    Ok(all.into())
}

fn is_of_range(error: &BackendError) -> bool {
    let BackendError::Io { source, .. } = error else { return false };
    let answer = source.get_ref().and_then(|e| e.downcast_ref::<failure::Answer>());
    answer.is_some_and(|answer| answer.status == 416)
}
