//! Copies of chunks in many runs: the best one is kept, whatever an earlier mark remembers and whatever was merged meanwhile.

use super::*;
use crate::id::PackName;
use crate::log::Record as LogRecord;
use crate::merge::merge;

/// Sessions that know nothing of each other; more than one list of sources that answered last holds.
const SESSIONS: u32 = 12;
/// Packs of data of each: enough for a run.
const PACKS: u32 = 9;

struct Fixture {
    _dir: tempfile::TempDir,
    backend: MemoryBackend,
    repository: Repository,
    snapshots: Vec<SessionId>,
}

impl Fixture {
    fn view(&self) -> Arc<View> {
        self.repository.view().unwrap()
    }

    fn append(&self, record: LogRecord) {
        self.repository.inner.append(&mut |_| Ok(Some(record.clone()))).unwrap();
    }

    /// A pack of data of a session.
    fn pack(&self, session: usize, seq: u32) -> PackName {
        let view = self.view();
        let session = &self.snapshots[session];
        let is_it = |pack: &&PackName| pack.session == *session && pack.seq == seq;
        view.index().unwrap().packs().iter().map(|pack| &pack.name).find(is_it).unwrap().clone()
    }
}

/// Sessions with a run each: some of their chunks are in all of them, some in every third, some in one alone.
fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let backend = MemoryBackend::new();
    let dirs = LocalDirs { cache: dir.path().join("cache"), state: dir.path().join("state") };
    let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
    let create = CreateOptions::default();
    let stored = Arc::new(backend.clone());
    let repository = Repository::create(stored, &Secret::Key([1; 32]), &create, options).unwrap();
    let begin = |_| repository.begin(SessionOptions { client: "t".into(), level: 1 }).unwrap();
    let sessions: Vec<_> = (0..SESSIONS).map(begin).collect();
    let mut snapshots = Vec::new();
    for (number, session) in (0..).zip(sessions) {
        snapshots.push(session.id().clone());
        let mut ids = Vec::new();
        for pack in 0..PACKS {
            let mut data = session.writer(ChunkKind::Data);
            for chunk in 0..8 {
                let shared = [0, 1 + number % 3, 10 + number][(chunk % 3) as usize];
                ids.push(data.put(format!("{shared} {pack} {chunk}").as_bytes()).unwrap().id);
            }
            data.finish().unwrap();
            session.flush().unwrap();
        }
        let mut refs = session.writer(ChunkKind::Refs);
        let list = RefList { meta: None, children: Vec::new(), data: ids };
        let root = refs.put(&list.encode()).unwrap().id;
        refs.finish().unwrap();
        session.commit(&[root], b"{}").unwrap();
    }
    let fixture = Fixture { _dir: dir, backend, repository, snapshots };
    assert_eq!(fixture.view().index().unwrap().sources().len(), SESSIONS as usize);
    fixture
}

/// What is needed, found by asking every source for every chunk: records, and bytes by pack.
fn by_asking(
    view: &Arc<View>,
    snapshots: &[SessionId],
    avoid: &dyn Fn(&PackName) -> bool,
) -> (BTreeSet<(usize, u64)>, Vec<u64>) {
    let (index, reader) = (view.index().unwrap(), view.reader());
    let ranks = Marker::new(view, avoid).unwrap().ranks;
    let mut needed = BTreeSet::new();
    let mut live = vec![0; index.packs().len()];
    for root in snapshots.iter().flat_map(|snapshot| view.state.rows[snapshot].roots.clone()) {
        let list = reader.refs(&root).unwrap();
        for id in std::iter::once(root).chain(list.data) {
            let copies = index.find_all(&id).unwrap().into_iter();
            let ranked = copies.filter_map(|(source, ordinal, place)| {
                Some((ranks[place.pack as usize]?, source, ordinal, place))
            });
            let (_, source, ordinal, place) = ranked.min().unwrap();
            if needed.insert((source, ordinal)) {
                live[place.pack as usize] += u64::from(place.length);
            }
        }
    }
    (needed, live)
}

/// Marks, and compares with what asking finds.
fn mark(fixture: &Fixture, marks: &mut Marks, snapshots: &[SessionId], avoid: &dyn Fn(&PackName) -> bool) {
    let view = fixture.view();
    let marked = marks.mark(&view, snapshots, avoid).unwrap();
    let (needed, live) = by_asking(&view, snapshots, avoid);
    assert_eq!(marked.live, live);
    for (source, records) in (0..).zip(view.index().unwrap().sources().iter().map(Source::len)) {
        for ordinal in 0..records {
            assert_eq!(marked.is_live(source, ordinal), needed.contains(&(source, ordinal)));
        }
    }
}

/// Gives packs every standing that a pack can have.
fn spoil(fixture: &Fixture) {
    let packs = |seqs: [u32; 2]| -> BTreeSet<PackName> {
        (0..SESSIONS as usize)
            .flat_map(|s| seqs.map(|seq| (s, seq)))
            .filter(|(s, seq)| !(s + *seq as usize).is_multiple_of(4))
            .map(|(s, seq)| fixture.pack(s, seq))
            .collect()
    };
    fixture.append(LogRecord::Quarantine { packs: packs([0, 1]) });
    fixture.append(LogRecord::Condemn { packs: packs([1, 2]), roots: [].into() });
    fixture.append(LogRecord::Condemn { packs: packs([5, 6]), roots: [].into() });
    for seq in [0, 1, 4] {
        fixture.backend.damage(&names::pack(&fixture.pack(0, seq)), None);
    }
}

#[test]
fn of_copies_in_many_runs_the_best_is_kept() {
    let fixture = fixture();
    let all = fixture.snapshots.clone();
    mark(&fixture, &mut Marks::default(), &all, &|_| false);
    // What the packs that are lost held alone is needed no more.
    spoil(&fixture);
    let rest = &all[3..];
    for avoided in &all {
        let avoid = |pack: &PackName| pack.session == *avoided || pack.seq == 3;
        mark(&fixture, &mut Marks::default(), rest, &avoid);
    }
}

#[test]
fn what_is_remembered_is_chosen_anew() {
    let fixture = fixture();
    let all = fixture.snapshots.clone();
    let mut marks = Marks::default();
    mark(&fixture, &mut marks, &all[3..6], &|_| false);
    spoil(&fixture);
    mark(&fixture, &mut marks, &all[3..6], &|pack| pack.session == all[4]);
    mark(&fixture, &mut marks, &all[3..], &|pack| pack.session == all[5]);
    // One went: nothing may be remembered.
    mark(&fixture, &mut marks, &all[4..], &|_| false);
}

#[test]
fn runs_that_were_merged_meanwhile_are_remembered_while_they_are_there() {
    for is_removed in [false, true] {
        let fixture = fixture();
        let all = fixture.snapshots.clone();
        let mut marks = Marks::default();
        mark(&fixture, &mut marks, &all[..6], &|_| false);
        let view = fixture.view();
        let runs: Vec<&str> = view.index().unwrap().sources().iter().filter_map(Source::object).collect();
        let inner = &fixture.repository.inner;
        merge(inner, &inner.view().unwrap(), true).unwrap();
        let merged = fixture.view();
        let sources = merged.index().unwrap().sources();
        assert!(sources.iter().filter_map(Source::object).all(|run| !runs.contains(&run)));
        if is_removed {
            runs.iter().for_each(|run| fixture.backend.damage(run, None));
        }
        mark(&fixture, &mut marks, &all[..6], &|pack| pack.session == all[1]);
        mark(&fixture, &mut marks, &all, &|_| false);
    }
}

#[test]
fn a_needed_chunk_without_a_copy_that_counts_stops_the_mark() {
    let fixture = fixture();
    let all = fixture.snapshots.clone();
    let mut marks = Marks::default();
    mark(&fixture, &mut marks, &all[..2], &|_| false);
    let lost = fixture.pack(0, 3);
    fixture.backend.damage(&names::pack(&lost), None);
    for mut marks in [marks, Marks::default()] {
        let error = marks.mark(&fixture.view(), &all[..2], &|_| false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert!(error.to_string().contains("nothing is deleted before that is repaired"), "{error}");
    }
    mark(&fixture, &mut Marks::default(), &all[2..], &|_| false);
}

#[test]
fn a_later_mark_reads_each_run_once_and_nothing_else() {
    let fixture = fixture();
    let mut marks = Marks::default();
    mark(&fixture, &mut marks, &fixture.snapshots, &|_| false);
    let view = fixture.view();
    let index = view.index().unwrap();
    let (read, asked) = (index.reader().bytes_read(), index.asked());
    marks.mark(&view, &fixture.snapshots, &|pack| pack.seq == 1).unwrap();
    let records: u64 = index.sources().iter().map(Source::len).sum();
    // A record takes 44 bytes, a block of them 16 more.
    assert_eq!(index.reader().bytes_read() - read, records * 44 + index.sources().len() as u64 * 16);
    assert_eq!(index.asked(), asked);
}

#[test]
fn what_only_makes_reading_cheaper_is_forgotten_and_read_again() {
    let fixture = fixture();
    let view = fixture.view();
    let (index, packs) = (view.index().unwrap(), &view.inner.packs);
    let pack = fixture.pack(0, 0);
    let reads = |what: &dyn Fn()| {
        let before = packs.bytes_read();
        what();
        packs.bytes_read() > before
    };
    let toc = || drop(packs.toc(&pack, None).unwrap());
    toc();
    let id = packs.toc(&pack, None).unwrap().toc.chunks[0].id;
    let block = || drop(index.find_all(&id).unwrap());
    let place = || assert!(index.nearest(&id).unwrap().is_some());
    block();
    place();
    assert!(!reads(&toc) && !reads(&block) && !reads(&place));
    index.forget();
    assert!(reads(&place));
    index.forget();
    assert!(reads(&block));
    assert!(reads(&toc));
}
