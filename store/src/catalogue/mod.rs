//! What was read from the repository before, kept on this host: decisions, tables of contents, states.
//!
//! Never the truth. The file may vanish at any moment, belongs to one process for the length of one
//! short transaction, and is not believed: every value carries a keyed check over its table, key
//! and bytes, besides the checks of the file's blocks (`storage`). Whatever goes wrong (damage, a
//! version of another program, a panic inside the database) ends with the file deleted and the
//! answer "not known".

mod storage;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redb::{Database, ReadableDatabase, TableDefinition};

use self::storage::Storage;
use crate::durable;
use crate::id::{PackName, SessionId};
use crate::local::boot_id;

type Table = TableDefinition<'static, &'static str, &'static [u8]>;

const DECISIONS: Table = TableDefinition::new("decisions");
const TOCS: Table = TableDefinition::new("tocs");
const STATES: Table = TableDefinition::new("states");

/// Beyond this the file is begun anew: the tables of contents of some terabytes.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// Memory that the database may use for its own cache; transactions are short.
const MEMORY_BYTES: usize = 8 << 20;

/// Bytes of the check in front of every value.
const CHECK_BYTES: usize = 4;

/// The catalogue of one repository on this host. Every method works as well without one.
#[derive(Debug)]
pub struct Catalogue {
    /// Nowhere if nothing is to be kept.
    path: Option<PathBuf>,
    key: [u8; 32],
    /// One transaction of this handle at a time.
    turn: Mutex<()>,
}

/// Why an operation gave nothing.
enum Failure {
    /// Another process has the file, or the folder cannot be used: the file stays.
    Unavailable,
    /// The file is not what was written.
    Damaged,
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::Unavailable,
            // Also a failed write: what it left is not worth trusting.
            _ => Self::Damaged,
        }
    }
}

type Outcome<T> = Result<T, Failure>;

impl Catalogue {
    /// The catalogue in the cache folder of a repository; `key` must be secret to the repository.
    pub fn new(cache: &Path, key: [u8; 32]) -> Self {
        Self { path: Some(cache.join("catalogue.redb")), key, turn: Mutex::default() }
    }

    /// One that knows nothing and keeps nothing, for whoever wants proof of what is stored.
    pub fn none() -> Self {
        Self { path: None, key: [0; 32], turn: Mutex::default() }
    }

    /// The decision of a session, as it was put.
    pub fn get_decision(&self, session: &SessionId) -> Option<Vec<u8>> {
        self.get_decisions(std::slice::from_ref(session)).pop()?
    }

    /// The decisions of many sessions, in their order.
    pub fn get_decisions(&self, sessions: &[SessionId]) -> Vec<Option<Vec<u8>>> {
        self.get(DECISIONS, &names(sessions))
    }

    /// Keeps decisions.
    pub fn put_decisions(&self, decisions: &[(SessionId, Vec<u8>)]) {
        self.put(DECISIONS, &rows(decisions));
    }

    /// The table of contents of a pack, as it was put.
    pub fn get_toc(&self, pack: &PackName) -> Option<Vec<u8>> {
        self.get_tocs(std::slice::from_ref(pack)).pop()?
    }

    /// The tables of contents of many packs, in their order.
    pub fn get_tocs(&self, packs: &[PackName]) -> Vec<Option<Vec<u8>>> {
        self.get(TOCS, &names(packs))
    }

    /// Keeps tables of contents.
    pub fn put_tocs(&self, tocs: &[(PackName, Vec<u8>)]) {
        self.put(TOCS, &rows(tocs));
    }

    /// Drops the tables of contents of packs that are gone.
    pub fn forget_tocs(&self, packs: &[PackName]) {
        if !packs.is_empty() && self.exists() {
            self.run(|db| {
                let transaction = db.begin_write()?;
                {
                    let mut table = transaction.open_table(TOCS)?;
                    for pack in packs {
                        table.remove(pack.to_string().as_str())?;
                    }
                }
                Ok(transaction.commit()?)
            });
        }
    }

    /// A state object, or whatever goes with the position in the log, as it was put.
    pub fn get_state(&self, name: &str) -> Option<Vec<u8>> {
        self.get(STATES, &[name.to_owned()]).pop()?
    }

    /// Keeps a state object in place of all earlier ones: only the newest is asked for.
    pub fn put_state(&self, name: &str, bytes: &[u8]) {
        let value = self.sealed(STATES, name, bytes);
        self.run(|db| {
            let transaction = db.begin_write()?;
            transaction.delete_table(STATES)?;
            transaction.open_table(STATES)?.insert(name, value.as_slice())?;
            Ok(transaction.commit()?)
        });
    }

    /// Deletes the catalogue. It is made again as things are read.
    pub fn forget_everything(&self) {
        // If it cannot be deleted, its checks still keep anything wrong from being believed.
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }

    fn exists(&self) -> bool {
        self.path.as_ref().is_some_and(|path| path.exists())
    }

    fn get(&self, table: Table, keys: &[String]) -> Vec<Option<Vec<u8>>> {
        if keys.is_empty() || !self.exists() {
            return vec![None; keys.len()];
        }
        let found = self.run(|db| {
            let transaction = db.begin_read()?;
            let table_open = match transaction.open_table(table) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(vec![None; keys.len()]),
                opened => opened?,
            };
            keys.iter()
                .map(|key| match table_open.get(key.as_str())? {
                    Some(value) => self.opened(table, key, value.value()).map(Some),
                    None => Ok(None),
                })
                .collect()
        });
        found.unwrap_or_else(|| vec![None; keys.len()])
    }

    fn put(&self, table: Table, rows: &[(String, &[u8])]) {
        if rows.is_empty() {
            return;
        }
        self.run(|db| {
            let transaction = db.begin_write()?;
            {
                let mut table_open = transaction.open_table(table)?;
                for (key, bytes) in rows {
                    table_open.insert(key.as_str(), self.sealed(table, key, bytes).as_slice())?;
                }
            }
            Ok(transaction.commit()?)
        });
    }

    /// Does one short transaction; `None` if that was not possible.
    fn run<T>(&self, work: impl FnOnce(&Database) -> Outcome<T>) -> Option<T> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // The database checks little of what it reads and panics on some damage.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&self.open()?))).unwrap_or(Err(Failure::Damaged));
        match outcome {
            Ok(value) => Some(value),
            Err(Failure::Unavailable) => None,
            Err(Failure::Damaged) => {
                self.forget_everything();
                None
            }
        }
    }

    fn open(&self) -> Outcome<Database> {
        let path = self.path.as_ref().ok_or(Failure::Unavailable)?;
        if let Some(folder) = path.parent() {
            durable::create_folder(folder).map_err(|_| Failure::Unavailable)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|_| Failure::Unavailable)?;
        file.try_lock().map_err(|_| Failure::Unavailable)?;
        if file.metadata().map_err(|_| Failure::Unavailable)?.len() > FILE_BYTES_MAX {
            return Err(Failure::Damaged);
        }
        let storage = Storage::open(file, self.key, &boot_id()).map_err(|_| Failure::Damaged)?;
        Ok(Database::builder().set_cache_size(MEMORY_BYTES).create_with_backend(storage)?)
    }

    fn check(&self, table: Table, key: &str, bytes: &[u8]) -> [u8; CHECK_BYTES] {
        use redb::TableHandle;
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [table.name(), key] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let mut check = [0; CHECK_BYTES];
        hasher.update(bytes).finalize_xof().fill(&mut check);
        check
    }

    fn sealed(&self, table: Table, key: &str, bytes: &[u8]) -> Vec<u8> {
        [&self.check(table, key, bytes)[..], bytes].concat()
    }

    fn opened(&self, table: Table, key: &str, value: &[u8]) -> Outcome<Vec<u8>> {
        let (check, bytes) = value.split_at_checked(CHECK_BYTES).ok_or(Failure::Damaged)?;
        if check == self.check(table, key, bytes) { Ok(bytes.to_vec()) } else { Err(Failure::Damaged) }
    }
}

fn names(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn rows(items: &[(impl ToString, Vec<u8>)]) -> Vec<(String, &[u8])> {
    items.iter().map(|(key, bytes)| (key.to_string(), bytes.as_slice())).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use std::fs::File;

    use super::*;

    fn sid(n: u64) -> SessionId {
        SessionId::new(n, "me", n).unwrap()
    }

    fn pack(seq: u32) -> PackName {
        PackName { session: sid(1), seq, attempt: 0 }
    }

    fn value(n: u64) -> Vec<u8> {
        n.to_le_bytes().repeat(20)
    }

    fn path(catalogue: &Catalogue) -> &Path {
        catalogue.path.as_deref().unwrap()
    }

    fn filled(dir: &tempfile::TempDir) -> Catalogue {
        let catalogue = Catalogue::new(&dir.path().join("cache"), [5; 32]);
        let decisions: Vec<_> = (0..100).map(|n| (sid(n), value(n))).collect();
        catalogue.put_decisions(&decisions);
        catalogue.put_tocs(&[(pack(0), vec![0; 100_000]), (pack(1), Vec::new())]);
        catalogue.put_state("a", b"old");
        catalogue.put_state("b", b"new");
        catalogue
    }

    #[test]
    fn what_was_put_is_found_by_every_handle() {
        let dir = tempfile::tempdir().unwrap();
        let one = filled(&dir);
        let two = Catalogue::new(&dir.path().join("cache"), [5; 32]);
        for catalogue in [&one, &two] {
            assert_eq!(catalogue.get_decision(&sid(42)), Some(value(42)));
            assert_eq!(catalogue.get_decisions(&[sid(1), sid(1000)]), [Some(value(1)), None]);
            assert_eq!(catalogue.get_toc(&pack(0)).unwrap().len(), 100_000);
            assert_eq!(catalogue.get_toc(&pack(1)), Some(Vec::new()));
            assert_eq!((catalogue.get_state("a"), catalogue.get_state("b")), (None, Some(b"new".to_vec())));
        }
        two.forget_tocs(&[pack(0), pack(7)]);
        assert_eq!(one.get_tocs(&[pack(0), pack(1)]), [None, Some(Vec::new())]);
        one.forget_everything();
        assert_eq!(two.get_decision(&sid(42)), None);
    }

    #[test]
    fn looking_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::new(&dir.path().join("none"), [5; 32]);
        assert_eq!(catalogue.get_decision(&sid(1)), None);
        catalogue.forget_tocs(&[pack(0)]);
        catalogue.put_decisions(&[]);
        assert!(!dir.path().join("none").exists());
    }

    #[test]
    fn a_file_held_by_another_process_is_worked_without() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = filled(&dir);
        let holder = File::open(path(&catalogue)).unwrap();
        holder.lock().unwrap();
        assert_eq!(catalogue.get_decision(&sid(1)), None);
        catalogue.put_decisions(&[(sid(1), b"lost".to_vec())]);
        drop(holder);
        assert_eq!(catalogue.get_decision(&sid(1)), Some(value(1)), "nothing was deleted");
    }

    #[test]
    fn values_of_another_key_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = filled(&dir);
        let other = Catalogue::new(&dir.path().join("cache"), [6; 32]);
        assert_eq!(other.get_decision(&sid(1)), None);
        assert!(!catalogue.exists());
        other.put_decisions(&[(sid(1), value(9))]);
        assert_eq!(other.get_decision(&sid(1)), Some(value(9)));
    }

    #[test]
    fn damage_anywhere_never_gives_a_wrong_value() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = filled(&dir);
        let good = fs::read(path(&catalogue)).unwrap();
        let used: Vec<usize> = (0..good.len()).filter(|n| good[*n] != 0).collect();
        let mut rebuilt = 0;
        for round in 0..150_u32 {
            let mut bad = good.clone();
            let hash = blake3::hash(&round.to_le_bytes());
            let place =
                used[u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap()) as usize % used.len()];
            match round % 3 {
                0 => bad[place] ^= 1 << (round % 8),
                1 => bad[place..].iter_mut().take(4096).for_each(|b| *b = 0),
                _ => bad.truncate(place),
            }
            fs::write(path(&catalogue), &bad).unwrap();
            let sessions: Vec<_> = (0..100).map(sid).collect();
            for (n, found) in (0..).zip(catalogue.get_decisions(&sessions)) {
                assert!(found.is_none_or(|found| found == value(n)), "round {round}, session {n}");
            }
            rebuilt += u32::from(!catalogue.exists());
            catalogue.put_decisions(&[(sid(7), value(7))]);
            catalogue.put_decisions(&[(sid(7), value(7))]);
            assert_eq!(catalogue.get_decision(&sid(7)), Some(value(7)), "works again, round {round}");
        }
        assert!(rebuilt > 0);
    }

    #[test]
    fn deleted_while_in_use_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = filled(&dir);
        std::thread::scope(|scope| {
            let deleter = scope.spawn(|| {
                for _ in 0..50 {
                    fs::remove_dir_all(dir.path().join("cache")).ok();
                }
            });
            for n in 0..50 {
                catalogue.put_decisions(&[(sid(n), value(n))]);
                assert!(catalogue.get_decision(&sid(n)).is_none_or(|found| found == value(n)));
            }
            deleter.join().unwrap();
        });
        catalogue.put_decisions(&[(sid(1), value(1))]);
        assert_eq!(catalogue.get_decision(&sid(1)), Some(value(1)));
    }
}
