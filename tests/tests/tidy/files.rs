//! The files of the repository, and how a rule reports what breaks it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// One file: its path from the root with `/`, and its text (none when it is not UTF-8).
pub struct File {
    pub path: String,
    pub text: Option<String>,
    pub size_bytes: u64,
}

impl File {
    /// Its text; empty for a picture.
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// The lines with their numbers from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text().lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    pub fn ends_with(&self, ending: &str) -> bool {
        self.path.ends_with(ending)
    }

    pub fn is_under(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository").to_owned()
}

/// Every file that is tracked or would be by `git add`; what `.gitignore` names is nobody's promise.
pub fn all() -> &'static [File] {
    static ALL: LazyLock<Vec<File>> = LazyLock::new(|| {
        let list = Command::new("git")
            // The checkout may belong to another account than the one that runs the tests.
            .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root())
            .output()
            .expect("git is needed to list the files");
        assert!(list.status.success(), "git ls-files: {}", String::from_utf8_lossy(&list.stderr));
        let paths = String::from_utf8(list.stdout).expect("paths are UTF-8");
        let mut files: Vec<File> = paths.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(files.iter().any(|file| file.path == "Cargo.toml"), "these are not the files of the repository");
        files
    });
    &ALL
}

/// `None` for a file that was deleted but not yet staged so.
fn read(path: &str) -> Option<File> {
    let bytes = fs::read(root().join(path)).ok()?;
    Some(File { path: path.to_owned(), size_bytes: bytes.len() as u64, text: String::from_utf8(bytes).ok() })
}

pub fn rust() -> impl Iterator<Item = &'static File> {
    all().iter().filter(|file| file.ends_with(".rs"))
}

pub fn find(path: &str) -> Option<&'static File> {
    all().iter().find(|file| file.path == path)
}

/// The file, which has to be there.
pub fn get(path: &str) -> &'static File {
    find(path).unwrap_or_else(|| panic!("{path} is missing"))
}

/// The names directly under `folder` (which ends with `/`) that are folders.
pub fn folders_in(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = all()
        .iter()
        .filter_map(|file| file.path.strip_prefix(folder)?.split_once('/'))
        .map(|(name, _)| name.to_owned())
        .collect();
    names.dedup();
    names
}

/// Fails with all that was found, and what to do about it.
#[track_caller]
pub fn none(found: &[String], advice: &str) {
    assert!(found.is_empty(), "{advice}\n\n  {}\n", found.join("\n  "));
}
