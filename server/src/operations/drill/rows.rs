//! Rows of a restored database beside those of the last drill that passed: what has lost them is no good snapshot, however well it is restored.
//!
//! What always holds: a snapshot is laid beside an earlier one, never beside a later one.

use std::collections::BTreeMap;

use chronos_snapshot::{SourceResult, counted};

use crate::config::DrillRules;
use crate::error::{Error, Result};
use crate::operations::drill::findings::Findings;
use crate::operations::drill::short;
use crate::operations::drill::trial::Trial;
use crate::state::{CountedRows, State};
use crate::values::shown;

/// Tables that are told.
const SHOWN: usize = 5;

/// Rows of the tables of a database.
pub(super) type Rows = BTreeMap<String, u64>;

impl Trial<'_> {
    /// Lays what was counted beside what the last drill that passed has counted in an earlier snapshot.
    pub(super) fn compare_rows(
        &self,
        source: &SourceResult,
        database: &str,
        rows: Rows,
        found: &mut Findings,
    ) {
        let all = counted(rows.values().sum::<u64>(), "row");
        found.holds(format!("database {database}: {all} in {}", counted(rows.len(), "table")));
        match self.earlier_rows(source, database) {
            Ok(Some((backup_id, earlier))) => {
                let max_drop = DrillRules::max_drop(self.rules(source), database);
                for (is_failure, line) in lost(max_drop, &earlier, &rows) {
                    let line = format!("database {database} {line} in {backup_id}, whose drill passed");
                    if is_failure { found.fails(line) } else { found.holds(line) }
                }
            }
            Ok(None) => {}
            // The state of this host may be lost; no snapshot depends on it.
            Err(error) => {
                found.holds(format!("its rows were not compared with those of the last drill: {error}"));
            }
        }
        self.counted.borrow_mut().push((database.to_owned(), rows));
    }

    fn earlier_rows(&self, source: &SourceResult, database: &str) -> Result<Option<(String, Rows)>> {
        let state = State::open(&self.workplace.places.state)?;
        let found = state.counted_rows(&self.key(), &source.name, database, self.taken())?;
        let read = |(backup_id, rows): (String, String)| match serde_json::from_str(&rows) {
            Ok(rows) => Ok((backup_id, rows)),
            Err(error) => Err(Error::StateDamaged {
                path: shown(&State::file(&self.workplace.places.state)),
                why: format!("the rows of {backup_id}: {error}"),
            }),
        };
        found.map(read).transpose()
    }

    /// Keeps what was counted in a source that has passed, for the drills of later snapshots.
    pub(super) fn keep_rows(&self, source: &SourceResult) {
        for (database, rows) in self.counted.borrow_mut().drain(..) {
            let row = CountedRows {
                of: self.key(),
                source: &source.name,
                database: &database,
                backup_id: &self.snapshot.manifest.backup_id,
                taken: self.taken(),
                // Texts and numbers can always be written.
                rows: &serde_json::to_string(&rows).unwrap_or_default(),
            };
            let kept =
                State::open(&self.workplace.places.state).and_then(|state| state.keep_counted_rows(&row));
            if let Err(error) = kept {
                let problem = format!("the rows of this drill are not kept for the next one: {error}");
                self.workplace.monitor.problem(&problem);
            }
        }
    }

    /// Forgets what was counted in a source that has not passed.
    pub(super) fn forget_rows(&self) {
        self.counted.borrow_mut().clear();
    }

    fn key(&self) -> (String, &str) {
        (self.catalog.repository.id().to_string(), &self.snapshot.manifest.target)
    }

    fn taken(&self) -> i64 {
        short(self.snapshot.taken_at().as_nanosecond())
    }
}

/// What has lost rows, and whether that is a failure. `max_drop`: by which share the rows of each table may be fewer; without it a
/// database must not have lost all of them.
fn lost(max_drop: Option<f64>, earlier: &Rows, now: &Rows) -> Vec<(bool, String)> {
    let rows_of = |rows: u64| counted(rows, "row");
    let (before, after) = (earlier.values().sum::<u64>(), now.values().sum::<u64>());
    if max_drop.is_none() && before > 0 && after == 0 {
        return vec![(true, format!("has no rows any more, and had {}", rows_of(before)))];
    }
    let mut all: Vec<(bool, String)> = Vec::new();
    for (table, had) in earlier.iter().filter(|(_, had)| **had > 0) {
        let has = now.get(table).copied();
        let count = has.unwrap_or(0);
        let (is_failure, is_told) = match max_drop {
            Some(share) => {
                let is_too_few = (count as f64) < *had as f64 * (1.0 - share);
                (is_too_few, is_too_few)
            }
            None => (false, count == 0),
        };
        if is_told {
            let what = has.map_or_else(|| "lacks table".to_owned(), |has| format!("has {} in", rows_of(has)));
            all.push((is_failure, format!("{what} {table}, which had {}", rows_of(*had))));
        }
    }
    let more = all.len().saturating_sub(SHOWN);
    if let Some(&(is_failure, _)) = all.get(SHOWN) {
        all.truncate(SHOWN);
        all.push((is_failure, format!("has lost rows of {}", counted(more, "more table"))));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(all: &[(&str, u64)]) -> Rows {
        all.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect()
    }

    #[test]
    fn a_database_must_not_lose_all_of_its_rows_and_a_table_no_more_than_is_allowed() {
        let earlier = rows(&[("a", 100), ("b", 2), ("c", 0)]);
        assert_eq!(lost(None, &earlier, &rows(&[("a", 1), ("b", 1), ("c", 0)])), []);
        let gone = [(true, "has no rows any more, and had 102 rows".to_owned())];
        assert_eq!(lost(None, &earlier, &rows(&[("a", 0), ("b", 0)])), gone);
        assert_eq!(lost(None, &earlier, &Rows::new()), gone);
        let one = [
            (false, "has 0 rows in a, which had 100 rows".to_owned()),
            (false, "lacks table b, which had 2 rows".to_owned()),
        ];
        assert_eq!(lost(None, &earlier, &rows(&[("a", 0), ("c", 5)])), one);
        let half = Some(0.5);
        assert_eq!(lost(half, &earlier, &rows(&[("a", 50), ("b", 1)])), []);
        let few = [(true, "has 49 rows in a, which had 100 rows".to_owned())];
        assert_eq!(lost(half, &earlier, &rows(&[("a", 49), ("b", 1)])), few);
        assert_eq!(lost(Some(1.0), &earlier, &Rows::new()), []);
        assert_eq!(lost(None, &rows(&[("a", 0)]), &Rows::new()), []);
    }
}
