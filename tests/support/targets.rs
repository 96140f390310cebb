//! Configurations that several tests share; `HOME` in them stands for the folder of the program's home.

/// No schedule is in force, so that nothing is made that a test did not ask for.
pub const QUIET: &str = r#"
[[schedule]]
name = "never"
job = "cleanup"
cron = "0 0 1 1 *"
enabled = false
"#;

/// A folder with a command beside it.
pub const SHOP: &str = r#"
[[target]]
name = "shop"
aliases = ["store"]
paths = ["HOME/shop"]
[[target.source]]
name = "dump"
kind = "command"
component = "database"
command = "cat HOME/dump.sql"
filename = "shop.sql"
"#;

/// A folder.
pub const NOTES: &str = r#"
[[target]]
name = "notes"
paths = ["HOME/notes"]
"#;

/// A command that waits until somebody writes into a pipe.
pub const WAITS: &str = r#"
[[target]]
name = "waits"
[[target.source]]
name = "dump"
kind = "command"
component = "database"
command = "cat HOME/pipe"
"#;

/// A command that never ends.
pub const ENDLESS: &str = r#"
[[target]]
name = "endless"
[[target.source]]
name = "dump"
kind = "command"
component = "database"
command = "yes"
"#;
