//! A prune that stands still between two of its steps while others act: what they rely on it leaves alone.

use std::sync::{Arc, Mutex};

use chronos_store::backend::{BackendExt, MemoryBackend, Method};
use chronos_store::{ChunkId, ChunkKind, PruneOptions, ReadData, RefList, Repository, Session, SessionId};

use super::kept::{assert_sound, assert_whole, begin, chunks, commit, prune, snapshot};
use crate::fixture::Fixture;
use crate::meanwhile::Meanwhile;

/// Puts chunks, commits a list of them; returns what the list names.
fn plain(session: Session, chunks: &[Vec<u8>]) -> (SessionId, Vec<ChunkId>) {
    let id = session.id().clone();
    let mut data = session.writer(ChunkKind::Data);
    let ids: Vec<ChunkId> = chunks.iter().map(|c| data.put(c).unwrap().id).collect();
    data.finish().unwrap();
    list(session, &ids);
    (id, ids)
}

/// Commits a list of chunks without asking for any.
fn list(session: Session, ids: &[ChunkId]) {
    let mut refs = session.writer(ChunkKind::Refs);
    let list = RefList { data: ids.to_vec(), ..RefList::default() };
    let root = refs.put(&list.encode()).unwrap().id;
    refs.finish().unwrap();
    session.commit(&[root], b"{}").unwrap();
}

fn forget_all(repository: &Repository) {
    let all = |view: &chronos_store::View| {
        let snapshots = view.snapshots().map(|row| row.session.clone()).collect();
        Ok(Some(chronos_store::Change::Forget { snapshots }))
    };
    repository.change(&all).unwrap();
}

fn pack_of(backend: &MemoryBackend, session: &SessionId) -> String {
    backend.list_all(&format!("packs/{session}/")).unwrap().remove(0).name
}

/// Two packs with the same chunks: one prune condemns the one, and another, which chose before, must not condemn the other. A session
/// that begins then may refer to the snapshot as a whole, and nobody waits for it.
#[test]
fn of_two_copies_two_prunes_condemn_one() {
    let fixture = Arc::new(Fixture::new());
    let (first, second) = (begin(&fixture.open()), begin(&fixture.open()));
    let (one, ids) = plain(first, &chunks(0..50));
    let (two, _) = plain(second, &chunks(0..50));
    // Began before all, so that nothing is swept meanwhile.
    let running = begin(&fixture.open());
    let chosen = Arc::new(Mutex::new(None));
    let (theirs, told) = (Arc::clone(&fixture), Arc::clone(&chosen));
    let packs = [pack_of(&fixture.backend, &one), pack_of(&fixture.backend, &two)];
    let deed = move || {
        // Which one it chose is seen where no session runs: that one is gone.
        let probe = theirs.fork();
        for entry in probe.backend.list_all("sess/").unwrap() {
            probe.backend.damage(&entry.name, None);
        }
        probe.open().prune(&PruneOptions::default()).unwrap();
        let left = probe.backend.list_all("packs/").unwrap();
        assert_eq!(left.len(), 1);
        // The other one is damaged, is put into quarantine, and so is condemned by us; then it turns out to be whole.
        let kept = packs.iter().find(|p| left.iter().any(|e| e.name == **p)).unwrap().clone();
        let good = theirs.backend.content()[&kept].clone();
        let mut bad = good.to_vec();
        bad[1000] ^= 1;
        theirs.backend.damage(&kept, Some(&bad));
        assert!(!theirs.open().check(ReadData::All).unwrap().errors.is_empty());
        theirs.backend.damage(&kept, Some(&good));
        assert!(prune(&theirs.open()).bytes_pending > 0);
        theirs.open().repair_packs(false).unwrap();
        *told.lock().unwrap() = Some(kept);
    };
    // Planned by then, and not said yet: the second look at all packs is that of the first mark.
    let slow = Meanwhile::new(fixture.shared(), Method::List, "packs/", 1, deed);
    let pending = fixture.open_through(slow).prune(&PruneOptions::default()).unwrap();
    assert!(chosen.lock().unwrap().is_some() && pending.packs_deleted == 0);

    let late = begin(&fixture.open());
    assert!(late.may_reuse(&one) && late.may_reuse(&two));
    running.close().unwrap();
    forget_all(&fixture.open());
    prune(&fixture.open());
    prune(&fixture.open());
    list(late, &ids);
    prune(&fixture.open());
    let reader = fixture.open().view().unwrap().reader();
    ids.iter().for_each(|id| drop(reader.read(ChunkKind::Data, id).unwrap()));
    assert_sound(&fixture.open(), 1);
}

/// What a session uploaded that nobody knows any more is deleted by a prune; an index made anew meanwhile must not offer it.
#[test]
fn an_index_made_anew_beside_a_prune_offers_nothing_that_is_about_to_go() {
    for below_watermark in [false, true] {
        let fixture = Arc::new(Fixture::new());
        let kept = snapshot(&fixture.open(), 100..120);
        let dead = begin(&fixture.open());
        let name = format!("sess/{}", dead.id());
        let mut data = dead.writer(ChunkKind::Data);
        assert!(chunks(0..50).iter().all(|c| data.put(c).unwrap().new));
        data.finish().unwrap();
        dead.flush().unwrap();
        let orphan = pack_of(&fixture.backend, dead.id());
        // Its host lost its power, and with it the announcement.
        fixture.backend.damage(&name, None);
        drop(dead);
        let host = Arc::new(fixture.fork());
        assert!(host.backend.content().contains_key(&orphan));
        host.open().repair_index(false).unwrap();
        if below_watermark {
            host.open().repair_index(false).unwrap();
            snapshot(&host.open(), 130..131);
            host.open().repair_index(false).unwrap();
        }
        let relies = Arc::new(Mutex::new(None));
        let (theirs, told) = (Arc::clone(&host), Arc::clone(&relies));
        let deed = move || {
            for run in theirs.backend.list_all("index/").unwrap() {
                theirs.backend.damage(&run.name, None);
            }
            theirs.open().repair_index(false).unwrap();
            *told.lock().unwrap() = Some(commit(begin(&theirs.open()), &chunks(0..50)));
        };
        let slow = Meanwhile::new(host.shared(), Method::Remove, "packs/", 0, deed);
        host.open_through(slow).prune(&PruneOptions::default()).unwrap();
        let relies = relies.lock().unwrap().take().unwrap();
        assert!(!host.backend.content().contains_key(&orphan));
        assert_whole(&host.open(), &[&kept, &relies]);
        assert!(host.open().check(ReadData::All).unwrap().errors.is_empty());
    }
}

/// A check that stands still takes nothing for damage that a prune has moved or deleted meanwhile.
#[test]
fn a_check_beside_a_prune_finds_no_damage() {
    for read in [ReadData::None, ReadData::All] {
        let moments = [(Method::List, "packs/", 0), (Method::List, "keys/", 1), (Method::Read, "packs/", 2)];
        // While it reads the runs that the prune merges.
        for moment in moments.into_iter().chain((0..6).map(|n| (Method::Read, "index/", n))) {
            let fixture = Arc::new(Fixture::new());
            let kept = snapshot(&fixture.open(), 0..50);
            for n in 0..20 {
                let gone = snapshot(&fixture.open(), 10 * n..10 * n + 30);
                super::kept::forget(&fixture.open(), &gone);
            }
            fixture.open().repair_index(false).unwrap();
            let theirs = Arc::clone(&fixture);
            let deed = move || {
                theirs.open().prune(&PruneOptions::default()).unwrap();
                theirs.open().repair_index(false).unwrap();
                prune(&theirs.open());
            };
            let (method, prefix, skip) = moment;
            let slow = Meanwhile::new(fixture.shared(), method, prefix, skip, deed);
            let report = fixture.open_through(slow).check(read).unwrap();
            assert!(report.errors.is_empty(), "{moment:?}: {:?}", report.errors);
            assert_eq!(
                report.packs_read > 0,
                read == ReadData::All,
                "{moment:?}: what was asked for is read"
            );
            let session = begin(&fixture.open());
            assert!(session.may_reuse(&kept.session), "nothing is in quarantine");
            session.close().unwrap();
            assert_whole(&fixture.open(), &[&kept]);
        }
    }
}

/// A repair of the index that stands still at any of its calls takes nothing for damage, and brings nothing back, that a prune has moved
/// or deleted meanwhile.
#[test]
fn a_repair_of_the_index_beside_a_prune_finds_no_damage() {
    let calls =
        [(Method::Stat, "index/"), (Method::Read, "index/"), (Method::List, ""), (Method::Read, "snap/")];
    for (method, prefix) in calls {
        for n in 0.. {
            let fixture = Arc::new(Fixture::new());
            let kept = snapshot(&fixture.open(), 0..50);
            let gone: Vec<_> = (0..4).map(|n| snapshot(&fixture.open(), 10 * n..10 * n + 30)).collect();
            fixture.open().repair_index(false).unwrap();
            let theirs = Arc::clone(&fixture);
            let deed = move || {
                gone.iter().for_each(|gone| super::kept::forget(&theirs.open(), gone));
                theirs.open().repair_index(false).unwrap();
                // With a new index, what was replaced goes, and with a later one the decisions of what was forgotten.
                for _ in 0..2 {
                    theirs.open().prune(&PruneOptions::default()).unwrap();
                    snapshot(&theirs.open(), 60..70);
                    theirs.open().repair_index(false).unwrap();
                }
                prune(&theirs.open());
            };
            let slow = Meanwhile::new(fixture.shared(), method, prefix, n, deed);
            let report = fixture.open_through(slow.clone()).repair_index(false);
            let report = report.unwrap_or_else(|e| panic!("{method:?} {prefix} {n}: {e}"));
            assert!(report.errors.is_empty(), "{method:?} {prefix} {n}: {:?}", report.errors);
            assert!(
                report.actions.iter().all(|a| a.starts_with("merge all")),
                "{method:?} {prefix} {n}: {:?}",
                report.actions
            );
            assert_whole(&fixture.open(), &[&kept]);
            assert!(
                fixture.open().check(ReadData::All).unwrap().errors.is_empty(),
                "{method:?} {prefix} {n}"
            );
            if !slow.is_done() {
                assert!(n > 0, "{method:?} {prefix} is called");
                break;
            }
        }
    }
}
