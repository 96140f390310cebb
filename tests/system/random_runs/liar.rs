//! An engine that does one thing wrong, to prove that the comparison would see it.

use chronos_store::backend::Backend;

use super::engine::{Answer, Engine, Failure, Order};
use super::library::Library;
use super::model::Listing;
use super::operations::{Prune, Stop, Strategy};

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// A pack is lost after a prune.
    LosesPack,
    /// A byte of a pack changes after a backup.
    FlipsByte,
    /// A backup leaves out the last root.
    MissesRoot,
    /// A restore leaves out what is called `a`.
    MissesFile,
    /// A replacing restore leaves extra files.
    LeavesExtras,
    /// A snapshot is said to be held and is not.
    DoesNotHold,
    /// A prune gives no time to undelete.
    PurgesEarly,
    /// A forgotten snapshot stays.
    DoesNotForget,
    /// A dry run is none.
    PrunesDry,
    /// A removed key still opens it.
    KeepsKey,
}

pub(super) const LIES: [Lie; 10] = [
    Lie::LosesPack,
    Lie::FlipsByte,
    Lie::MissesRoot,
    Lie::MissesFile,
    Lie::LeavesExtras,
    Lie::DoesNotHold,
    Lie::PurgesEarly,
    Lie::DoesNotForget,
    Lie::PrunesDry,
    Lie::KeepsKey,
];

/// The libraries, but for one lie.
pub(super) struct Liar {
    pub(super) library: Library,
    pub(super) lie: Lie,
}

impl Liar {
    /// The order that is really carried out; none: nothing is done.
    fn bent(&self, order: &Order) -> Option<Order> {
        let mut order = order.clone();
        match (self.lie, &mut order) {
            (Lie::MissesRoot, Order::Backup(backup)) if backup.roots.len() > 1 => drop(backup.roots.pop()),
            (Lie::MissesFile, Order::Restore(restore)) => restore.exclude = Some("a".to_owned()),
            (Lie::LeavesExtras, Order::Restore(restore)) if restore.strategy == Some(Strategy::Replace) => {
                restore.strategy = Some(Strategy::Overwrite);
            }
            (Lie::PurgesEarly, Order::Prune(prune)) => prune.keep_hours = 0,
            (Lie::PrunesDry, Order::Prune(prune)) => *prune = Prune { dry_run: false, ..*prune },
            (Lie::DoesNotHold, Order::Hold(_))
            | (Lie::DoesNotForget, Order::Forget(_))
            | (Lie::KeepsKey, Order::RemoveKey(_)) => return None,
            _ => {}
        }
        Some(order)
    }

    /// Damages the largest pack.
    fn damage(&self, order: &Order) {
        let content = self.library.objects().content();
        let packs = content.iter().filter(|(name, _)| name.starts_with("packs/"));
        let Some((name, bytes)) = packs.max_by_key(|(_, bytes)| bytes.len()) else { return };
        match (self.lie, order) {
            (Lie::LosesPack, Order::Prune(_)) => self.library.objects().remove(name).unwrap(),
            (Lie::FlipsByte, Order::Backup(_)) => {
                let mut bytes = bytes.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                self.library.objects().damage(name, Some(&bytes));
            }
            _ => {}
        }
    }
}

impl Engine for Liar {
    const CAN_WAIT: bool = true;

    fn run(&mut self, client: usize, key: u8, order: &Order, stop: Option<Stop>) -> Result<Answer, Failure> {
        let Some(bent) = self.bent(order) else { return Ok(Answer::default()) };
        let answer = self.library.run(client, key, &bent, stop);
        self.damage(order);
        answer
    }

    fn listing(&mut self, client: usize, key: u8) -> Result<Listing, Failure> {
        self.library.listing(client, key)
    }

    fn mark(&self) -> Vec<(String, u64)> {
        self.library.mark()
    }
}
