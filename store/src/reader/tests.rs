//! How requests are shared among threads.

use super::*;

/// One or two requests of every frame of a pack that `gap` leaves.
fn located(packs: u32, frames: u16, gap: u16) -> Vec<Located> {
    let mut found = Vec::new();
    for (pack, frame) in (0..packs).flat_map(|pack| (0..frames).map(move |frame| (pack, frame))) {
        if gap == 0 || frame % gap != 1 {
            for index in 0..=frame % 2 {
                let place = Place { pack, frame, index, length: 1 };
                let wanted = Wanted { id: ChunkId([0; 32]), token: found.len() as u64, part: None };
                found.push(Located { place, wanted });
            }
        }
    }
    found
}

#[test]
fn every_request_is_in_one_group_and_every_thread_gets_its_share() {
    for (packs, frames, gap) in [(0, 0, 0), (1, 1, 0), (1, 7, 0), (1, 40, 3), (3, 33, 0), (2, 500, 7)] {
        for threads in [1, 2, 3, 8] {
            let located = located(packs, frames, gap);
            let sorted = groups(&located, threads);
            let mut tokens: Vec<_> = sorted.iter().flat_map(|g| g.iter().map(|l| l.wanted.token)).collect();
            assert!(tokens.iter().copied().eq(0..located.len() as u64), "in order, all of them, once");
            for group in &sorted {
                let frames: std::collections::BTreeSet<_> =
                    group.iter().map(|l| (l.place.pack, l.place.frame)).collect();
                assert!((1..=GROUP_FRAMES_MAX).contains(&frames.len()));
                assert!(group.iter().all(|l| l.place.pack == group.first().map_or(0, |f| f.place.pack)));
            }
            let cut = sorted.windows(2).any(|two| match two {
                [a, b] => {
                    a.last().map(|l| (l.place.pack, l.place.frame))
                        == b.first().map(|l| (l.place.pack, l.place.frame))
                }
                _ => false,
            });
            assert!(!cut, "no frame is opened twice");
            let frames = located
                .chunk_by(|a, b| (a.place.pack, a.place.frame) == (b.place.pack, b.place.frame))
                .count();
            assert!(sorted.len() >= frames.min(threads * SHARES), "{} of {frames}", sorted.len());
            let turns = in_turns(&sorted, threads);
            assert_eq!(turns.len(), sorted.len());
            tokens = turns.iter().flat_map(|g| g.iter().map(|l| l.wanted.token)).collect();
            tokens.sort_unstable();
            assert!(tokens.iter().copied().eq(0..located.len() as u64), "all of them, once");
        }
    }
}
