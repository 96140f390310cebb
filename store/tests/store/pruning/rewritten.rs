//! A prune while the index that it looks into is written anew.

use chronos_store::backend::{Backend, BackendExt, Method};
use chronos_store::{PruneOptions, Repository};

use super::kept::{assert_sound, assert_whole, forget, snapshot};
use crate::fixture::{Fixture, KEY};
use crate::meanwhile::Meanwhile;

#[test]
fn the_index_may_be_written_anew_whenever_a_prune_looks_at_the_log() {
    let prepared = Fixture::new();
    let repository = prepared.open();
    let kept = snapshot(&repository, 0..100);
    let (gone, worn) = (snapshot(&repository, 100..150), snapshot(&repository, 200..300));
    let part = snapshot(&repository, 200..220);
    repository.repair_index(false).unwrap();
    forget(&repository, &gone);
    forget(&repository, &worn);
    for n in 0.. {
        let fixture = prepared.fork();
        let other = Fixture { backend: fixture.backend.clone(), ..Fixture::new() };
        let rewrite = move || {
            let replaced = other.backend.list_all("index/").unwrap();
            other.open_elsewhere().repair_index(false).unwrap();
            // As the end of any prune does, if there is another index now.
            if other.backend.list_all("index/").unwrap().len() > replaced.len() {
                replaced.iter().for_each(|run| other.backend.remove(&run.name).unwrap());
            }
        };
        let backend = Meanwhile::new(fixture.shared(), Method::List, "log/", n, rewrite);
        let repository = Repository::open(backend.clone(), &KEY, fixture.options()).unwrap();
        let report = repository.prune(&PruneOptions::default());
        let report = report.unwrap_or_else(|e| panic!("at {n}: {e}"));
        assert!(report.packs_deleted >= 2 && report.packs_repacked == 1, "at {n}: {report:?}");
        assert_whole(&fixture.open(), &[&kept, &part]);
        assert_sound(&fixture.open(), 2);
        if !backend.is_done() {
            assert!(n > 5, "{n}");
            break;
        }
    }
}
