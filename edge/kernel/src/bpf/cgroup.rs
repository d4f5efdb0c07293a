//! Where the cgroup2 hierarchy is.

use super::HooksError;
use std::path::PathBuf;

/// Directory of the whole machine's cgroup2 hierarchy, from `/proc/mounts`: it is not
/// `/sys/fs/cgroup` where controllers of the first version are in use too.
///
/// # Errors
/// [`HooksError::NoCgroup`] when there is none.
pub fn cgroup2() -> Result<PathBuf, HooksError> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    mount_point(&mounts).ok_or(HooksError::NoCgroup)
}

/// The first file system of the type `cgroup2`.
pub(super) fn mount_point(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, point) = (fields.next()?, fields.next()?);
        // Blanks in names are written as octal numbers.
        (fields.next()? == "cgroup2").then(|| PathBuf::from(point.replace("\\040", " ")))
    })
}
