//! Kernel settings of a network namespace.

use crate::netns::Namespace;
use std::io;

/// Sets `/proc/sys/net/NAME` of the namespace, such as `ipv4/ip_forward`.
///
/// # Errors
/// With the name: `NotFound` when the kernel has no such setting, `ReadOnlyFilesystem` or
/// `PermissionDenied` where a container hides them.
pub fn sysctl(namespace: &Namespace, name: &str, value: &str) -> io::Result<()> {
    let path = format!("/proc/sys/net/{name}");
    let (file, text) = (path.clone(), value.to_owned());
    let written = namespace.make(move || std::fs::write(file, text))?;
    written.map_err(|e| io::Error::new(e.kind(), format!("{path}: {e}")))
}

/// Makes a namespace a router for both families, with reverse path filters off: packets of
/// Services come and go by different ways.
///
/// # Errors
/// As [`sysctl`]; a kernel without IPv6 is none.
pub fn forward(namespace: &Namespace) -> io::Result<()> {
    sysctl(namespace, "ipv4/ip_forward", "1")?;
    sysctl(namespace, "ipv4/conf/all/rp_filter", "0")?;
    sysctl(namespace, "ipv4/conf/default/rp_filter", "0")?;
    match sysctl(namespace, "ipv6/conf/all/forwarding", "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes IPv6 addresses usable at once in links that are made later: nobody is asked whether
/// they are duplicates, which takes a second.
///
/// # Errors
/// As [`sysctl`]; a kernel without IPv6 is none.
pub fn instant_ipv6(namespace: &Namespace) -> io::Result<()> {
    for scope in ["all", "default"] {
        match sysctl(namespace, &format!("ipv6/conf/{scope}/accept_dad"), "0") {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
