//! The PostgreSQL server of a drill: which programs it is made of, and who runs it.

use std::path::Path;
use std::time::Duration;

use chronos_connect::postgres::{Cluster, ClusterOptions, account, find_programs, is_open_to_all};
use chronos_connect::{Account, Verdict, check_space};
use chronos_snapshot::SourceResult;

use crate::config::Source;
use crate::operations::drill::findings::Findings;
use crate::operations::drill::trial::{CLUSTER_BYTES, Trial};
use crate::values::{parse_duration, shown};

/// Accounts that a server may be given to by root, the one with the least rights first.
const ACCOUNTS: [&str; 2] = ["nobody", "postgres"];

impl Trial<'_> {
    /// The server of this drill, started when it is first needed; that there can be none is noted.
    pub(super) fn cluster(&self, found: &mut Findings) -> Option<&Cluster> {
        match self.cluster.get_or_init(|| self.start()) {
            Ok(cluster) => Some(cluster),
            Err(why) => {
                found.not_tried(format!("its dump was not restored, so that it is not proven: {why}"));
                None
            }
        }
    }

    fn start(&self) -> std::result::Result<Cluster, String> {
        let config = &self.workplace.config.drill;
        let programs = match &config.postgres_programs {
            Some(folder) if folder.join("initdb").exists() => folder.clone(),
            Some(folder) => {
                return Err(format!("there is no initdb in {} (drill.postgres_programs)", shown(folder)));
            }
            None => find_programs(std::env::var_os("PATH").as_deref()).ok_or(
                "no programs of a PostgreSQL server are found (initdb, pg_ctl): install them, or name their folder as \
                 drill.postgres_programs in the configuration file",
            )?,
        };
        let folder = self.scratch.server();
        let account = self.account(&folder)?;
        check_space(&self.scratch.private(), CLUSTER_BYTES).map_err(|e| e.to_string())?;
        let time_limit = self.time_limit(None);
        let options = ClusterOptions { programs, folder, account, time_limit };
        Cluster::start(options).map_err(|e| format!("no server could be started: {}", Verdict::of(&e).why))
    }

    /// Whom root gives the server to.
    fn account(&self, folder: &Path) -> std::result::Result<Option<Account>, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let above = folder.parent().unwrap_or(folder);
        if !is_open_to_all(above).map_err(|e| format!("{}: {e}", shown(above)))? {
            return Err(format!(
                "a PostgreSQL server does not run as root, and other accounts do not get into {}: name a folder that they can \
                 pass through as drill.scratch in the configuration file",
                shown(above)
            ));
        }
        let wanted: Vec<&str> = match self.workplace.config.drill.user.as_deref() {
            Some(user) => vec![user],
            None => ACCOUNTS.to_vec(),
        };
        for name in &wanted {
            match account(name).map_err(|e| e.to_string())? {
                Some(found) if found.user != 0 => return Ok(Some(found)),
                _ => {}
            }
        }
        Err(format!(
            "a PostgreSQL server does not run as root, and there is no account {}: name one as drill.user in the configuration file",
            wanted.join(" or ")
        ))
    }

    pub(super) fn time_limit(&self, source: Option<&SourceResult>) -> Option<Duration> {
        let own = source.and_then(|s| self.configured(s)).and_then(Source::limit);
        let of_drills = self.workplace.config.drill.time_limit.as_deref();
        let seconds = of_drills.and_then(|text| parse_duration(text).ok());
        own.or(seconds.map(Duration::from_secs))
    }
}
