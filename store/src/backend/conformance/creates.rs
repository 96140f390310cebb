//! Of several who create one object one succeeds, and nobody sees half of one.

use std::sync::Barrier;
use std::thread;

use super::{Ground, Outcome, Trouble, bytes, fails, ok, put, same, truth};
use crate::backend::{BackendError, BackendExt, BackendResult, Durability};

/// Threads that race for one name.
const RACERS: usize = 16;

/// Names that are raced for.
const ROUNDS: usize = 8;

/// Objects that appear while somebody looks.
const APPEARING: usize = 20;

pub(super) fn second_fails(ground: &Ground) -> Outcome {
    let (a, b) = (&ground.a, &ground.b);
    for (n, durability) in
        [Durability::Now, Durability::Deferred, Durability::Relaxed].into_iter().enumerate()
    {
        let name = format!("snap/{n}");
        ok(&name, a.write_new(&name, b"first", durability))?;
        let is_taken = |e: &BackendError| matches!(e, BackendError::AlreadyExists(n) if *n == name);
        for (handle, content) in [(a, &b"first"[..]), (b, b"second"), (a, b""), (b, b"first")] {
            fails("a second create", handle.write_new(&name, content, durability), is_taken)?;
        }
        fails("a second create", b.create(&name, b"second", durability), is_taken)?;
        same("what the first one wrote", &ok(&name, b.read(&name, None))?, &b"first".to_vec())?;
    }
    Ok(())
}

pub(super) fn one_racer_wins(ground: &Ground) -> Outcome {
    (0..ROUNDS).try_for_each(|round| race(ground, &format!("snap/{round}")))
}

fn race(ground: &Ground, name: &str) -> Outcome {
    let barrier = Barrier::new(RACERS);
    let outcomes: Vec<BackendResult<()>> = thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|n| {
                let barrier = &barrier;
                let handle = if n % 2 == 0 { &ground.a } else { &ground.b };
                scope.spawn(move || {
                    let content = bytes(n as u64, 5000 + n);
                    barrier.wait();
                    handle.write_new(name, &content, Durability::Now)
                })
            })
            .collect();
        racers.into_iter().filter_map(|racer| racer.join().ok()).collect()
    });
    same("racers that came back", &outcomes.len(), &RACERS)?;
    let winners: Vec<usize> = (0..RACERS).filter(|n| outcomes.get(*n).is_some_and(Result::is_ok)).collect();
    truth(&format!("{} of {RACERS} were told that they won", winners.len()), winners.len() < 2)?;
    for outcome in outcomes {
        if let Err(error) = outcome {
            fails("a loser", Err::<(), _>(error), |e| matches!(e, BackendError::AlreadyExists(_)))?;
        }
    }
    let [winner] = winners.as_slice() else { return Err(Trouble::Broken("nobody won".to_owned())) };
    let content = bytes(*winner as u64, 5000 + winner);
    truth("the bytes are not the winner's", ok(name, ground.b.read(name, None))? == content)
}

pub(super) fn nothing_partial(ground: &Ground) -> Outcome {
    let content = bytes(1, 300_000);
    let (a, b) = (&ground.a, &ground.b);
    thread::scope(|scope| {
        let write = || (0..APPEARING).try_for_each(|n| put(&**a, &format!("packs/s/{n:02}"), &content));
        let writer = scope.spawn(write);
        loop {
            let is_done = writer.is_finished();
            let entries = ok("list", b.list_all("packs/"))?;
            for entry in &entries {
                same(&entry.name, &entry.size, &(content.len() as u64))?;
            }
            if let Some(last) = entries.last() {
                truth("another content", ok(&last.name, b.read(&last.name, None))? == content)?;
            }
            if is_done {
                writer.join().map_err(|_| Trouble::Untried("the writer panicked".to_owned()))??;
                return same("objects in the end", &entries.len(), &APPEARING);
            }
        }
    })
}
