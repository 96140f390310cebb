//! Where the repositories are: in a folder, or in an object store at the end of a line.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use chronos_tests::S3Server;

use crate::link::{self, Line};
use crate::measure::du;

/// The folder of a repository below that of its tool.
const FOLDER: &str = "repository";

/// Where the repositories of all tools are.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Beside the data.
    Folder,
    /// In a bucket.
    Bucket(Arc<Bucket>),
}

/// An object store in memory, and the line to it.
#[derive(Debug)]
pub(crate) struct Bucket {
    server: S3Server,
    /// Where a tool reaches it.
    pub(crate) endpoint: String,
}

impl Place {
    /// A bucket at the end of a line.
    pub(crate) fn bucket(line: Line) -> Result<Self> {
        let server = S3Server::new();
        let address =
            server.endpoint().trim_start_matches("http://").parse().context("where the server is")?;
        let endpoint = format!("http://{}", link::open(address, line)?);
        Ok(Self::Bucket(Arc::new(Bucket { server, endpoint })))
    }

    /// Bytes of the repository of a tool, which is the only one.
    pub(crate) fn stored(&self, place: &Path) -> Result<u64> {
        match self {
            Self::Folder => du(&place.join(FOLDER)),
            Self::Bucket(bucket) => {
                Ok(bucket.server.objects().content().values().map(|bytes| bytes.len() as u64).sum())
            }
        }
    }

    /// Removes that repository.
    pub(crate) fn clear(&self, place: &Path) -> Result<()> {
        match self {
            Self::Folder => std::fs::remove_dir_all(place.join(FOLDER))?,
            Self::Bucket(bucket) => bucket.server.objects().content().clear(),
        }
        Ok(())
    }

    /// Requests since the last call; `None` where there are none.
    pub(crate) fn take_requests(&self) -> Option<u64> {
        match self {
            Self::Folder => None,
            Self::Bucket(bucket) => Some(bucket.server.take_counts().values().sum()),
        }
    }
}

impl Bucket {
    /// Variables by which a tool finds its credentials.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        self.server.variables()
    }
}
