//! Everything that is derived from the secrets of a repository.

use std::fmt;
use std::sync::Arc;

use chronos_gear::Gear;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::aead::SealKey;
use crate::error::Result;
use crate::id::{ChunkId, ChunkKind};

/// The secrets that a key slot wraps.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secrets {
    /// Master key: everything that seals.
    pub(crate) master: [u8; 32],
    /// Chunk secret: chunk ids and cut points. Shared by repositories that were made `--like` each other.
    pub(crate) chunk: [u8; 32],
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// What a sealed section holds; each has its own base key, so that a role can be given some and not others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Tables of contents, runs, log records, the core of decisions and states: ids and places, no names.
    Index,
    /// Manifests: names and attributes of snapshots.
    Manifest,
}

/// All keys of an owner.
pub(crate) struct Keys {
    data_id: [u8; 32],
    refs_id: [u8; 32],
    meta_id: [u8; 32],
    index: [u8; 32],
    manifest: [u8; 32],
    name: [u8; 32],
    config: [u8; 32],
    boundary: [u8; 32],
    pairs: [[u8; 32]; 3],
    gear: Arc<Gear>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let ids = [&mut self.data_id, &mut self.refs_id, &mut self.meta_id];
        let bases =
            [&mut self.index, &mut self.manifest, &mut self.name, &mut self.config, &mut self.boundary];
        for key in ids.into_iter().chain(bases).chain(&mut self.pairs) {
            key.zeroize();
        }
    }
}

impl Keys {
    /// Derives all keys. The contexts are part of the format.
    pub(crate) fn new(secrets: &Secrets) -> Self {
        let master = |context: &str| blake3::derive_key(context, &secrets.master);
        let chunk = |context: &str| blake3::derive_key(context, &secrets.chunk);
        let mut gear = [0; 256];
        let mut stream = blake3::Hasher::new_keyed(&chunk("chronos v1 gear table")).finalize_xof();
        for number in &mut gear {
            let mut bytes = [0; 8];
            stream.fill(&mut bytes);
            *number = u64::from_le_bytes(bytes);
        }
        Self {
            data_id: chunk("chronos v1 data id"),
            refs_id: chunk("chronos v1 refs id"),
            meta_id: chunk("chronos v1 meta id"),
            boundary: chunk("chronos v1 tree boundary"),
            index: master("chronos v1 index"),
            manifest: master("chronos v1 manifest"),
            name: master("chronos v1 name"),
            config: master("chronos v1 config"),
            pairs: [
                master("chronos v1 data key pair"),
                master("chronos v1 refs key pair"),
                master("chronos v1 meta key pair"),
            ],
            gear: Arc::new(Gear::new(&gear)),
        }
    }

    /// The id of a chunk.
    pub(crate) fn chunk_id(&self, kind: ChunkKind, bytes: &[u8]) -> ChunkId {
        let key = match kind {
            ChunkKind::Data => &self.data_id,
            ChunkKind::Refs => &self.refs_id,
            ChunkKind::Meta => &self.meta_id,
        };
        ChunkId(*blake3::keyed_hash(key, bytes).as_bytes())
    }

    /// The gear table: 256 secret random numbers that decide where content is cut.
    pub(crate) fn gear(&self) -> Arc<Gear> {
        Arc::clone(&self.gear)
    }

    /// The key by which trees are cut.
    pub(crate) fn boundary(&self) -> [u8; 32] {
        self.boundary
    }

    /// The key of one sealed object with its own salt.
    pub(crate) fn object_key(&self, purpose: Purpose, salt: &[u8; 32]) -> Result<SealKey> {
        let base = match purpose {
            Purpose::Index => &self.index,
            Purpose::Manifest => &self.manifest,
        };
        SealKey::new(blake3::keyed_hash(base, salt).as_bytes())
    }

    /// The keyed hash of a text, 64 hex digits.
    pub(crate) fn name(&self, domain: &str, text: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.name);
        hasher.update(&(domain.len() as u64).to_le_bytes()).update(domain.as_bytes()).update(text.as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// Authenticates the bytes of `config`.
    pub(crate) fn config_mac(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.config, bytes).as_bytes()
    }

    /// The secret half of the key pair that sessions seal to, by kind.
    pub(super) fn pair(&self, kind: ChunkKind) -> &[u8; 32] {
        let [data, refs, meta] = &self.pairs;
        match kind {
            ChunkKind::Data => data,
            ChunkKind::Refs => refs,
            ChunkKind::Meta => meta,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(master: u8, chunk: u8) -> Keys {
        Keys::new(&Secrets { master: [master; 32], chunk: [chunk; 32] })
    }

    #[test]
    fn one_content_has_another_id_for_each_kind_and_each_repository() {
        let kinds = [ChunkKind::Data, ChunkKind::Refs, ChunkKind::Meta];
        let mut ids: Vec<ChunkId> = Vec::new();
        for keys in [keys(1, 1), keys(1, 2)] {
            ids.extend(kinds.map(|kind| keys.chunk_id(kind, b"content")));
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 6);
    }

    #[test]
    fn repositories_with_one_chunk_secret_share_ids_and_cuts_and_nothing_else() {
        let (one, other) = (keys(1, 7), keys(2, 7));
        assert_eq!(one.chunk_id(ChunkKind::Data, b"x"), other.chunk_id(ChunkKind::Data, b"x"));
        assert_eq!((one.gear().table(), one.boundary()), (other.gear().table(), other.boundary()));
        assert_ne!(one.name("d", "x"), other.name("d", "x"));
        assert_ne!(one.config_mac(b"x"), other.config_mac(b"x"));
        assert_ne!(one.pair(ChunkKind::Data), other.pair(ChunkKind::Data));
        let mut sealed = Vec::from(b"message");
        let sealing = |keys: &Keys, purpose| keys.object_key(purpose, &[3; 32]);
        let sealed_by_one = sealing(&one, Purpose::Index).and_then(|key| key.seal(0, b"", &mut sealed));
        assert!(sealed_by_one.is_ok());
        for (keys, purpose, opens) in
            [(&other, Purpose::Index, false), (&one, Purpose::Manifest, false), (&one, Purpose::Index, true)]
        {
            let opened = sealing(keys, purpose).map(|key| key.open(0, b"", &mut sealed.clone()).is_some());
            assert_eq!(opened.ok(), Some(opens));
        }
    }

    #[test]
    fn keyed_names_tell_domain_from_text() {
        let keys = keys(1, 1);
        assert_ne!(keys.name("ab", "c"), keys.name("a", "bc"));
        assert_eq!(keys.name("a", "b").len(), 64);
    }
}
