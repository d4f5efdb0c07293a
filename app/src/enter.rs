//! Hidden command `enter`: this binary as a launcher of programs inside network namespaces.

use clap::Args;
use kernel::netns::User;
use std::ffi::OsString;
use std::path::PathBuf;

/// Where to run what.
#[derive(Args)]
pub(crate) struct EnterOptions {
    /// File of the network namespace, such as /run/netns/NAME or /proc/PID/ns/net
    #[arg(long, value_name = "FILE")]
    netns: PathBuf,
    /// File of the UTS namespace, which has the host's name
    #[arg(long, value_name = "FILE")]
    uts: Option<PathBuf>,
    /// File to stand in the place of /etc/resolv.conf
    #[arg(long, value_name = "FILE")]
    resolv_conf: Option<PathBuf>,
    /// File to stand in the place of /etc/hosts
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,
    /// User and group that the program takes itself for
    #[arg(long, value_name = "UID:GID", value_parser = user)]
    user: Option<User>,
    /// Program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Becomes the program; returns only when that failed.
pub(crate) fn run(options: EnterOptions) -> anyhow::Result<()> {
    let mut command = options.command.into_iter();
    let program = command.next().unwrap_or_default();
    let what = kernel::netns::Enter {
        user: None,
        become_user: options.user,
        netns: options.netns,
        uts: options.uts,
        resolv_conf: options.resolv_conf,
        hosts: options.hosts,
        program,
        arguments: command.collect(),
    };
    Err(kernel::netns::enter(&what).into())
}

fn user(text: &str) -> Result<User, String> {
    let parts = text.split_once(':');
    let numbers = parts.and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    let (uid, gid) = numbers.ok_or("not of the form UID:GID")?;
    Ok(User { uid, gid })
}
