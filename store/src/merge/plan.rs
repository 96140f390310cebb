//! Which runs become one, as a plain value: runs of like size, as in a log-structured merge tree (O'Neil et al. 1996).
//!
//! A record is written anew about once for every factor of four by which its run grows, and never after its run is half full; so
//! an ordinary merge does not touch most of the index.

/// Records of one new run at most, while the index is small: the new object, 24 MB, is held in memory as it is stored.
pub(super) const RUN_RECORDS_MIN: u64 = 1 << 19;
/// The same of a large index: the fewer runs there are, the less it costs to learn that a chunk is new.
const RUN_RECORDS_MAX: u64 = 1 << 20;
/// Full runs that an index has before its runs become longer.
const RUNS: u64 = 32;
/// Runs of one class (sizes within a factor of four) that become one.
const FAN: usize = 4;
/// A run is written anew once this share of its packs is swept: one in so many.
const SWEPT_SHARE: u64 = 4;
/// Swept packs that runs may name all in all; the state lists them.
const SWEPT_MAX: u64 = 1024;

/// Records of one new run at most, in an index of so many.
pub(super) fn run_records(all: u64) -> u64 {
    (all / RUNS).next_power_of_two().clamp(RUN_RECORDS_MIN, RUN_RECORDS_MAX)
}

/// What a run holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Records.
    pub(super) records: u64,
    /// Packs that it names.
    pub(super) packs: u64,
    /// Those of them that are swept.
    pub(super) swept: u64,
}

impl Size {
    /// About how many of its records are of packs that are not swept.
    fn live(&self) -> u64 {
        let packs = self.packs.max(1);
        (u128::from(self.records) * u128::from(packs.saturating_sub(self.swept)) / u128::from(packs)) as u64
    }
}

/// Some of the runs, by their place in the list: these are replaced by one that holds the same, without what is swept.
pub(super) type Group = Vec<usize>;

/// Plans which of `sizes` are merged. Those that `always` names are written anew in any case.
pub(super) fn plan(sizes: &[Size], always: &dyn Fn(usize) -> bool) -> Vec<Group> {
    let forced = forced(sizes, always);
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| sizes.get(*at).map(Size::live));
    let live = |at: &usize| sizes.get(*at).map_or(0, Size::live);
    let records_max = run_records(sizes.iter().map(|size| size.records).sum());
    let mut plan = Plan { groups: Vec::new(), open: Vec::new(), records: 0, records_max };
    let full = order.partition_point(|at| live(at) <= records_max / 2);
    let (growing, full) = order.split_at_checked(full).unwrap_or((&order, &[]));
    for class in growing.chunk_by(|a, b| class(live(a)) == class(live(b))) {
        let many = class.len() + usize::from(!plan.open.is_empty()) >= FAN;
        for at in class.iter().filter(|at| many || forced.contains(at)) {
            plan.add(*at, live(at));
        }
        if !many {
            plan.close();
        }
    }
    for at in full.iter().filter(|at| forced.contains(at)) {
        plan.add(*at, live(at));
    }
    plan.close();
    plan.groups.retain(|group| group.len() > 1 || group.iter().any(|at| forced.contains(at)));
    plan.groups
}

struct Plan {
    groups: Vec<Group>,
    /// The group that is being gathered, and its records.
    open: Group,
    records: u64,
    /// Records of a group at most.
    records_max: u64,
}

impl Plan {
    fn add(&mut self, at: usize, records: u64) {
        if self.records + records > self.records_max {
            self.close();
        }
        self.open.push(at);
        self.records += records;
    }

    fn close(&mut self) {
        self.records = 0;
        if !self.open.is_empty() {
            self.groups.push(std::mem::take(&mut self.open));
        }
    }
}

/// Runs that have to be written anew: too much of them is swept.
fn forced(sizes: &[Size], always: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let worn = |size: &Size| size.swept * SWEPT_SHARE >= size.packs && size.swept > 0;
    let (mut forced, mut rest): (Vec<usize>, Vec<usize>) =
        (0..sizes.len()).partition(|at| always(*at) || sizes.get(*at).is_some_and(worn));
    let swept = |at: &usize| sizes.get(*at).map_or(0, |size| size.swept);
    rest.sort_by_key(swept);
    let mut named: u64 = rest.iter().map(swept).sum();
    while named > SWEPT_MAX
        && let Some(most) = rest.pop()
    {
        named -= swept(&most);
        forced.push(most);
    }
    forced
}

/// Sizes within a factor of four.
fn class(records: u64) -> u32 {
    records.max(1).ilog2() / 2
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]

    use super::*;

    fn run(records: u64) -> Size {
        Size { records, packs: records / 100 + 1, swept: 0 }
    }

    /// Carries a plan out; how many records were written.
    fn apply(sizes: &mut Vec<Size>) -> u64 {
        let groups = plan(sizes, &|_| false);
        let mut written = 0;
        for group in &groups {
            let live: u64 = group.iter().map(|at| sizes[*at].live()).sum();
            assert!(live <= run_records(sizes.iter().map(|size| size.records).sum()));
            written += live;
            sizes.push(run(live));
        }
        let gone: Vec<usize> = groups.into_iter().flatten().collect();
        let mut at = 0;
        sizes.retain(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
        written
    }

    #[test]
    fn few_runs_of_different_sizes_stay_as_they_are() {
        assert!(plan(&[], &|_| false).is_empty());
        assert!(plan(&[run(10), run(500), run(600), run(700), run(900_000)], &|_| false).is_empty());
    }

    #[test]
    fn runs_of_like_size_become_one_and_may_fill_the_next_class() {
        let sizes = [run(1000), run(1000), run(1000), run(1000), run(900_000)];
        assert_eq!(plan(&sizes, &|_| false), [[0, 1, 2, 3]]);
        let sizes = [run(1000), run(1000), run(1000), run(1000), run(5000), run(5000), run(5000)];
        assert_eq!(plan(&sizes, &|_| false), [[0, 1, 2, 3, 4, 5, 6]]);
    }

    #[test]
    fn each_record_is_written_a_few_times_and_look_ups_stay_short() {
        let (mut sizes, mut written, mut longest) = (Vec::new(), 0, 0);
        let (count, records) = (3000, 2000);
        for _ in 0..count {
            sizes.push(run(records));
            written += apply(&mut sizes);
            let full = sizes.iter().filter(|s| s.live() > RUN_RECORDS_MIN / 2).count();
            longest = longest.max(sizes.len() - full);
        }
        let amplification = written as f64 / (count * records) as f64;
        assert!(amplification < 5.5, "{amplification}");
        assert!(longest <= 16, "{longest}");
        assert!(sizes.len() <= 24, "{}", sizes.len());
    }

    #[test]
    fn runs_of_a_large_index_are_longer() {
        assert_eq!(run_records(0), RUN_RECORDS_MIN);
        assert_eq!(run_records(RUNS * RUN_RECORDS_MIN), RUN_RECORDS_MIN);
        assert_eq!(run_records(RUNS * (RUN_RECORDS_MIN + 1)), RUN_RECORDS_MAX);
        assert_eq!(run_records(u64::MAX), RUN_RECORDS_MAX);
        let small = vec![run(RUN_RECORDS_MIN); RUNS as usize];
        assert!(plan(&small, &|_| false).is_empty(), "they are full");
        let large = vec![run(RUN_RECORDS_MIN); RUNS as usize + 1];
        let groups = plan(&large, &|_| false);
        assert!(groups.iter().all(|group| group.len() <= 2));
        assert_eq!(groups.len(), RUNS as usize / 2);
    }

    #[test]
    fn full_runs_are_left_alone() {
        let sizes = [run(1 << 20), run(1 << 19), run(300_000), run(300_000), run(300_000), run(300_000)];
        assert!(plan(&sizes, &|_| false).is_empty());
    }

    #[test]
    fn a_run_is_written_anew_when_a_quarter_of_it_is_swept_and_when_too_much_is_swept_in_all() {
        let worn = |swept| Size { records: 1_000_000, packs: 4000, swept };
        assert!(plan(&[worn(400), worn(500)], &|_| false).is_empty());
        assert_eq!(plan(&[worn(400), worn(1000)], &|_| false), [[1]]);
        assert_eq!(plan(&[worn(600), worn(700)], &|_| false), [[1]]);
    }

    #[test]
    fn what_has_to_be_is_written_anew() {
        let sizes = [run(1000), run(RUN_RECORDS_MAX), run(50)];
        let mut all: Vec<usize> = plan(&sizes, &|_| true).into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(plan(&sizes, &|at| at == 2), [[2]]);
    }
}
