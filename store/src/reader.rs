//! Reads chunks back: finds them, decodes each frame once, checks every id.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Frame, Place, TocChunk, give_back};
use crate::id::{ChunkId, ChunkKind, ChunkMark};
use crate::packs::{PackToc, Packs, chunks_of, lock};
use crate::refs::RefList;
use crate::view::View;

/// Most requests in one [`Reader::fetch`]; about 24 MB of plan.
pub const FETCH_MAX: usize = 1 << 20;
/// Plain bytes of decoded frames kept for [`Reader::read`]: four of the usual size.
const FRAMES_BYTES_MAX: usize = 8 << 20;
/// Frames are read in one go over gaps up to this: seeking costs more than reading.
const GAP_BYTES: u64 = 64 << 10;
/// Into how many groups the work of each thread is cut at least, if there are so many frames.
const SHARES: usize = 4;
/// Most frames in a group: more in one read save nothing.
const GROUP_FRAMES_MAX: usize = 8;
/// Longest read in one go.
const READ_BYTES_MAX: u64 = 4 << 20;

/// One wanted chunk.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The chunk, of kind `Data`.
    pub id: ChunkId,
    /// Handed back with it.
    pub token: u64,
    /// Only this part of it is wanted; `None`: all of it.
    pub part: Option<Part>,
}

/// Part of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins in the chunk, in bytes.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
    /// The mark of its bytes, by which it is checked; `None`: its whole chunk is.
    pub mark: Option<ChunkMark>,
}

impl Part {
    /// The part's bytes out of the chunk's, unchecked; `None` if the chunk is shorter than it should be.
    pub fn of<'b>(&self, chunk: &'b [u8]) -> Option<&'b [u8]> {
        let start = self.start as usize;
        chunk.get(start..start.checked_add(self.len as usize)?)
    }
}

/// Reads chunks of one view; cheap to clone, usable from many threads, keeps a bounded number of decoded frames.
#[derive(Clone, Debug)]
pub struct Reader {
    view: Arc<View>,
    packs: Arc<Packs>,
    frames: Arc<Mutex<Frames>>,
    /// A reader of what counts later, made when a pack was gone: a prune may have moved its chunks.
    later: Arc<OnceLock<Option<Reader>>>,
}

/// When a frame was last used, and its plain bytes.
type Held = (u64, Arc<Vec<u8>>);

/// Decoded frames, by pack and number in it.
#[derive(Debug, Default)]
struct Frames {
    held: HashMap<(u32, u16), Held>,
    bytes: usize,
    clock: u64,
}

/// A wanted chunk and where it is read from.
#[derive(Clone, Copy, Debug)]
struct Located {
    place: Place,
    wanted: Wanted,
}

impl Reader {
    pub(crate) fn new(view: Arc<View>, packs: Arc<Packs>) -> Self {
        Self { view, packs, frames: Arc::default(), later: Arc::default() }
    }

    /// The bytes of one chunk, checked against its id. [`Error::Missing`] or [`Error::Damaged`] if it cannot be had.
    pub fn read(&self, kind: ChunkKind, id: &ChunkId) -> Result<Arc<[u8]>> {
        match self.read_here(kind, id) {
            Err(e @ Error::Missing { .. }) => match self.later()? {
                Some(later) => later.read_here(kind, id),
                None => Err(e),
            },
            outcome => outcome,
        }
    }

    /// The same of the newest view, if the log grew; looked for once.
    fn later(&self) -> Result<Option<&Self>> {
        if self.later.get().is_none() {
            let view = self.view.inner.view()?;
            let later =
                (view.log_len() != self.view.log_len()).then(|| Self::new(view, Arc::clone(&self.packs)));
            return Ok(self.later.get_or_init(|| later).as_ref());
        }
        Ok(self.later.get().and_then(Option::as_ref))
    }

    fn read_here(&self, kind: ChunkKind, id: &ChunkId) -> Result<Arc<[u8]>> {
        let places = self.view.places()?;
        let Some(near) = places.nearest(id)? else { return Err(Error::missing(format!("chunk {id}"))) };
        let mut last = match self.read_at(kind, id, near) {
            Err(e) if e.kind() == ErrorKind::Damaged => e,
            outcome => return outcome,
        };
        for place in places.readable(id)?.into_iter().filter(|place| *place != near) {
            match self.read_at(kind, id, place) {
                Ok(bytes) => return Ok(bytes),
                Err(e) if e.kind() == ErrorKind::Damaged => last = e,
                Err(e) => return Err(e),
            }
        }
        Err(last)
    }

    fn read_at(&self, kind: ChunkKind, id: &ChunkId, place: Place) -> Result<Arc<[u8]>> {
        let toc = self.toc(place.pack)?;
        let (frame, chunks) = frame_of(&toc, place.frame)?;
        let plain = self.frame(&toc, place, frame)?;
        let start: usize = chunks.iter().take(usize::from(place.index)).map(|c| c.length as usize).sum();
        let bytes = plain.get(start..start + place.length as usize);
        let bytes = bytes
            .ok_or_else(|| Error::damaged(&toc.object, "the index does not fit its table of contents"))?;
        self.check(&toc, kind, id, bytes)?;
        Ok(bytes.into())
    }

    /// Whether these bytes are those of a `Data` chunk of that mark.
    pub fn has_mark(&self, mark: ChunkMark, bytes: &[u8]) -> bool {
        self.view.inner.keys.chunk_id(ChunkKind::Data, bytes).mark() == mark
    }

    fn check(&self, toc: &PackToc, kind: ChunkKind, id: &ChunkId, bytes: &[u8]) -> Result<()> {
        if self.view.inner.keys.chunk_id(kind, bytes) == *id {
            Ok(())
        } else {
            Err(Error::damaged(&toc.object, format!("chunk {id} has other bytes than its id says")))
        }
    }

    fn toc(&self, pack: u32) -> Result<Arc<PackToc>> {
        let pack =
            self.view.places()?.pack(pack).ok_or_else(|| Error::missing("a pack that the index names"))?;
        self.packs.toc(&pack.name, Some(pack.size))
    }

    fn frame(&self, toc: &PackToc, place: Place, frame: &Frame) -> Result<Arc<Vec<u8>>> {
        let key = (place.pack, place.frame);
        {
            let mut frames = lock(&self.frames);
            frames.clock += 1;
            let now = frames.clock;
            if let Some((used, plain)) = frames.held.get_mut(&key) {
                *used = now;
                return Ok(Arc::clone(plain));
            }
        }
        let plain = Arc::new(self.packs.frame(toc, frame)?);
        let mut frames = lock(&self.frames);
        frames.bytes += plain.len();
        let now = frames.clock;
        if let Some((_, twice)) = frames.held.insert(key, (now, Arc::clone(&plain))) {
            frames.bytes -= twice.len();
        }
        while frames.bytes > FRAMES_BYTES_MAX && frames.held.len() > 1 {
            let Some(oldest) = frames.held.iter().min_by_key(|(_, (used, _))| *used).map(|(k, _)| *k) else {
                break;
            };
            if let Some((_, gone)) = frames.held.remove(&oldest) {
                frames.bytes -= gone.len();
                if let Ok(memory) = Arc::try_unwrap(gone) {
                    give_back(memory);
                }
            }
        }
        Ok(plain)
    }

    /// Reads and decodes a reference list.
    pub fn refs(&self, id: &ChunkId) -> Result<RefList> {
        RefList::decode(&self.read(ChunkKind::Refs, id)?)
    }

    /// Reads many `Data` chunks in the order in which they lie, each frame once, on `threads` threads, or more where the storage is far
    /// away.
    ///
    /// `sink` gets token and bytes, from any thread, in any order; a chunk wanted several times is
    /// handed out several times. Every byte is checked: a chunk by its id, a part by its mark if it has one, and then the
    /// rest of its chunk is not looked at. An error of the sink stops the work and is returned. Chunks that cannot be
    /// had do not stop it: they are returned with their errors.
    pub fn fetch(
        &self,
        wanted: &[Wanted],
        threads: usize,
        sink: &(dyn Fn(u64, &[u8]) -> Result<()> + Sync),
    ) -> Result<Vec<(Wanted, Error)>> {
        if wanted.len() > FETCH_MAX {
            return Err(Error::Invalid(format!("{} chunks at once are too many", wanted.len())));
        }
        let failures = Mutex::new(Vec::new());
        let mut located = self.locate(wanted, &mut lock(&failures))?;
        located.sort_unstable_by_key(|l| l.place);
        let threads = threads.max(self.packs.lanes()).max(1);
        let groups = in_turns(&groups(&located, threads), threads);
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(e) = self.fetch_group(group, sink, &failures) {
                    next.store(groups.len(), Ordering::Relaxed);
                    return Err(e);
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut outcome = work();
            for helper in helpers {
                let theirs = helper
                    .join()
                    .map_err(|_| Error::Invalid("a reading thread panicked".into()))
                    .and_then(|r| r);
                outcome = outcome.and(theirs);
            }
            outcome
        })?;
        let mut failed = Vec::new();
        for wanted in lock(&failures).drain(..) {
            self.fetch_one(wanted, sink, &mut failed)?;
        }
        Ok(failed)
    }

    /// The first choice of a place for each wanted chunk; what has none goes to `failures`.
    fn locate(&self, wanted: &[Wanted], failures: &mut Vec<Wanted>) -> Result<Vec<Located>> {
        let places = self.view.places()?;
        let mut located = Vec::with_capacity(wanted.len());
        // As they are asked for: neighbours lie together, and after the first the others cost no look into a run.
        for wanted in wanted {
            match places.nearest(&wanted.id) {
                Ok(Some(place)) => located.push(Located { place, wanted: *wanted }),
                Ok(None) => failures.push(*wanted),
                // A damaged run, or one that was merged into another meanwhile.
                Err(e) if e.kind() == ErrorKind::Damaged => failures.push(*wanted),
                Err(e) => return Err(e),
            }
        }
        Ok(located)
    }

    /// A chunk that could not be had from its first place: every place, one after the other.
    fn fetch_one(
        &self,
        wanted: Wanted,
        sink: &dyn Fn(u64, &[u8]) -> Result<()>,
        failed: &mut Vec<(Wanted, Error)>,
    ) -> Result<()> {
        match self.read(ChunkKind::Data, &wanted.id) {
            Ok(chunk) => {
                if let Some(bytes) = self.wanted_of(&wanted, &chunk) {
                    return sink(wanted.token, bytes);
                }
                let why = "a part of it is not what it should be";
                failed.push((wanted, Error::damaged(format!("chunk {}", wanted.id), why)));
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::Damaged => {
                failed.push((wanted, e));
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// Hands out what is wanted of neighbouring frames of one pack. Damage goes to `failures`.
    fn fetch_group(
        &self,
        group: &[Located],
        sink: &dyn Fn(u64, &[u8]) -> Result<()>,
        failures: &Mutex<Vec<Wanted>>,
    ) -> Result<()> {
        let Some(first) = group.first() else { return Ok(()) };
        crate::monitor::check_cancelled(self.view.inner.monitor.as_ref())?;
        let give_up = |group: &[Located]| lock(failures).extend(group.iter().map(|l| l.wanted));
        let toc = match self.toc(first.place.pack) {
            Err(e) if e.kind() == ErrorKind::Damaged => {
                give_up(group);
                return Ok(());
            }
            toc => toc?,
        };
        let mut rest = group;
        while !rest.is_empty() {
            let (now, after) = Self::one_read(&toc, rest);
            match self.hand_out(&toc, now, sink, &give_up) {
                Err(e) if e.kind() == ErrorKind::Damaged => give_up(now),
                outcome => outcome?,
            }
            rest = after;
        }
        Ok(())
    }

    /// As many of the first requests as one read of bounded length serves.
    fn one_read<'g>(toc: &PackToc, group: &'g [Located]) -> (&'g [Located], &'g [Located]) {
        let span = |l: &Located| {
            toc.toc.frames.get(usize::from(l.place.frame)).map(|f| (f.range().start, f.range().end))
        };
        let Some((start, mut end)) = group.first().and_then(span) else { return (group, &[]) };
        let mut count = 0;
        for located in group {
            let Some((from, to)) = span(located) else { break };
            if count > 0 && (from > end + GAP_BYTES || to - start > READ_BYTES_MAX) {
                break;
            }
            end = to.max(end);
            count += 1;
        }
        group.split_at_checked(count.max(1)).unwrap_or((group, &[]))
    }

    fn hand_out(
        &self,
        toc: &PackToc,
        group: &[Located],
        sink: &dyn Fn(u64, &[u8]) -> Result<()>,
        give_up: &dyn Fn(&[Located]),
    ) -> Result<()> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let start = frame_of(toc, first.place.frame)?.0.offset;
        let (end_frame, _) = frame_of(toc, last.place.frame)?;
        let packs = &self.packs;
        let bytes = packs.read(&toc.object, Some(start..end_frame.range().end))?;
        for same in group.chunk_by(|a, b| a.place.frame == b.place.frame) {
            let Some(one) = same.first() else { continue };
            let (frame, chunks) = frame_of(toc, one.place.frame)?;
            let from = (frame.offset - start) as usize;
            let sealed = bytes.get(from..from + frame.sealed as usize).unwrap_or_default().to_vec();
            match packs.open(toc, frame, sealed) {
                Ok(plain) => {
                    self.hand_out_frame(toc, same, &plain, chunks, sink, give_up)?;
                    give_back(plain);
                }
                Err(e) if e.kind() == ErrorKind::Damaged => give_up(same),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn hand_out_frame(
        &self,
        toc: &PackToc,
        group: &[Located],
        plain: &[u8],
        chunks: &[TocChunk],
        sink: &dyn Fn(u64, &[u8]) -> Result<()>,
        give_up: &dyn Fn(&[Located]),
    ) -> Result<()> {
        let mut rest = group;
        for ((id, bytes), index) in chunks_of(plain, chunks).zip(0_u16..) {
            let n = rest.iter().take_while(|l| l.place.index == index).count();
            let (mine, after) = rest.split_at_checked(n).unwrap_or((rest, &[]));
            rest = after;
            let Some(one) = mine.first() else { continue };
            let in_parts = mine.iter().all(|l| l.wanted.part.is_some_and(|part| part.mark.is_some()));
            if one.wanted.id != id || !in_parts && self.check(toc, ChunkKind::Data, &id, bytes).is_err() {
                give_up(mine);
                continue;
            }
            for located in mine {
                match self.wanted_of(&located.wanted, bytes) {
                    Some(bytes) => sink(located.wanted.token, bytes)?,
                    None => give_up(std::slice::from_ref(located)),
                }
            }
        }
        // Places beyond the frame's end: the index does not fit.
        give_up(rest);
        Ok(())
    }

    /// What is wanted of a chunk's bytes; `None` if it is a part and not there, or not what its mark says.
    fn wanted_of<'b>(&self, wanted: &Wanted, chunk: &'b [u8]) -> Option<&'b [u8]> {
        match wanted.part {
            None => Some(chunk),
            Some(part) => {
                part.of(chunk).filter(|bytes| part.mark.is_none_or(|mark| self.has_mark(mark, bytes)))
            }
        }
    }

    /// Bytes read from packs and index runs of this repository handle.
    pub fn bytes_read(&self) -> u64 {
        self.packs.bytes_read()
    }
}

/// Cuts sorted requests into what one thread serves in one go: some frames of one pack that lie close, and so few of
/// them that every thread has its share of the work to the end.
fn groups(located: &[Located], threads: usize) -> Vec<&[Located]> {
    let is_one = |a: &Located, b: &Located| (a.place.pack, a.place.frame) == (b.place.pack, b.place.frame);
    let frames = located.chunk_by(is_one).count();
    let most = (frames / (threads * SHARES)).clamp(1, GROUP_FRAMES_MAX);
    let mut groups = Vec::new();
    for close in located.chunk_by(|a, b| a.place.pack == b.place.pack && near(a, b)) {
        let mut rest = close;
        while !rest.is_empty() {
            let mine = rest.chunk_by(is_one).take(most).map(<[_]>::len).sum();
            let (group, after) = rest.split_at_checked(mine).unwrap_or((rest, &[]));
            groups.push(group);
            rest = after;
        }
    }
    groups
}

/// Sorted groups in the order in which threads take them: far from each other, for what is asked for in one order mostly
/// lies in that order, and files made in one folder by two threads wait for each other.
fn in_turns<'l>(groups: &[&'l [Located]], threads: usize) -> Vec<&'l [Located]> {
    let share = groups.len().div_ceil(threads);
    let turn = |step| groups.iter().skip(step).step_by(share.max(1));
    (0..share).flat_map(turn).copied().collect()
}

/// Whether frames lie close.
fn near(a: &Located, b: &Located) -> bool {
    b.place.frame - a.place.frame <= 8
}

fn frame_of(toc: &PackToc, number: u16) -> Result<(&Frame, &[TocChunk])> {
    toc.toc
        .iter()
        .nth(usize::from(number))
        .map(|(_, frame, chunks)| (frame, chunks))
        .ok_or_else(|| Error::damaged(&toc.object, "the index names a frame that it does not have"))
}

#[cfg(test)]
mod tests;
