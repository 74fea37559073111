//! What is in memory stays there: secrets and messages are in no core file.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core files of this process, neither written nor handed to a program that keeps them; call it first of all.
pub fn keep_private() -> std::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A limit of 0 does not keep a core from a `core_pattern` that is a pipe; this does.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
