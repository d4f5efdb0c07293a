//! Whether tests may make namespaces, and how they may without root.

use kernel::netns;
use std::process::Command;

/// Set for a test that runs in a user namespace of its own.
const INSIDE: &str = "PORTOLAN_TEST_USER_NAMESPACE";

/// True when there is nothing more to do for the calling test: the kernel refuses namespaces, or
/// the test was run again as root of a user namespace.
///
/// # Panics
/// When it failed there.
pub(crate) fn over() -> bool {
    let skipped = |why: &dyn std::fmt::Display| {
        eprintln!("skipped: {why}");
        true
    };
    if netns::has_rights() {
        return netns::may_create().is_err_and(|why| skipped(&why));
    }
    if std::env::var_os(INSIDE).is_some() {
        return skipped(&"the user namespace gives no rights");
    }
    match run_again() {
        Ok(passed) => assert!(passed, "it failed in a user namespace"),
        Err(why) => return skipped(&why),
    }
    true
}

/// Runs the calling test alone in a new process with a user namespace.
fn run_again() -> std::io::Result<bool> {
    let thread = std::thread::current();
    // The harness names threads after their tests, unless there is but one thread.
    let name = thread.name().filter(|name| *name != "main");
    let name = name.ok_or_else(|| std::io::Error::other("--test-threads=1 hides the name"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", name, "--nocapture", "--test-threads", "2"]);
    command.env(INSIDE, "1");
    netns::rootless(&mut command);
    Ok(command.status()?.success())
}
