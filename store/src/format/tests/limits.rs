//! Every limit of stored structures, at the limit and one beyond it.

use super::keys;
use crate::compress::compress;
use crate::crypto::{Kdf, KeySlot, Purpose, SUITE, Secrets, SessionKeys};
use crate::env::Env;
use crate::error::{ErrorKind, Result};
use crate::format::config::Config;
use crate::format::pack::FRAME_BYTES_MAX;
use crate::format::{
    CHUNKS_PER_FRAME_MAX, Codec, FRAMES_PER_PACK_MAX, Footer, Frame, Header, ObjectKind, Origin, PackHead,
    Sealed, Toc, TocChunk, open_frame,
};
use crate::id::{ChunkId, ChunkKind, RepositoryId};
use crate::refs::{REFS_MAX, RefList};
use crate::repository::Secret;

const CONFIG_BYTES_MAX: usize = 64 << 10;
const SLOT_BYTES_MAX: usize = 16 << 10;
const TOC_BYTES_MAX: usize = 256 << 20;
const SECTION_BYTES_MAX: usize = 1 << 30;

#[test]
fn reference_lists() {
    for (n, fits) in [(REFS_MAX, true), (REFS_MAX + 1, false)] {
        let ids = vec![ChunkId([0; 32]); n];
        for list in [
            RefList { children: ids.clone(), ..RefList::default() },
            RefList { data: ids, ..RefList::default() },
        ] {
            assert_eq!(RefList::decode(&list.encode()).is_ok(), fits, "{n}");
        }
    }
}

#[test]
fn configs() {
    let of_length = |length: usize| {
        let config = |fill: usize| Config::new(RepositoryId([3; 16]), "x".repeat(fill));
        let bare = config(0).encode(&keys()).unwrap().len();
        let bytes = config(length - bare).encode(&keys()).unwrap();
        assert_eq!(bytes.len(), length);
        Config::decode(&bytes).is_ok()
    };
    assert!(of_length(CONFIG_BYTES_MAX) && !of_length(CONFIG_BYTES_MAX + 1));
}

fn slot(label: &str, kdf: Kdf, secret: &Secret) -> KeySlot {
    let secrets = Secrets { master: [1; 32], chunk: [2; 32] };
    KeySlot::wrap(&Env::system(), &secrets, secret, kdf, label, "0").unwrap()
}

#[test]
fn key_slots() {
    let of_length = |length: usize| {
        let slot =
            |fill: usize| slot(&"x".repeat(fill), Kdf::KeyFile, &Secret::Key([5; 32])).encode().unwrap();
        let bytes = slot(length - slot(0).len());
        assert_eq!(bytes.len(), length);
        KeySlot::decode("keys/0", &bytes).is_ok()
    };
    assert!(of_length(SLOT_BYTES_MAX) && !of_length(SLOT_BYTES_MAX + 1));
}

#[test]
fn key_slots_ask_for_no_more_than_they_may() {
    let password = Secret::Password("x".to_owned());
    let asks = |memory_kib, passes| {
        let mut slot = slot("", Kdf::Password { memory_kib: 8, passes: 1 }, &password);
        slot.kdf = Kdf::Password { memory_kib, passes };
        slot.unwrap("keys/0", &password).map(|opened| opened.is_some())
    };
    assert!(asks(8, 1).unwrap(), "its own");
    for (memory_kib, passes) in [(8, 64), (9, 2)] {
        assert!(!asks(memory_kib, passes).unwrap(), "worked out, and not its own");
    }
    for (memory_kib, passes) in [(8, 65), (8, 0), (7, 1), ((4 << 20) + 1, 1)] {
        assert_eq!(asks(memory_kib, passes).unwrap_err().kind(), ErrorKind::Damaged, "{memory_kib} {passes}");
    }
}

fn table(frames: usize, chunks: usize) -> Result<Toc> {
    let mut toc = Toc { origins: vec![Origin { salt: [1; 32], capsule: [2; 32] }], ..Toc::default() };
    for number in 0..frames {
        toc.frames.push(Frame {
            offset: 96 + 17 * number as u64,
            sealed: 17,
            raw: 0,
            codec: Codec::Raw,
            kind: ChunkKind::Data,
            chunks: chunks as u16,
            origin: 0,
            number: number as u32,
        });
        toc.chunks.extend(vec![TocChunk { id: ChunkId([0; 32]), length: 0 }; chunks]);
    }
    Toc::decode("pack", &toc.encode(), 96, 96 + 17 * frames as u64)
}

#[test]
fn tables_of_contents() {
    assert!(table(FRAMES_PER_PACK_MAX, 0).is_ok() && table(FRAMES_PER_PACK_MAX + 1, 0).is_err());
    assert!(table(1, CHUNKS_PER_FRAME_MAX).is_ok());
    assert!(table(1, CHUNKS_PER_FRAME_MAX + 1).is_err(), "a frame has 16 bits for their number");
    let stated = |length: usize| {
        let env = Env::system();
        let head = PackHead { salt: [8; 32], capsule: SessionKeys::new(&env, &keys()).unwrap().capsule() };
        let mut sealed = (length as u32).to_le_bytes().to_vec();
        sealed.extend(compress(b"table", 1).unwrap());
        keys().object_key(Purpose::Index, &head.salt).unwrap().seal(u64::MAX, b"pack", &mut sealed).unwrap();
        let footer = Footer { head, toc_offset: 96, toc_length: sealed.len() as u32, hash: [0; 32] };
        footer.open_toc("pack", &keys(), sealed).unwrap_err().to_string()
    };
    assert!(!stated(TOC_BYTES_MAX).contains("too long") && stated(TOC_BYTES_MAX + 1).contains("too long"));
}

#[test]
fn frames() {
    let session = SessionKeys::new(&Env::system(), &keys()).unwrap();
    let key = session.frame_key(ChunkKind::Data, &[8; 32]).unwrap();
    for (length, fits) in [(FRAME_BYTES_MAX, true), (FRAME_BYTES_MAX + 1, false)] {
        let plain = vec![0; length];
        for (codec, mut sealed) in [(Codec::Raw, plain.clone()), (Codec::Zstd, compress(&plain, 1).unwrap())]
        {
            key.seal(0, &[SUITE, 0], &mut sealed).unwrap();
            let frame = Frame {
                offset: 96,
                sealed: sealed.len() as u32,
                raw: length as u32,
                codec,
                kind: ChunkKind::Data,
                chunks: 1,
                origin: 0,
                number: 0,
            };
            assert_eq!(open_frame("pack", &session, &[8; 32], &frame, sealed).is_ok(), fits, "{codec:?}");
        }
    }
}

#[test]
fn sections() {
    let stated = |length: usize| {
        let header = Header { kind: ObjectKind::State, salt: [4; 32] }.encode();
        let mut section = (length as u32).to_le_bytes().to_vec();
        section.extend(compress(b"section", 1).unwrap());
        let aad = [&header[..], b"state/1"].concat();
        keys().object_key(Purpose::Index, &[4; 32]).unwrap().seal(0, &aad, &mut section).unwrap();
        let object = [&header[..], &(section.len() as u32).to_le_bytes(), &section].concat();
        let sealed = Sealed { keys: &keys(), kind: ObjectKind::State, name: "state/1" };
        sealed.open(&object, &[Purpose::Index]).map(|_| ()).map_err(|e| e.to_string())
    };
    assert!(stated(7).is_ok());
    assert!(!stated(SECTION_BYTES_MAX).unwrap_err().contains("too large"));
    assert!(stated(SECTION_BYTES_MAX + 1).unwrap_err().contains("too large"));
}
