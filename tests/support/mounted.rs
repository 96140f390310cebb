//! File systems mounted for one test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// Mounts with these arguments at a folder, which is made.
    ///
    /// # Panics
    /// If that fails: the tests run as root.
    pub fn new(args: &[&str], at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let status = Command::new("mount").args(args).arg(at).status().unwrap();
        assert!(status.success(), "mount {args:?} (the tests run as root)");
        Self { at: at.to_owned() }
    }

    /// A small NTFS in a file beside `at`, which knows owners, modes and links but cannot exchange two names.
    ///
    /// # Panics
    /// If the Debian package `ntfs-3g` is missing.
    pub fn ntfs(at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let image = at.with_extension("img");
        std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        let made =
            Command::new("mkntfs").args(["--quick", "--quiet", "--force"]).arg(&image).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mounted =
            Command::new("ntfs-3g").args(["-o", "permissions"]).args([&image, at]).output().unwrap();
        assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
        Self { at: at.to_owned() }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(&self.at).status();
        assert!(status.is_ok_and(|s| s.success()) || std::thread::panicking());
    }
}
