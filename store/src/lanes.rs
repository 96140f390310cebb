//! Several calls to the storage at a time, where each waits for a network longer than it works.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Results held at one time by whoever works through many: some megabytes at most, of the smaller objects.
pub(crate) const AT_ONCE: usize = 64;

/// What `call` gives for each item, in the order of the items, from `lanes` threads.
pub(crate) fn spread<T: Sync, R: Send>(lanes: usize, items: &[T], call: &(dyn Fn(&T) -> R + Sync)) -> Vec<R> {
    let threads = lanes.min(items.len());
    if threads <= 1 {
        return items.iter().map(call).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let take = || {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).map(|item| (at, call(item)))
        };
        std::iter::from_fn(take).collect::<Vec<_>>()
    };
    let mut all = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for helper in helpers {
            all.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_from_as_many_threads_as_lanes() {
        // Nobody passes alone.
        let together = Barrier::new(3);
        let items: Vec<u32> = (0..9).collect();
        let squares = spread(3, &items, &|n| {
            together.wait();
            n * n
        });
        assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64]);
        assert_eq!(spread(8, &[7], &|n| n + 1), [8]);
        assert!(spread(8, &[], &|n: &u32| n + 1).is_empty());
    }
}
