//! One look for all who ask at the same time, where many ask the same.
//!
//! What always holds: what somebody is told was looked for after he asked.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// What was found last, and by which look.
#[derive(Debug, Default)]
pub(crate) struct Shared<T> {
    /// Looks that were begun.
    begun: AtomicU64,
    last: Mutex<(u64, Option<T>)>,
}

impl<T: Clone> Shared<T> {
    /// What a look finds that begins now or later. A look that fails is for its caller alone.
    pub(crate) async fn look<E>(&self, find: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let begun = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let (number, Some(found)) = &*last
            && *number > begun
        {
            return Ok(found.clone());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let found = find.await?;
        *last = (number, Some(found.clone()));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn many_who_ask_during_a_look_share_the_next() {
        let (shared, looks) = (Arc::new(Shared::default()), Arc::new(AtomicU64::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let ask = || {
            let (shared, looks, gate) = (Arc::clone(&shared), Arc::clone(&looks), Arc::clone(&gate));
            tokio::spawn(async move {
                let find = async {
                    let number = looks.fetch_add(1, Ordering::SeqCst) + 1;
                    gate.acquire().await.unwrap().forget();
                    Ok::<_, ()>(number)
                };
                shared.look(find).await.unwrap()
            })
        };
        let first = ask();
        while looks.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..10).map(|_| ask()).collect();
        tokio::task::yield_now().await;
        gate.add_permits(2);
        assert_eq!(first.await.unwrap(), 1);
        for other in others {
            assert_eq!(other.await.unwrap(), 2);
        }
        gate.add_permits(1);
        assert_eq!(ask().await.unwrap(), 3, "who asks later is told of later");
    }
}
