//! What is deleted, copied and left alone, and which way of copying is taken.

#![expect(clippy::float_cmp, reason = "shares are handed on as they are")]

use super::*;
use crate::id::SessionId;

const MIB: u64 = 1 << 20;
/// A pack of this many bytes is not small.
const SMALL: u64 = 4 * MIB;

fn pack(seq: u32, size: u64) -> IndexedPack {
    let session = SessionId::new(0, "t", 0).unwrap_or_else(|e| panic!("{e}"));
    let name = PackName { session, seq, attempt: 0 };
    IndexedPack { name, size, shunned: false, swept: false, quarantined: false }
}

/// A pack as large as its frames, each of which has so many bytes, and so many dead ones.
fn of_frames(seq: u32, frames: &[(u64, u64)]) -> (IndexedPack, Vec<Use>) {
    let frames: Vec<_> = frames.iter().map(|(all, dead)| Use { live: all - dead, all: *all }).collect();
    (pack(seq, frames.iter().map(|f| f.all).sum()), frames)
}

fn plan(packs: &[(IndexedPack, Vec<Use>)], options: &PruneOptions) -> Plan {
    let (packs, frames): (Vec<_>, Vec<_>) = packs.iter().cloned().unzip();
    Plan::make(&packs, &frames, options)
}

fn numbers(packs: &BTreeSet<PackName>) -> Vec<u32> {
    packs.iter().map(|name| name.seq).collect()
}

/// Only what is due is copied: the whole may be as dead as it likes.
fn only_due() -> PruneOptions {
    PruneOptions { dead_share_max: 1.0, ..PruneOptions::default() }
}

fn dead_at_most(dead_share_max: f64) -> PruneOptions {
    PruneOptions { dead_share_max, ..PruneOptions::default() }
}

#[test]
fn what_is_needed_and_what_is_not_is_counted_over_all_packs() {
    let packs =
        [of_frames(0, &[(1000, 400), (500, 0)]), of_frames(1, &[(2000, 70)]), of_frames(2, &[(9, 9)])];
    let plan = plan(&packs, &only_due());
    assert_eq!((plan.bytes_live, plan.bytes_dead), (600 + 500 + 1930, 400 + 70 + 9));
    assert_eq!((numbers(&plan.delete), plan.bytes_freed), (vec![2], 9));
}

#[test]
fn packs_that_go_already_are_left_alone_and_damaged_ones_go_once_nothing_needs_them() {
    let mut packs: Vec<_> = (0..4).map(|n| of_frames(n, &[(1000, 1000)])).collect();
    packs.extend((4..8).map(|n| of_frames(n, &[(1000, 990)])));
    for (at, (pack, _)) in packs.iter_mut().enumerate() {
        (pack.shunned, pack.swept, pack.quarantined) = match at % 4 {
            0 => (false, false, false),
            1 => (true, false, false),
            2 => (true, true, false),
            _ => (true, false, true),
        };
    }
    let plan = plan(&packs, &PruneOptions::default());
    assert_eq!((numbers(&plan.delete), numbers(&plan.repack)), (vec![0, 3], vec![4]));
    assert_eq!(numbers(&plan.condemned()), [0, 3, 4]);
    assert_eq!(plan.bytes_freed, 3000);
}

#[test]
fn a_pack_is_due_when_more_than_the_given_share_of_it_is_dead() {
    let options = PruneOptions { pack_dead_share_max: 0.5, ..only_due() };
    let packs = [
        of_frames(0, &[(10 * MIB, 5 * MIB)]),
        of_frames(1, &[(10 * MIB, 5 * MIB + 1)]),
        of_frames(2, &[(10 * MIB, 9 * MIB)]),
    ];
    assert_eq!(numbers(&plan(&packs, &options).repack), [1, 2]);
}

#[test]
fn small_packs_are_joined_when_sixteen_of_them_are_not_due_anyway() {
    let small = |n| of_frames(n, &[(SMALL - 1, 0)]);
    let all: Vec<_> = (0..16).map(small).collect();
    assert_eq!(numbers(&plan(&all, &only_due()).repack).len(), 16);

    let few: Vec<_> = (0..15).map(small).collect();
    let joined_with = |other| numbers(&plan(&[few.clone(), vec![other]].concat(), &only_due()).repack);
    assert!(joined_with(of_frames(15, &[(SMALL, 0)])).is_empty(), "one is large");
    assert_eq!(joined_with(of_frames(15, &[(MIB, MIB / 2)])), [15], "one goes in any case");

    let large = of_frames(16, &[(SMALL, 0)]);
    let joined = plan(&[all, vec![large]].concat(), &only_due()).repack;
    assert_eq!(numbers(&joined), (0..16).collect::<Vec<_>>(), "large ones stay");
}

#[test]
fn nothing_is_copied_while_no_more_than_the_limit_is_dead() {
    let packs = [of_frames(0, &[(10 * MIB, MIB)]), of_frames(1, &[(10 * MIB, 0)])];
    assert!(plan(&packs, &dead_at_most(0.05)).repack.is_empty());
    assert_eq!(numbers(&plan(&packs, &dead_at_most(0.049)).repack), [0]);
}

#[test]
fn frames_are_written_anew_when_that_is_the_cheapest_way_to_the_limit() {
    // Every frame of the first pack has 18 % dead, the others have one bad frame each among many whole ones.
    let even = of_frames(0, &[(1000, 180); 16]);
    let mut uneven = vec![(1000, 0); 16];
    uneven.push((1000, 500));
    let mut packs = vec![even];
    packs.extend((1..10).map(|n| of_frames(n, &uneven)));
    let chosen = plan(&packs, &PruneOptions::default());
    assert_eq!((chosen.frame_dead_share_max, numbers(&chosen.repack)), (0.15, vec![0]));

    // Where the bad frames are enough, the rest moves as it is.
    let chosen = plan(&[of_frames(0, &uneven)], &dead_at_most(0.02));
    assert_eq!((chosen.frame_dead_share_max, numbers(&chosen.repack)), (0.2, vec![0]));

    // No frame that has more dead than the whole may have moves as it is.
    let chosen = plan(&[of_frames(0, &[(1000, 30); 16])], &dead_at_most(0.02));
    assert_eq!((chosen.frame_dead_share_max, numbers(&chosen.repack)), (0.02, vec![0]));

    // Frames of which more is dead than of a pack that is due are not kept together.
    let options = PruneOptions { pack_dead_share_max: 0.01, ..only_due() };
    assert_eq!(plan(&[of_frames(0, &uneven)], &options).frame_dead_share_max, 0.01);
}

#[test]
fn packs_that_give_most_for_their_cost_go_first_and_no_more_than_needed() {
    // The first gives more, the second gives nearly as much for a third of the work, the third very little.
    let frames = |whole: usize, dead: u64| [vec![(1000, 0); whole], vec![(1000, dead); 4]].concat();
    let packs = [
        of_frames(0, &frames(90, 900)),
        of_frames(1, &frames(20, 800)),
        of_frames(2, &frames(50, 300)),
        of_frames(3, &[(1000, 0); 100]),
    ];
    let all: f64 = packs.iter().map(|(pack, _)| pack.size as f64).sum();
    let limit = |left: f64, gone: f64| dead_at_most((left + 0.5) / (all - gone));
    assert!(plan(&packs, &limit(8000.0, 0.0)).repack.is_empty());
    assert_eq!(numbers(&plan(&packs, &limit(4800.0, 3200.0)).repack), [1]);
    assert_eq!(
        numbers(&plan(&packs, &limit(4799.0, 3200.0)).repack),
        [0, 1],
        "what is given back is stored no more"
    );
    assert_eq!(numbers(&plan(&packs, &limit(1200.0, 6800.0)).repack), [0, 1]);
    assert_eq!(numbers(&plan(&packs, &limit(0.0, 8000.0)).repack), [0, 1, 2]);
}

#[test]
fn to_compress_a_byte_costs_twice_as_much_as_to_move_one() {
    // Both give as much; the second one has less to copy, but all of it anew.
    let packs = [of_frames(0, &[(1100, 0), (400, 300)]), of_frames(1, &[(1000, 300)])];
    assert_eq!(numbers(&plan(&packs, &dead_at_most(300.5 / 2200.0)).repack), [0]);
    let packs = [of_frames(0, &[(1300, 0), (400, 300)]), of_frames(1, &[(1000, 300)])];
    assert_eq!(numbers(&plan(&packs, &dead_at_most(300.5 / 2400.0)).repack), [1]);
}

#[test]
fn what_is_due_comes_first_out_of_a_budget_and_what_is_too_much_for_it_is_passed_over() {
    let packs = [
        of_frames(0, &[(1000, 300); 10]),
        of_frames(1, &[(1000, 600); 10]),
        of_frames(2, &[(1000, 200); 10]),
    ];
    let of_budget = |max| {
        let plan = plan(&packs, &PruneOptions { repack_bytes_max: Some(max), ..PruneOptions::default() });
        (numbers(&plan.repack), plan.bytes_freed)
    };
    assert_eq!(of_budget(3999), (vec![], 0));
    assert_eq!(of_budget(4000), (vec![1], 10_000));
    assert_eq!(of_budget(4000 + 6999), (vec![1], 10_000));
    assert_eq!(of_budget(4000 + 7000), (vec![0, 1], 20_000));
    assert_eq!(of_budget(4000 + 7000 + 8000), (vec![0, 1, 2], 30_000));
    assert_eq!(of_budget(7999), (vec![1], 10_000));
}

#[test]
fn when_the_budget_is_too_small_for_the_limit_the_way_that_leaves_least_is_taken() {
    let bad = |n, frames: usize| of_frames(n, &vec![(1000, 180); frames]);
    // To copy it gives nothing.
    let whole = of_frames(3, &[(100, 0)]);
    let packs = [bad(0, 100), of_frames(1, &[(1000, 0), (1000, 600)]), bad(2, 500), whole];
    let chosen = |max| {
        let plan = plan(&packs, &PruneOptions { repack_bytes_max: Some(max), ..PruneOptions::default() });
        (plan.frame_dead_share_max, numbers(&plan.repack))
    };
    assert_eq!(chosen(2000), (0.2, vec![1]));
    assert_eq!(chosen(1400 + 82_000), (0.15, vec![0, 1]));
}

#[test]
fn what_comes_back_is_told_in_stored_bytes() {
    // Compressed to a quarter.
    let (mut packed, frames) = of_frames(0, &[(1000, 0), (1000, 600)]);
    packed.size = 500;
    let whole = of_frames(1, &[(1000, 0); 100]);
    // 150 stored bytes are dead.
    let all = 100_500.0;
    assert!(
        plan(&[(packed.clone(), frames.clone()), whole.clone()], &dead_at_most(151.0 / all))
            .repack
            .is_empty()
    );
    assert_eq!(numbers(&plan(&[(packed, frames), whole], &dead_at_most(149.0 / all)).repack), [0]);
}
