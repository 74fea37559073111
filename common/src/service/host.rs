//! What is asked of the host.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The host's name: tells processes on different hosts apart in leases, znodes and logs. Not by way of /proc, which the
/// units hide.
pub fn name() -> String {
    let uname = rustix::system::uname();
    match uname.nodename().to_string_lossy().trim() {
        "" => "host".to_owned(),
        name => name.to_owned(),
    }
}

/// How many files this process may have open: now, and at most.
pub fn open_files() -> (Option<u64>, Option<u64>) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limit.current, limit.maximum)
}

/// Bytes free for us, and in all, where `path` lies.
pub fn disk(path: &Path) -> std::io::Result<(u64, u64)> {
    let disk = rustix::fs::statvfs(path)?;
    Ok((disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize))
}

/// Whether everybody on this host may read the file.
pub fn is_world_readable(path: &Path) -> std::io::Result<bool> {
    Ok(std::fs::metadata(path)?.mode() & 0o004 != 0)
}
