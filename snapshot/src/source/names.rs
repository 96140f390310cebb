//! Names of users and groups by number, looked up once each.
//!
//! Read from `/etc/passwd` and `/etc/group`; where the system's name service has more than these
//! files (LDAP, SSSD), `getent` is asked for numbers that they do not hold.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Arc, PoisonError, RwLock};

/// Most numbers asked of `getent` per database; a tree full of foreign numbers must not start a process for each.
const GETENT_MAX: usize = 256;

/// Users and groups of this host.
#[derive(Debug)]
pub(crate) struct Names {
    users: Database,
    groups: Database,
}

#[derive(Debug)]
struct Database {
    name: &'static str,
    has_service: bool,
    known: RwLock<Known>,
}

#[derive(Debug)]
struct Known {
    names: HashMap<u32, Option<Arc<str>>>,
    asked: usize,
}

impl Names {
    /// The names of this host as they are now.
    pub(crate) fn load() -> Self {
        // A host without these files has numbers only.
        let text =
            |path: &str| fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
        let services = text("/etc/nsswitch.conf");
        Self {
            users: Database::new("passwd", &text("/etc/passwd"), &services),
            groups: Database::new("group", &text("/etc/group"), &services),
        }
    }

    /// No names: for looks that need numbers only.
    pub(crate) fn empty() -> Self {
        Self { users: Database::new("passwd", "", ""), groups: Database::new("group", "", "") }
    }

    /// For a few looks in a row.
    pub(crate) fn owners(&self) -> Owners<'_> {
        Owners { names: self, user: None, group: None }
    }
}

/// The names for looks in a row at entries that mostly have one owner. It makes its own copies: names that all threads
/// share and count would have to go from one core to the other for every entry.
#[derive(Debug)]
pub(crate) struct Owners<'n> {
    names: &'n Names,
    user: Option<(u32, Option<Arc<str>>)>,
    group: Option<(u32, Option<Arc<str>>)>,
}

impl Owners<'_> {
    /// The name of a user.
    pub(crate) fn user(&mut self, uid: u32) -> Option<Arc<str>> {
        self.names.users.again(uid, &mut self.user)
    }

    /// The name of a group.
    pub(crate) fn group(&mut self, gid: u32) -> Option<Arc<str>> {
        self.names.groups.again(gid, &mut self.group)
    }
}

impl Database {
    fn new(name: &'static str, text: &str, services: &str) -> Self {
        let names = parse(text).into_iter().map(|(id, name)| (id, Some(name))).collect();
        Self {
            name,
            has_service: beyond_files(services, name),
            known: RwLock::new(Known { names, asked: 0 }),
        }
    }

    /// The name of a number that is often the last one.
    fn again(&self, id: u32, last: &mut Option<(u32, Option<Arc<str>>)>) -> Option<Arc<str>> {
        match last {
            Some((known, name)) if *known == id => name.clone(),
            _ => {
                let name = self.get(id).map(|name| Arc::from(&*name));
                last.insert((id, name)).1.clone()
            }
        }
    }

    fn get(&self, id: u32) -> Option<Arc<str>> {
        if let Some(name) = self.known.read().unwrap_or_else(PoisonError::into_inner).names.get(&id) {
            return name.clone();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.names.get(&id) {
            // Another thread asked meanwhile.
            return name.clone();
        }
        let name = if self.has_service && known.asked < GETENT_MAX {
            known.asked += 1;
            ask(self.name, id)
        } else {
            None
        };
        known.names.insert(id, name.clone());
        name
    }
}

/// Lines `name:password:number:…`; the first name of a number counts.
pub(crate) fn parse(text: &str) -> HashMap<u32, Arc<str>> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(_), Some(id)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if let (Ok(id), false) = (id.parse(), name.is_empty() || name.starts_with(['#', '+', '-'])) {
            names.entry(id).or_insert_with(|| Arc::from(name));
        }
    }
    names
}

/// Whether `nsswitch.conf` names a service for a database that knows more than the files do.
fn beyond_files(services: &str, database: &str) -> bool {
    services
        .lines()
        .filter_map(|line| {
            line.split('#').next()?.trim().strip_prefix(database)?.trim_start().strip_prefix(':')
        })
        .flat_map(str::split_whitespace)
        .any(|service| !service.starts_with('[') && !matches!(service, "files" | "compat" | "systemd" | "db"))
}

fn ask(database: &str, id: u32) -> Option<Arc<str>> {
    let output = Command::new("getent")
        .args([database, &id.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        // No `getent`: the number stands alone.
        .ok()?;
    parse(&String::from_utf8_lossy(&output.stdout)).remove(&id)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn lines_that_name_nothing_are_skipped() {
        let names =
            parse("root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n+::::::\nbroken\n#no:x:7:\nme:x:1000:\n");
        assert_eq!(names.len(), 2);
        assert_eq!(&*names[&0], "root");
        assert_eq!(&*names[&1000], "me");
    }

    #[test]
    fn the_name_service_is_asked_only_where_one_is_configured() {
        let conf = "passwd: files systemd # sss\ngroup:  files [NOTFOUND=return] sss\n";
        assert!(!beyond_files(conf, "passwd"));
        assert!(beyond_files(conf, "group"));
        assert!(!beyond_files("", "group"));
    }

    #[test]
    fn root_has_a_name_on_this_host() {
        assert_eq!(Names::load().owners().user(0).as_deref(), Some("root"));
    }
}
