//! The bytes of every stored object: one file per structure, no I/O. `docs/format.md` says the same for readers.

mod config;
mod header;
mod pack;
mod run;
mod sealed;
mod toc;
mod wire;

pub(crate) use config::Config;
pub use config::FORMAT_VERSION;
pub(crate) use header::{HEADER_BYTES, Header, ObjectKind};
pub(crate) use pack::{
    FOOTER_BYTES, Footer, PackHash, PackHead, give_back, open_frame, pack_tail, seal_frame,
};
pub(crate) use run::{BLOCK_RECORDS, Place, Record, RunIndex, RunWriter, check_run, encode_run};
pub(crate) use sealed::Sealed;
pub(crate) use toc::{CHUNKS_PER_FRAME_MAX, Codec, FRAMES_PER_PACK_MAX, Frame, Origin, Toc, TocChunk};

#[cfg(test)]
mod tests;
