//! File systems mounted for one test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    at: PathBuf,
    /// Block device to be given back.
    device: Option<String>,
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
        Self { at: at.to_owned(), device: None }
    }

    /// A small exFAT in a file beside `at`, as on a memory stick: no owners, modes, links or attributes.
    ///
    /// # Panics
    /// If one of the Debian packages `exfat-fuse` and `exfatprogs` is missing.
    pub fn exfat(at: &Path) -> Self {
        let image = image(at);
        run("mkfs.exfat", &[&image]);
        let device = run("losetup", &["--find", "--show", &image]).trim().to_owned();
        run("mount.exfat-fuse", &[&device, at.to_str().unwrap()]);
        Self { at: at.to_owned(), device: Some(device) }
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
        Self { at: at.to_owned(), device: None }
    }
}

/// An empty image beside a folder, which is made.
fn image(at: &Path) -> String {
    std::fs::create_dir_all(at).unwrap();
    let image = at.with_extension("img");
    std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
    image.to_str().unwrap().to_owned()
}

/// Runs a program to its end; what it prints.
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(&self.at).status();
        assert!(status.is_ok_and(|s| s.success()) || std::thread::panicking());
        if let Some(device) = &self.device {
            // Given back by the kernel as soon as nobody uses it any more.
            let status = Command::new("losetup").args(["--detach", device]).status();
            assert!(status.is_ok_and(|s| s.success()) || std::thread::panicking());
        }
    }
}
