//! The objects of the S3 server for tests: in memory, every answer as Amazon gives it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use s3s::dto::{
    CommonPrefix, DeleteObjectInput, DeleteObjectOutput, ETag, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object, PutObjectInput,
    PutObjectOutput, StreamingBlob,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

/// Name of the one bucket there is.
pub const BUCKET: &str = "backup";

/// Objects by key.
pub type Content = BTreeMap<String, Bytes>;

/// The bucket; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    content: Arc<Mutex<Content>>,
    flaw: Option<S3Flaw>,
}

/// What a server gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Flaw {
    /// Answers 200 to a conditional write and overwrites, as several servers do.
    IgnoresConditions,
    /// Answers 200 and all of an object where a part is asked for.
    IgnoresRanges,
    /// Gives the first page of a list again and again.
    RepeatsPages,
}

/// The key of a client: it may write what is not there, and delete nothing.
pub(super) const CLIENT_KEY_ID: &str = "client-key-id";

impl Objects {
    /// An empty bucket.
    pub(super) fn new(flaw: Option<S3Flaw>) -> Self {
        Self { content: Arc::default(), flaw }
    }

    /// What it holds now; tests may damage it.
    pub fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap()
    }

    fn get(&self, bucket: &str, key: &str) -> S3Result<Bytes> {
        of_bucket(bucket)?;
        self.content().get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))
    }
}

fn is_client<T>(request: &S3Request<T>) -> bool {
    request.credentials.as_ref().is_some_and(|who| who.access_key == CLIENT_KEY_ID)
}

fn of_bucket(bucket: &str) -> S3Result<()> {
    if bucket == BUCKET {
        Ok(())
    } else {
        Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }
}

fn etag(bytes: &[u8]) -> ETag {
    ETag::Strong(blake3::hash(bytes).to_hex().chars().take(32).collect())
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let GetObjectInput { bucket, key, range, .. } = request.input;
        let bytes = self.get(&bucket, &key)?;
        let size = bytes.len() as u64;
        let (part, content_range) = match range.filter(|_| self.flaw != Some(S3Flaw::IgnoresRanges)) {
            None => (bytes.clone(), None),
            Some(range) => {
                let part = range.check(size).map_err(|_| s3_error!(InvalidRange))?;
                let told = format!("bytes {}-{}/{size}", part.start, part.end - 1);
                (bytes.slice(part.start as usize..part.end as usize), Some(told))
            }
        };
        let length = i64::try_from(part.len()).ok();
        let body = futures_util::stream::iter([Ok::<_, std::io::Error>(part)]);
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(body)),
            content_length: length,
            content_range,
            e_tag: Some(etag(&bytes)),
            last_modified: Some(std::time::SystemTime::UNIX_EPOCH.into()),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let bytes = self.get(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(bytes.len()).ok(),
            e_tag: Some(etag(&bytes)),
            last_modified: Some(std::time::SystemTime::UNIX_EPOCH.into()),
            ..HeadObjectOutput::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let is_client = is_client(&request);
        let PutObjectInput { bucket, key, body, if_none_match, .. } = request.input;
        of_bucket(&bucket)?;
        if is_client && if_none_match.is_none() {
            return Err(s3_error!(AccessDenied, "This key writes only what is not there"));
        }
        let mut body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let mut bytes = BytesMut::new();
        while let Some(part) = body.try_next().await.map_err(|_| s3_error!(IncompleteBody))? {
            bytes.extend_from_slice(&part);
        }
        let bytes = bytes.freeze();
        let mut content = self.content();
        if if_none_match.is_some()
            && content.contains_key(&key)
            && self.flaw != Some(S3Flaw::IgnoresConditions)
        {
            return Err(s3_error!(PreconditionFailed));
        }
        let e_tag = Some(etag(&bytes));
        content.insert(key, bytes);
        Ok(S3Response::new(PutObjectOutput { e_tag, ..PutObjectOutput::default() }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        of_bucket(&request.input.bucket)?;
        if is_client(&request) {
            return Err(s3_error!(AccessDenied, "This key deletes nothing"));
        }
        self.content().remove(&request.input.key);
        Ok(S3Response::with_status(DeleteObjectOutput::default(), http::StatusCode::NO_CONTENT))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        of_bucket(&request.input.bucket).map(|()| S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        of_bucket(&request.input.bucket).map(|()| S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let ListObjectsV2Input {
            bucket, prefix, max_keys, start_after, continuation_token, delimiter, ..
        } = request.input;
        of_bucket(&bucket)?;
        let prefix = prefix.unwrap_or_default();
        let limit = max_keys.unwrap_or(1000).clamp(0, 1000) as usize;
        // A token is the last key that was told.
        let token = continuation_token.filter(|_| self.flaw != Some(S3Flaw::RepeatsPages));
        let after = token.or(start_after).filter(|after| *after >= prefix);
        let from = after.map_or(Bound::Included(prefix.clone()), Bound::Excluded);
        let content = self.content();
        let mut all = content.range((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(&prefix));
        let folder = |key: &String| {
            let delimiter = delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
            let end = key.get(prefix.len()..)?.find(delimiter)?;
            key.get(..prefix.len() + end + delimiter.len()).map(str::to_owned)
        };
        let (mut page, mut folders, mut next) = (Vec::new(), BTreeSet::new(), None);
        let mut is_truncated = false;
        for (key, bytes) in all.by_ref() {
            let folder = folder(key);
            let is_known = folder.as_ref().is_some_and(|folder| folders.contains(folder));
            if !is_known && page.len() + folders.len() == limit {
                is_truncated = true;
                break;
            }
            match folder {
                Some(folder) => drop(folders.insert(folder)),
                None => page.push((key, bytes)),
            }
            next = Some(key.clone());
        }
        let next = next.filter(|_| is_truncated);
        let object = |(key, bytes): (&String, &Bytes)| Object {
            key: Some(key.clone()),
            size: i64::try_from(bytes.len()).ok(),
            e_tag: Some(etag(bytes)),
            last_modified: Some(std::time::SystemTime::UNIX_EPOCH.into()),
            ..Object::default()
        };
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(page.len() + folders.len()).ok(),
            max_keys: i32::try_from(limit).ok(),
            is_truncated: Some(is_truncated),
            next_continuation_token: next,
            name: Some(bucket),
            prefix: Some(prefix),
            contents: Some(page.into_iter().map(object).collect()),
            common_prefixes: Some(
                folders.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect(),
            ),
            ..ListObjectsV2Output::default()
        }))
    }
}
