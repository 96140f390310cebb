//! How many of each process take part, and what they may do.

use stateright::{Model, Property};

use crate::actions::Action;
use crate::mutants::Mutant;
use crate::set::{Set, Table};
use crate::state::{Condemned, Pruner, Pruning, State, Writer, Writing};

/// A configuration.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each switches one kind of action")]
pub struct Configuration {
    /// Its name.
    pub name: &'static str,
    /// Writers.
    pub writers: u8,
    /// Copiers: sessions of repacks.
    pub copiers: u8,
    /// Pruners.
    pub pruners: u8,
    /// Chunks that exist.
    pub chunks: Set,
    /// Most log records.
    pub records: u8,
    /// Snapshots are forgotten.
    pub forget: bool,
    /// Snapshots are undeleted.
    pub undelete: bool,
    /// Snapshots are held and released.
    pub hold: bool,
    /// Prunes may keep forgotten snapshots.
    pub keep: bool,
    /// Writers are closed, by themselves or on their behalf.
    pub close: bool,
    /// Sessions are revoked.
    pub revoke: bool,
    /// Mergers.
    pub mergers: u8,
    /// A pack is found to be damaged.
    pub quarantine: bool,
    /// Repair makes the index anew from packs, beside prunes that are slow to delete.
    pub rebuild: bool,
    /// Begins with two condemnations, between which a writer began.
    pub twice: bool,
    /// Watermarks are written.
    pub checkpoint: bool,
    /// The rule that is broken.
    pub mutant: Option<Mutant>,
}

const ONE: Configuration = Configuration {
    name: "one",
    writers: 1,
    copiers: 0,
    pruners: 1,
    chunks: Set(1),
    records: 4,
    forget: true,
    undelete: false,
    hold: false,
    keep: false,
    close: true,
    revoke: true,
    mergers: 0,
    quarantine: false,
    rebuild: false,
    twice: false,
    checkpoint: false,
    mutant: None,
};

/// All configurations: those up to `condemned-twice` are searched by the tests.
pub const CONFIGURATIONS: &[Configuration] = &[
    ONE,
    Configuration { name: "two", writers: 2, close: false, ..ONE },
    Configuration { name: "repack", writers: 1, copiers: 1, records: 3, ..ONE },
    Configuration { name: "merge", mergers: 1, records: 6, ..ONE },
    Configuration { name: "mergers", mergers: 2, records: 6, ..ONE },
    Configuration { name: "undelete", undelete: true, keep: true, records: 5, ..ONE },
    Configuration { name: "quarantine", quarantine: true, ..ONE },
    Configuration { name: "checkpoint", checkpoint: true, ..ONE },
    Configuration { name: "hold", undelete: true, hold: true, ..ONE },
    Configuration { name: "rebuild", mergers: 1, rebuild: true, records: 5, ..ONE },
    Configuration {
        name: "condemned-twice",
        writers: 3,
        pruners: 2,
        records: 7,
        close: false,
        revoke: false,
        twice: true,
        ..ONE
    },
    Configuration { name: "two-long", writers: 2, records: 6, ..ONE },
    Configuration { name: "three", writers: 3, records: 3, close: false, ..ONE },
    Configuration { name: "pruners", writers: 2, pruners: 2, records: 5, ..ONE },
    Configuration { name: "repack-pruners", writers: 1, copiers: 2, pruners: 2, ..ONE },
    Configuration { name: "repack-two", writers: 2, copiers: 1, ..ONE },
    Configuration { name: "chunks", writers: 2, chunks: Set(3), ..ONE },
    Configuration { name: "merge-two", writers: 2, mergers: 1, records: 6, ..ONE },
    Configuration { name: "mergers-pruners", pruners: 2, mergers: 2, records: 6, ..ONE },
    Configuration {
        name: "undelete-two",
        writers: 2,
        undelete: true,
        hold: true,
        keep: true,
        records: 5,
        ..ONE
    },
    Configuration { name: "quarantine-two", writers: 2, quarantine: true, records: 5, ..ONE },
    Configuration { name: "checkpoint-two", writers: 2, checkpoint: true, records: 3, ..ONE },
];

/// How many of them the tests search to the end.
pub const SMALL: usize = 11;

/// The configuration of this name.
pub fn configuration(name: &str) -> Option<Configuration> {
    CONFIGURATIONS.iter().find(|c| c.name == name).cloned()
}

impl Configuration {
    /// Sessions 0 and 1 hold the same chunks and are forgotten. Their packs are condemned, that of 0 first; in between writer 2 began and
    /// deduplicated against that of 1.
    fn condemn_twice(&self, s: &mut State) {
        s.contents.set(1, self.chunks);
        s.needs.set(1, self.chunks);
        for all in [&mut s.stored, &mut s.announced, &mut s.committed, &mut s.naming, &mut s.table] {
            all.add(1);
        }
        s.told = Set::EMPTY;
        s.forgotten = Set(3);
        s.length = 4;
        let condemned = [(1, Set::one(0), Set::one(1)), (3, Set::one(1), Set::EMPTY)];
        for (pruner, (n, packs, roots)) in (0..).zip(condemned) {
            s.condemned.push(Condemned { n, packs, roots });
            s.pruners.set(pruner, Pruner { at: Pruning::Condemned, n, packs, ..Pruner::default() });
        }
        s.writers.set(1, Writer { at: Writing::Over, ..Writer::default() });
        s.announced.add(2);
        s.generation.set(2, 2);
        s.needs.set(2, self.chunks);
        s.writers.set(2, Writer { at: Writing::Ready, ..Writer::default() });
    }
}

impl Model for Configuration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let first = Set::one(0);
        let mut s = State {
            contents: Table::new(self.sessions()),
            needs: Table::new(self.sessions()),
            generation: Table::new(self.sessions()),
            writers: Table::new(self.writers + 1),
            pruners: Table::new(self.pruners),
            mergers: Table::new(self.mergers),
            stored: first,
            announced: first,
            committed: first,
            naming: first,
            told: first,
            table: first,
            quarantined_at: u8::MAX,
            ..State::default()
        };
        s.contents.set(0, self.chunks);
        s.needs.set(0, self.chunks);
        if self.twice {
            self.condemn_twice(&mut s);
        }
        vec![s]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.enabled(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        self.step(last, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::properties::properties(self)
    }
}
