//! Work done by a few threads, its results given in the order of what was asked for, a bounded number ahead.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Results ahead of the reader per thread: what a slow one is waited for with.
const AHEAD: usize = 2;

type Work<I, T> = dyn Fn(&I) -> T + Send + Sync;

struct Shared<I, T> {
    inputs: Vec<I>,
    work: Box<Work<I, T>>,
    ahead: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// Number of the next input that a thread takes.
    next: usize,
    /// Number of the next result that is given.
    given: usize,
    /// `None`: the thread ended before its work did.
    done: BTreeMap<usize, Option<T>>,
    /// Threads at work; without any the reader works.
    threads: usize,
    stopped: bool,
}

/// Results in order. Threads end after what they have in hand once this is dropped.
pub(super) struct Fetched<I, T> {
    shared: Arc<Shared<I, T>>,
}

impl<I: Send + Sync + 'static, T: Send + 'static> Fetched<I, T> {
    /// Begins with `threads` threads.
    pub(super) fn start(
        inputs: Vec<I>,
        threads: usize,
        work: impl Fn(&I) -> T + Send + Sync + 'static,
    ) -> Self {
        let threads = threads.clamp(1, inputs.len().max(1));
        let state = State { next: 0, given: 0, done: BTreeMap::new(), threads: 0, stopped: false };
        let shared = Arc::new(Shared {
            inputs,
            work: Box::new(work),
            ahead: AHEAD * threads,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        for n in 0..threads {
            shared.lock().threads += 1;
            let thread = Arc::clone(&shared);
            let named = std::thread::Builder::new().name(format!("n8n-{n}"));
            if named.spawn(move || thread.run()).is_err() {
                shared.lock().threads -= 1;
                break;
            }
        }
        Self { shared }
    }
}

impl<I, T> Shared<I, T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let mut state = self.lock();
            while !state.stopped && state.next < self.inputs.len() && state.next >= state.given + self.ahead {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let number = state.next;
            let Some(input) = self.inputs.get(number).filter(|_| !state.stopped) else { return };
            state.next += 1;
            drop(state);
            let mut begun = Begun { shared: self, number, result: None };
            begun.result = Some((self.work)(input));
        }
    }
}

/// Work in hand; its place is filled when this is dropped, also by a defect, so that the reader never waits for ever.
struct Begun<'s, I, T> {
    shared: &'s Shared<I, T>,
    number: usize,
    result: Option<T>,
}

impl<I, T> Drop for Begun<'_, I, T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // Without a result this thread ends here.
        state.threads -= usize::from(self.result.is_none());
        state.done.insert(self.number, self.result.take());
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl<I, T> Iterator for Fetched<I, T> {
    /// The result for each input in order; `None` if it was never finished.
    type Item = Option<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut state = self.shared.lock();
        let number = state.given;
        let input = self.shared.inputs.get(number)?;
        state.given += 1;
        self.shared.changed.notify_all();
        loop {
            if let Some(found) = state.done.remove(&number) {
                return Some(found);
            }
            if state.threads == 0 {
                drop(state);
                return Some(Some((self.shared.work)(input)));
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<I, T> Drop for Fetched<I, T> {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
    }
}

impl<I, T> fmt::Debug for Fetched<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("inputs", &self.shared.inputs.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_come_in_order_and_never_far_ahead() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let fetched = Fetched::start((0..200).collect(), 4, move |n: &usize| {
            counted.fetch_add(1, Ordering::SeqCst);
            n * 2
        });
        for (at, found) in fetched.enumerate() {
            assert_eq!(found, Some(at * 2));
            assert!(begun.load(Ordering::SeqCst) <= at + 1 + AHEAD * 4);
        }
        assert_eq!(begun.load(Ordering::SeqCst), 200);
    }

    #[test]
    fn work_that_ends_early_is_told() {
        let fetched = Fetched::start(vec![0, 1, 2], 2, |n: &i32| {
            assert_ne!(*n, 1, "a defect");
            *n
        });
        assert_eq!(fetched.collect::<Vec<_>>(), [Some(0), None, Some(2)]);
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        assert_eq!(Fetched::start(Vec::<i32>::new(), 4, |n| *n).count(), 0);
    }
}
