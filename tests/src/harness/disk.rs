//! A small disk that can become full.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, in memory; unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts it over an empty folder.
    ///
    /// # Panics
    ///
    /// When this account may not mount.
    pub fn mount(at: &Path, megabytes: u64) -> Self {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=0755"), "tmpfs"]).arg(at);
        let mounted = command.status().is_ok_and(|status| status.success());
        assert!(mounted, "nothing can be mounted at {}: scenarios of full disks need root", at.display());
        Self { at: at.to_owned() }
    }

    /// Takes all the space there is left.
    ///
    /// # Panics
    ///
    /// When it cannot be taken for another reason than that there is none.
    pub fn fill(&self) {
        let mut ballast = std::fs::File::options().create(true).append(true).open(self.ballast()).expect("a file");
        for size in [1 << 20, 4096, 1] {
            let block = vec![0; size];
            while let Ok(written) = std::io::Write::write(&mut ballast, &block) {
                assert!(written > 0, "the disk takes nothing and does not say why");
            }
        }
    }

    /// Gives it back.
    ///
    /// # Panics
    ///
    /// When it was not taken.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still writes there keeps it until then.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
