//! Listing folders as one flat, ordered space of names.
//!
//! A folder sorts as its name with a slash behind it; with that a walk in order gives the full
//! names in byte order (`a-b` before `a/b` before `a0`).

use std::fs;
use std::io;
use std::path::Path;

use super::super::name::is_segment;
use super::{BackendResult, Entry, LocalBackend, is_absent};

struct Walk<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    limit: usize,
    found: Vec<Entry>,
}

impl LocalBackend {
    pub(super) fn list_files(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> BackendResult<Vec<Entry>> {
        let folder = prefix.rfind('/').map_or("", |end| prefix.get(..=end).unwrap_or_default());
        let mut walk = Walk { prefix, after, limit, found: Vec::new() };
        walk.folder(&self.root, folder).map_err(|e| self.error(folder, e))?;
        Ok(walk.found)
    }
}

impl Walk<'_> {
    /// Adds what is wanted of the folder `base`, which is empty or ends with a slash.
    fn folder(&mut self, root: &Path, base: &str) -> io::Result<()> {
        for name in self.wanted_of(root, base)? {
            if self.found.len() >= self.limit {
                break;
            }
            if name.ends_with('/') {
                self.folder(root, &name)?;
                continue;
            }
            match fs::metadata(root.join(&name)) {
                Ok(meta) => self.found.push(Entry { name, size: meta.len() }),
                Err(e) if is_absent(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// The objects and folders (with a slash behind) of one folder that matter here, in order.
    fn wanted_of(&self, root: &Path, base: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(root.join(base)) {
            Err(e) if is_absent(&e) => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            let segment = entry.file_name();
            let Some(segment) = segment.to_str().filter(|s| is_segment(s)) else { continue };
            let mut kind = entry.file_type()?;
            if kind.is_symlink() {
                match fs::metadata(entry.path()) {
                    Ok(meta) => kind = meta.file_type(),
                    Err(e) if is_absent(&e) => continue,
                    Err(e) => return Err(e),
                }
            }
            let name = format!("{base}{segment}{}", if kind.is_dir() { "/" } else { "" });
            if (kind.is_dir() || kind.is_file()) && self.wants(&name) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Whether an object is to be shown, or a folder can hold such.
    fn wants(&self, name: &str) -> bool {
        let folder = name.ends_with('/');
        let begins = name.starts_with(self.prefix) || folder && self.prefix.starts_with(name);
        begins && self.after.is_none_or(|after| name > after || folder && after.starts_with(name))
    }
}
