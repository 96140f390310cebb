//! Targets of packs: the whole object, its table of contents, its frames.

use super::{Target, chunk, env, keys, pack_name};
use crate::compress;
use crate::crypto::{Capsule, Purpose, SessionKeys};
use crate::format::{
    Codec, Footer, Frame, Header, ObjectKind, Origin, PackHash, PackHead, Toc, TocChunk, open_frame,
    pack_tail, seal_frame,
};
use crate::id::ChunkKind;
use crate::names;
use crate::packs::{PackToc, chunks_of};
use std::sync::OnceLock;

/// Where the first frame of a pack begins.
const FIRST: u64 = 96;
/// The longest frame, and room for the rest.
const FRAME_BYTES: usize = (16 << 20) + (1 << 20);
/// Tables of contents expand to their stated length.
const EXPANDED: usize = 4 << 20;

pub(super) const TARGETS: &[Target] = &[
    Target::new("pack", pack, pack_seeds),
    Target::new("toc", toc, toc_seeds),
    Target::new("toc_section", toc_section, toc_section_seeds).within(64, EXPANDED),
    Target::new("frame", frame, frame_seeds).within(8, FRAME_BYTES),
];

fn object() -> String {
    names::pack(&pack_name(0))
}

fn head() -> PackHead {
    PackHead { salt: [8; 32], capsule: session_keys().capsule() }
}

fn session_keys() -> &'static SessionKeys {
    static SESSION: OnceLock<SessionKeys> = OnceLock::new();
    SESSION.get_or_init(|| SessionKeys::new(&env(), keys()).unwrap())
}

/// A whole pack as it is.
fn pack(bytes: &[u8]) -> bool {
    let size = bytes.len() as u64;
    let Ok(footer) = Footer::decode(&object(), size, bytes) else { return false };
    assert!(footer.toc_offset + u64::from(footer.toc_length) < size);
    // Whether the hash fits and the table opens are other questions; asking them must not fail.
    drop(footer.check_whole(&object(), bytes));
    let end = bytes.get(footer.toc_offset as usize..).unwrap_or_default();
    let Ok(read) = PackToc::decode(object(), keys(), size, end) else { return true };
    for (_, frame, chunks) in read.toc.iter() {
        let sealed = bytes.get(frame.offset as usize..).and_then(|b| b.get(..frame.sealed as usize));
        let sealed = sealed.unwrap_or_default().to_vec();
        let origin = read.toc.origins.get(usize::from(frame.origin)).unwrap();
        let Ok(keys) = SessionKeys::open(Capsule(origin.capsule), keys()) else { continue };
        if let Ok(plain) = open_frame(&object(), &keys, &origin.salt, frame, sealed) {
            assert_eq!(chunks_of(&plain, chunks).map(|(_, c)| c.len()).sum::<usize>(), plain.len());
        }
    }
    true
}

/// A pack of two frames.
fn pack_seeds() -> Vec<Vec<u8>> {
    let head = head();
    let mut body = head.encode();
    let mut toc =
        Toc { origins: vec![Origin { salt: head.salt, capsule: head.capsule.0 }], ..Toc::default() };
    for (number, kind, plain) in [(0, ChunkKind::Data, &b"some data"[..]), (1, ChunkKind::Refs, &[0; 500])] {
        let key = session_keys().frame_key(kind, &head.salt).unwrap();
        let (sealed, codec) = seal_frame(&key, kind, number, plain.to_vec(), 3).unwrap();
        let (length, raw) = (sealed.len() as u32, plain.len() as u32);
        let offset = body.len() as u64;
        body.extend(sealed);
        toc.frames.push(Frame { offset, sealed: length, raw, codec, kind, chunks: 1, origin: 0, number });
        toc.chunks.push(TocChunk { id: keys().chunk_id(kind, plain), length: raw });
    }
    let tail = pack_tail(&object(), keys(), &head, &body, PackHash::default(), &toc).unwrap();
    vec![[body, tail].concat()]
}

/// The plain table; where its pack ends is taken from the lengths in it.
fn toc(bytes: &[u8]) -> bool {
    let Ok(toc) = Toc::decode("pack", bytes, FIRST, end_of(bytes)) else { return false };
    assert_eq!(toc.encode(), bytes, "one encoding only");
    assert_eq!(toc.iter().map(|(_, _, chunks)| chunks.len()).sum::<usize>(), toc.chunks.len());
    true
}

/// Where the frames of a plain table end, as far as their lengths can be read.
fn end_of(bytes: &[u8]) -> u64 {
    let number = |at: usize| {
        let field = bytes.get(at..).and_then(|b| b.first_chunk::<4>());
        field.map_or(0, |f| u32::from_le_bytes(*f))
    };
    let frames = (number(0) as usize).saturating_mul(64).saturating_add(4);
    let count = (number(frames) as usize).min(bytes.len() / 18);
    FIRST + (0..count).map(|n| u64::from(number(frames + 4 + 18 * n))).sum::<u64>()
}

fn table(frames: &[(u16, ChunkKind, Codec)]) -> Toc {
    let mut toc = Toc { origins: vec![Origin { salt: [1; 32], capsule: [2; 32] }; 2], ..Toc::default() };
    let mut offset = FIRST;
    for (number, (chunks, kind, codec)) in (0_u32..).zip(frames) {
        let (kind, codec, chunks) = (*kind, *codec, *chunks);
        let raw = u32::from(chunks) * 100;
        toc.frames.push(Frame { offset, sealed: 60, raw, codec, kind, chunks, origin: 1, number });
        toc.chunks.extend((0..chunks).map(|n| TocChunk { id: chunk(n as u8), length: 100 }));
        offset += 60;
    }
    toc
}

fn tables() -> Vec<Toc> {
    use ChunkKind::{Data, Meta, Refs};
    vec![
        table(&[]),
        table(&[(1, Data, Codec::Raw)]),
        table(&[(3, Data, Codec::Zstd), (0, Refs, Codec::Raw), (2, Meta, Codec::Zstd)]),
    ]
}

fn toc_seeds() -> Vec<Vec<u8>> {
    tables().iter().map(Toc::encode).collect()
}

/// A table before it is sealed: length and zstd frame, whatever they are.
fn toc_section(bytes: &[u8]) -> bool {
    let head = head();
    let mut sealed = bytes.to_vec();
    let key = keys().object_key(Purpose::Index, &head.salt).unwrap();
    key.seal(u64::MAX, object().as_bytes(), &mut sealed).unwrap();
    let stated = bytes.get(4..).and_then(|packed| {
        let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        compress::expand(packed, length.min(EXPANDED))
    });
    let toc_offset = stated.map_or(FIRST, |plain| end_of(&plain));
    let footer = Footer { head, toc_offset, toc_length: sealed.len() as u32, hash: [0; 32] };
    footer.open_toc(&object(), keys(), sealed).is_ok()
}

fn toc_section_seeds() -> Vec<Vec<u8>> {
    let packed = |toc: &Toc| {
        let plain = toc.encode();
        [&(plain.len() as u32).to_le_bytes()[..], &compress::compress(&plain, 1).unwrap()].concat()
    };
    tables().iter().map(packed).collect()
}

/// `codec · kind · raw u32 LE · content`: the content sealed as it is under a frame's key.
fn frame(bytes: &[u8]) -> bool {
    let Some(([codec, kind, a, b, c, d], content)) = bytes.split_first_chunk::<6>() else { return false };
    let codec = if codec % 2 == 0 { Codec::Raw } else { Codec::Zstd };
    let kind = match kind % 3 {
        0 => ChunkKind::Data,
        1 => ChunkKind::Refs,
        _ => ChunkKind::Meta,
    };
    let raw = u32::from_le_bytes([*a, *b, *c, *d]);
    let key = session_keys().frame_key(kind, &[8; 32]).unwrap();
    let number = 3;
    let aad =
        [Header { kind: ObjectKind::Pack, salt: [0; 32] }.encode().get(10).copied().unwrap(), kind as u8];
    let mut sealed = content.to_vec();
    key.seal(u64::from(number), &aad, &mut sealed).unwrap();
    let place =
        Frame { offset: FIRST, sealed: sealed.len() as u32, raw, codec, kind, chunks: 1, origin: 0, number };
    let (again, codec) = seal_frame(&key, kind, number, content.to_vec(), 1).unwrap();
    let whole = Frame { raw: content.len() as u32, codec, ..place };
    let whole = open_frame("pack", session_keys(), &[8; 32], &whole, again).unwrap();
    assert_eq!(whole, content, "what is sealed opens to itself");
    let Ok(plain) = open_frame("pack", session_keys(), &[8; 32], &place, sealed) else { return false };
    assert_eq!(plain.len(), raw as usize, "as long as it says");
    true
}

fn frame_seeds() -> Vec<Vec<u8>> {
    let zeros = vec![0; 1 << 20];
    let seed = |codec: u8, kind: u8, plain: &[u8], content: &[u8]| {
        [&[codec, kind][..], &(plain.len() as u32).to_le_bytes(), content].concat()
    };
    vec![
        seed(0, 0, b"raw", b"raw"),
        seed(1, 1, &zeros, &compress::compress(&zeros, 3).unwrap()),
        seed(1, 2, b"", &compress::compress(b"", 3).unwrap()),
    ]
}
