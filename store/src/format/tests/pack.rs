//! Packs: sealed frames, table of contents, footer.

use super::{damage, keys, noise};
use crate::crypto::SessionKeys;
use crate::env::Env;
use crate::error::{ErrorKind, Result};
use crate::format::pack::PREAMBLE_BYTES;
use crate::format::{
    Codec, FOOTER_BYTES, Footer, Frame, Origin, PackHash, PackHead, Toc, TocChunk, open_frame, pack_tail,
    seal_frame,
};
use crate::id::ChunkKind;

const NAME: &str = "packs/0000000000-test-0000000000000001/00000000-00000001";

/// A pack with one frame of each kind, the first compressible.
fn pack() -> (Vec<u8>, Vec<Vec<u8>>) {
    let keys = keys();
    let session = SessionKeys::new(&Env::system(), &keys).unwrap();
    let head = PackHead { salt: [8; 32], capsule: session.capsule() };
    let mut body = head.encode();
    let mut toc =
        Toc { origins: vec![Origin { salt: head.salt, capsule: head.capsule.0 }], ..Toc::default() };
    let plains = vec![b"text ".repeat(50), noise(1, 100), noise(2, 60)];
    let kinds = [ChunkKind::Data, ChunkKind::Refs, ChunkKind::Meta];
    for (number, (plain, kind)) in (0_u32..).zip(plains.iter().zip(kinds)) {
        let key = session.frame_key(kind, &head.salt).unwrap();
        let (sealed, codec) = seal_frame(&key, kind, number, plain.clone(), 3).unwrap();
        toc.frames.push(Frame {
            offset: body.len() as u64,
            sealed: sealed.len() as u32,
            raw: plain.len() as u32,
            codec,
            kind,
            chunks: 1,
            origin: 0,
            number,
        });
        toc.chunks.push(TocChunk { id: keys.chunk_id(kind, plain), length: plain.len() as u32 });
        body.extend(sealed);
    }
    let tail = pack_tail(NAME, &keys, &head, &body, PackHash::default(), &toc).unwrap();
    body.extend(tail);
    (body, plains)
}

fn read_toc(name: &str, pack: &[u8]) -> Result<(Footer, Toc)> {
    let tail = &pack[pack.len().saturating_sub(FOOTER_BYTES)..];
    let footer = Footer::decode(name, pack.len() as u64, tail)?;
    let sealed = &pack[footer.toc_offset as usize..][..footer.toc_length as usize];
    let toc = footer.open_toc(name, &keys(), sealed.to_vec())?;
    Ok((footer, toc))
}

fn read_frames(pack: &[u8], toc: &Toc) -> Result<Vec<Vec<u8>>> {
    let open = |frame: &Frame| {
        let origin = &toc.origins[usize::from(frame.origin)];
        let session = SessionKeys::open(crate::crypto::Capsule(origin.capsule), &keys())?;
        let sealed = pack[frame.offset as usize..][..frame.sealed as usize].to_vec();
        open_frame(NAME, &session, &origin.salt, frame, sealed)
    };
    toc.frames.iter().map(open).collect()
}

#[test]
fn a_pack_reads_back_from_its_tail() {
    let (pack, plains) = pack();
    let (footer, toc) = read_toc(NAME, &pack).unwrap();
    footer.check_whole(NAME, &pack).unwrap();
    assert_eq!(toc.frames[0].offset, PREAMBLE_BYTES as u64);
    assert_eq!([toc.frames[0].codec, toc.frames[1].codec], [Codec::Zstd, Codec::Raw]);
    assert_eq!(read_frames(&pack, &toc).unwrap(), plains);
}

#[test]
fn the_hash_over_a_pack_covers_every_byte() {
    let (pack, _) = pack();
    damage(&pack, |bad| {
        let read = read_toc(NAME, bad).and_then(|(footer, _)| footer.check_whole(NAME, bad));
        read.is_err_and(|e| e.kind() == ErrorKind::Damaged || e.kind() == ErrorKind::TooNew)
    });
}

#[test]
fn frames_and_tables_are_sealed_without_the_hash() {
    let (pack, plains) = pack();
    let (footer, whole) = read_toc(NAME, &pack).unwrap();
    for at in PREAMBLE_BYTES..footer.toc_offset as usize + footer.toc_length as usize {
        let mut bad = pack.clone();
        bad[at] ^= 0x80;
        let frames = read_toc(NAME, &bad).and_then(|(_, toc)| read_frames(&bad, &toc));
        assert!(frames.is_err(), "a flip in byte {at}");
    }
    assert_eq!(read_frames(&pack, &whole).unwrap(), plains);
}

#[test]
fn a_pack_does_not_pass_for_another_nor_a_frame_for_another() {
    let (pack, _) = pack();
    assert!(read_toc(&NAME.replace("-00000001", "-00000002"), &pack).is_err());
    let (_, toc) = read_toc(NAME, &pack).unwrap();
    let as_other_kind = Frame { kind: ChunkKind::Meta, ..toc.frames[1] };
    let as_other_number = Frame { number: 7, ..toc.frames[1] };
    for frame in [as_other_kind, as_other_number] {
        let toc = Toc { frames: vec![frame], ..toc.clone() };
        assert!(read_frames(&pack, &toc).is_err());
    }
}

#[test]
fn a_frame_that_claims_to_be_huge_is_refused() {
    let (pack, _) = pack();
    let (_, toc) = read_toc(NAME, &pack).unwrap();
    let huge = Frame { raw: u32::MAX, ..toc.frames[0] };
    assert!(read_frames(&pack, &Toc { frames: vec![huge], ..toc.clone() }).is_err());
    let longer = Frame { raw: toc.frames[0].raw + 1, ..toc.frames[0] };
    assert!(read_frames(&pack, &Toc { frames: vec![longer], ..toc }).is_err());
}

#[test]
fn any_tail_is_refused_without_a_panic() {
    for seed in 0..200 {
        let mut tail = noise(seed, FOOTER_BYTES);
        assert!(Footer::decode(NAME, seed * 50, &tail).is_err());
        let end = tail.len();
        tail[end - 8..].copy_from_slice(b"chronosP");
        tail[12..28].fill(0);
        assert!(Footer::decode(NAME, 1 << 20, &tail).is_err());
    }
}
