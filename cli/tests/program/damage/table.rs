//! What every command answers to every damage.
//!
//! | cell | meaning |
//! | --- | --- |
//! | `0` | done, and the damaged part was not needed |
//! | `0w` | done; the damaged object is named in a warning |
//! | `4` | exit code 4, and the damaged object is named |
//! | `4c` | the same, but chunks are named that cannot be found anywhere |
//! | `4d` | exit code 4, the damaged object is named, and what was asked for is done, as it does not need that |
//! | `4l` | the same, but the log as a whole is named: it is shorter than it was |
//! | `12` | no key fits |
//! | `…:n` | so many entries of the snapshot are restored, all others are told |

/// Commands that only look; the first columns.
pub(crate) const LOOK: &[&str] = &[
    "snapshots",
    "ls old",
    "ls other",
    "restore old",
    "restore other",
    "restore touched",
    "restore new",
    "cat old",
    "export other",
    "find a.txt",
    "versions",
    "diff old new",
    "stats",
    "keys list",
];

/// Commands that may write; the other columns. `mend` is what `docs/operations.md` says to do, and a last check.
pub(crate) const WRITE: &[&str] = &[
    "verify old",
    "verify other",
    "check",
    "check --read-data",
    "backup",
    "delete touched",
    "undelete forgotten",
    "hold old",
    "tag old",
    "forget --keep-last 1",
    "rewrite old",
    "keys add",
    "keys remove first",
    "keys remove second",
    "prune",
    "repair index",
    "repair packs",
    "repair snapshots",
    "mend",
];

/// One line for each kind of object and way of damage.
pub(crate) const TABLE: &str = "
config gone         | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4
config cut          | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4
config flipped      | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4
config zeroed       | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4
config swapped      | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4
slot gone           | 12   12   12   12:0 12:0 12:0 12:0 12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12   12
slot cut            | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4
slot flipped        | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4
slot zeroed         | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4    4
slot swapped        | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
second slot gone    | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    1    1    0    0    0    0    0
second slot cut     | 0    0    0    0    0    0    0    0    0    0    0    0    0    4    0    0    4    4    0    0    0    0    0    0    0    0    4    0    0    0    0    0    4
second slot flipped | 0    0    0    0    0    0    0    0    0    0    0    0    0    4    0    0    4    4    0    0    0    0    0    0    0    0    4    0    0    0    0    0    4
second slot zeroed  | 0    0    0    0    0    0    0    0    0    0    0    0    0    4    0    0    4    4    0    0    0    0    0    0    0    0    4    0    0    0    0    0    4
announcement gone   | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
announcement cut    | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
announcement flipped| 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
announcement zeroed | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
announcement swapped| 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0w   0    0    0w
first pack gone     | 0    4    0    4:0  0    4:2  4:3  4    0    4    4    4    0    0    4    0    4    4    0w   0    0    0    0    0    4    0    0    0    4c   0    4    4    0
first pack cut      | 0    4    0    4:0  0    4:2  4:3  4    0    4    4    4    0    0    4    0    4    4    0w   0    0    0    0    0    4    0    0    0    4c   0    4    4    0
first pack zeroed   | 0    4    0    4:0  0    4:2  4:3  4    0    4    4    4    0    0    4    0    4    4    0    0    0    0    0    0    4    0    0    0    4    0    4    4    0
first pack swapped  | 0    4    4    4:0  4:0  4:2  4:3  4    4    4    4    4    0    0    4    4    4    4    0w   0    0    0    0    0    4    0    0    0    4c   0    4    4    0
content flipped     | 0    0    0    4:2  0    4:2  4:3  4    0    0    0    0    0    0    4    0    0    4    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0
tree flipped        | 0    4    0    4:0  0    0    0    4    0    4    4    4    0    0    4    0    4    4    0    0    0    0    0    0    4    0    0    0    0    0    4    4    0
lists flipped       | 0    0    0    0    0    4:0  0    0    0    4    4    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    4    0    4    4    0
contents flipped    | 0    4    0    4:0  0    4:2  4:3  4    0    4    4    4    0    0    4    0    4    4    0    0    0    0    0    0    4    0    0    0    4    0    4    4    0
attributes gone     | 0    0    0    0    0    4:0  0    0    0    4    4    0    0    0    0    0    4    4    0w   0    0    0    0    0    0w   0    0    0    4c   0    4    4    0
attributes cut      | 0    0    0    0    0    4:0  0    0    0    4    4    0    0    0    0    0    4    4    0w   0    0    0    0    0    0w   0    0    0    4c   0    4    4    0
attributes flipped  | 0    0    0    0    0    4:0  0    0    0    4    4    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0
attributes zeroed   | 0    0    0    0    0    4:0  0    0    0    4    4    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    4    0    4    4    0
other pack gone     | 0    0    4    0    4:0  0    0    0    4    4    4    0    0    0    0    4    4    4    0w   0    0    0    0    0    0w   0    0    0    4c   0    4    4    0
other pack flipped  | 0    0    4    0    4:0  0    0    0    4    4    4    0    0    0    0    4    4    4    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0
new pack gone       | 0    0w   0w   0w   0w   0w   4:0  0w   0w   4    4    4    0w   0    0w   0w   4    4    0w   0    0    0    0    0    0w   0    0    0    4    0w   4    4    0
new pack cut        | 0    0w   0w   0w   0w   0w   4:0  0w   0w   4    4    4    0w   0    0w   0w   4    4    0w   0    0    0    0    0    0w   0    0    0    4    0w   4    4    0
new pack flipped    | 0    0    0    0    0    0    4:0  0    0    4    4    4    0    0    0    0    4    4    0w   0    0    0    0    0    0    0    0    0    0    0    4    4    0
new pack zeroed     | 0    0w   0w   0w   0w   0w   4:0  0w   0w   4    4    4    0w   0    0w   0w   4    4    0w   0    0    0    0    0    0w   0    0    0    4    0w   4    4    0
index gone          | 0    4    4    4:0  4:0  4:0  4:3  4    4    4    4    4    4    0    4    4    4    4    0w   0    0    0    0    0    4    0    0    0    4    0w   4    4    0
index cut           | 0    4    4    4:0  4:0  4:0  4:3  4    4    4    4    4    4    0    4    4    4    4    0w   0    0    0    0    0    4    0    0    0    4    0w   4    4    0
index flipped       | 0    4    4    4:0  4:0  4:0  4:3  4    4    4    4    4    4    0    4    4    4    4    0    0    0    0    0    0    4    0    0    0    4    0w   0    4    0
index zeroed        | 0    4    4    4:0  4:0  4:0  4:3  4    4    4    4    4    4    0    4    4    4    4    0w   0    0    0    0    0    4    0    0    0    4    0w   4    4    0
index swapped       | 0    4    4    4:0  4:0  4:0  4:3  4    4    4    4    4    4    0    4    4    4    4    0w   0    0    0    0    0    4    0    0    0    4    4    4    4    0
index stale         | 0    4    4    4:0  4:0  4:0  4:3  4    4    4    4    4    4    0    4    4    4    4    0w   0    0    0    0    0    4    0    0    0    4    0w   4    4    0
old decision gone   | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0w   0    0    0
old decision cut    | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0w   0    0    0w
old decision flipped| 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0w   0    0    0w
old decision zeroed | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0w   0    0    0w
old decision swapped| 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0w   0    0    0w
new decision gone   | 0    0    0    0    0    0    1:0  0    0    0    0    1    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
new decision cut    | 4    4    4    4    4    4    4:0  4    4    4    4    4    4    0    4    4    4    4    0w   4d   4d   4d   4d   4d   4d   0    0    0    4    4    4    4    0w
new decision flipped| 4    4    4    4    4    4    4:0  4    4    4    4    4    4    0    4    4    4    4    0w   4d   4d   4d   4d   4d   4d   0    0    0    4    4    4    4    0w
new decision zeroed | 4    4    4    4    4    4    4:0  4    4    4    4    4    4    0    4    4    4    4    0w   4d   4d   4d   4d   4d   4d   0    0    0    4    4    4    4    0w
new decision swapped| 4    4    4    4    4    4    4:0  4    4    4    4    4    4    0    4    4    4    4    0w   4d   4d   4d   4d   4d   4d   0    0    0    4    4    4    4    0w
name gone           | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
name cut            | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
name flipped        | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
name zeroed         | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
name swapped        | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
old record gone     | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0w
old record cut      | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0w
old record flipped  | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0w
old record zeroed   | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4    4    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0w
old record swapped  | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0w
newest record stale | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    4l   4l   0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
newest record cut   | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0w
newest record flipped| 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0w
newest record zeroed| 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0w
newest record swapped| 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0w
old state gone      | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
old state cut       | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
old state flipped   | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
old state zeroed    | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
newest state gone   | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0
newest state cut    | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0
newest state flipped| 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0
newest state zeroed | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0
newest state swapped| 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0
newest state stale  | 4    4    4    4:0  4:0  4:0  4:0  4    4    4    4    4    4    0    4    4    4    4    4    4    4    4    4    4    4    0    0    0    4    0w   0w   4    0
removed stale       | 0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0    0
";
