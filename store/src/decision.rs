//! The decision of a session: `committed`, `closed` or `revoked` (rule R2). The object that makes a snapshot exist.

use serde::{Deserialize, Serialize};

use crate::crypto::{Keys, Purpose};
use crate::error::{Error, Result};
use crate::format::{ObjectKind, Sealed};
use crate::id::{ChunkId, PackName, SessionId};
use crate::names;

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is a snapshot.
    Committed,
    /// No snapshot; its packs count.
    Closed,
    /// Nothing of it counts.
    Revoked,
    /// Its decision is damaged and was in no state: written by repair alone. Its packs can be read and are kept, nobody deduplicates
    /// against them.
    Unknown,
}

/// A pack that a decision names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnPack(
    /// Number in the session.
    pub(crate) u32,
    /// Attempt.
    pub(crate) u32,
    /// Size in bytes.
    pub(crate) u64,
);

/// What a decision says of packs and roots; sealed for whoever may prune.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Core {
    /// How the session ended.
    pub(crate) outcome: Outcome,
    /// What the snapshot keeps alive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) roots: Vec<ChunkId>,
    /// Packs of the session, if it has no runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) packs: Vec<OwnPack>,
    /// Index runs of the session, which name its packs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) runs: Vec<String>,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The session that it ends.
    pub(crate) session: SessionId,
    /// Packs and roots.
    pub(crate) core: Core,
    /// The manifest of a snapshot; empty otherwise.
    pub(crate) manifest: Vec<u8>,
}

const SECTIONS: [Purpose; 2] = [Purpose::Index, Purpose::Manifest];

impl Decision {
    /// A decision that names packs and no snapshot.
    pub(crate) fn without_snapshot(
        session: SessionId,
        outcome: Outcome,
        packs: Vec<OwnPack>,
        runs: Vec<String>,
    ) -> Self {
        Self { session, core: Core { outcome, roots: Vec::new(), packs, runs }, manifest: Vec::new() }
    }

    /// The sealed object.
    pub(crate) fn encode(&self, keys: &Keys, salt: [u8; 32]) -> Result<Vec<u8>> {
        self.encode_as(&names::decision(&self.session), keys, salt)
    }

    /// The sealed object under another name.
    pub(crate) fn encode_as(&self, name: &str, keys: &Keys, salt: [u8; 32]) -> Result<Vec<u8>> {
        let core = serde_json::to_vec(&self.core).map_err(|e| Error::Invalid(e.to_string()))?;
        Sealed { keys, kind: ObjectKind::Decision, name }
            .seal(salt, &[(Purpose::Index, &core), (Purpose::Manifest, &self.manifest)])
    }

    /// Opens the object of `session`.
    pub(crate) fn decode(keys: &Keys, session: &SessionId, bytes: &[u8]) -> Result<Self> {
        Self::decode_as(&names::decision(session), keys, session, bytes)
    }

    /// Opens the object `name`, which is of `session`.
    pub(crate) fn decode_as(name: &str, keys: &Keys, session: &SessionId, bytes: &[u8]) -> Result<Self> {
        let sections = Sealed { keys, kind: ObjectKind::Decision, name }.open(bytes, &SECTIONS)?;
        let [core, manifest] = <[Vec<u8>; 2]>::try_from(sections)
            .map_err(|_| Error::damaged(name, "it has too few sections"))?;
        let core = serde_json::from_slice(&core).map_err(|e| Error::damaged(name, e))?;
        Ok(Self { session: session.clone(), core, manifest })
    }
}

/// Full names of packs that `session` names.
pub(crate) fn own_packs(session: &SessionId, packs: &[OwnPack]) -> impl Iterator<Item = (PackName, u64)> {
    packs.iter().map(|p| (PackName { session: session.clone(), seq: p.0, attempt: p.1 }, p.2))
}
