//! Volumes as folders of this machine.
//!
//! Processes share this machine's file system: a `mountPath` cannot be made to appear in it. The
//! files are there all the same, below a folder of the container's that mirrors the mount paths
//! and whose name the process gets in `PORTOLAN_ROOT`.

use crate::env::{Source, entries, not_found};
use crate::spec::{Container, DownwardSource, FilesSource, KeyToPath, PodSpec, Projection, Volume};
use model::Resource;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

/// Folders of a Pod's volumes, by name.
pub(crate) type Volumes = BTreeMap<String, PathBuf>;

/// Where tokens are mounted; that they are missing is no surprise to anyone.
const TOKENS: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

struct Wanted {
    bytes: Vec<u8>,
    mode: u32,
}

type Files = BTreeMap<PathBuf, Wanted>;

/// Writes the volumes of a Pod below `folder`; files that are there already are brought up to
/// date.
///
/// # Errors
/// kubelet's message for `FailedMount`.
pub(crate) fn materialise(
    folder: &Path,
    spec: &PodSpec,
    source: &Source<'_>,
) -> Result<Volumes, String> {
    let mut volumes = Volumes::new();
    for volume in &spec.volumes {
        let name = &volume.name;
        let path = folder.join(name);
        let made = one(&path, volume, source);
        let path =
            made.map_err(|why| format!("MountVolume.SetUp failed for volume \"{name}\" : {why}"))?;
        volumes.insert(name.clone(), path);
    }
    Ok(volumes)
}

fn one(path: &Path, volume: &Volume, source: &Source<'_>) -> Result<PathBuf, String> {
    if let Some(host) = &volume.host_path {
        return Ok(PathBuf::from(&host.path));
    }
    let mut files = Files::new();
    if let Some(config) = &volume.config_map {
        add_files(
            &mut files,
            Resource::CONFIG_MAPS,
            &config.name,
            config,
            None,
            source,
        )?;
    } else if let Some(secret) = &volume.secret {
        add_files(
            &mut files,
            Resource::SECRETS,
            &secret.secret_name,
            secret,
            None,
            source,
        )?;
    } else if let Some(downward) = &volume.downward_api {
        add_downward(&mut files, downward, None, source)?;
    } else if let Some(projected) = &volume.projected {
        for projection in &projected.sources {
            add_projection(&mut files, projection, projected.default_mode, source)?;
        }
    } else if volume.empty_dir.is_some() {
        return fs::create_dir_all(path)
            .map(|()| path.to_owned())
            .map_err(|e| e.to_string());
    } else {
        return Err(
            "this kind of volume is not served here: use emptyDir, hostPath, configMap, \
                    secret, projected or downwardAPI"
                .to_owned(),
        );
    }
    write_all(path, &files).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.to_owned())
}

fn add_projection(
    files: &mut Files,
    projection: &Projection,
    mode: Option<u32>,
    source: &Source<'_>,
) -> Result<(), String> {
    if let Some(config) = &projection.config_map {
        add_files(
            files,
            Resource::CONFIG_MAPS,
            &config.name,
            config,
            mode,
            source,
        )?;
    }
    if let Some(secret) = &projection.secret {
        add_files(files, Resource::SECRETS, &secret.name, secret, mode, source)?;
    }
    if let Some(downward) = &projection.downward_api {
        add_downward(files, downward, mode, source)?;
    }
    if let Some(wanted) = &projection.service_account_token
        && let Some(token) = source.tokens.get(&source.pod.object, wanted, source.now)?
    {
        let token = Wanted {
            bytes: token.into_bytes(),
            // Processes are this user's, whatever the volume says of groups.
            mode: 0o600,
        };
        files.insert(inside(&wanted.path)?, token);
    }
    Ok(())
}

fn add_files(
    files: &mut Files,
    resource: Resource,
    name: &str,
    wanted: &FilesSource,
    mode: Option<u32>,
    source: &Source<'_>,
) -> Result<(), String> {
    let optional = wanted.optional == Some(true);
    let namespace = &source.pod.object.meta.namespace;
    let Some(mut data) = entries(source.view, resource, namespace, name)? else {
        return if optional {
            Ok(())
        } else {
            Err(not_found(resource, name))
        };
    };
    let default = wanted.default_mode.or(mode).unwrap_or(0o644);
    let all = data.keys().map(|key| KeyToPath {
        key: key.clone(),
        path: key.clone(),
        mode: None,
    });
    let items = if wanted.items.is_empty() {
        all.collect()
    } else {
        wanted.items.clone()
    };
    for item in items {
        match data.remove(&item.key) {
            Some(bytes) => {
                let mode = item.mode.unwrap_or(default);
                files.insert(inside(&item.path)?, Wanted { bytes, mode });
            }
            None if optional => {}
            None => return Err(format!("references non-existent config key: {}", item.key)),
        }
    }
    Ok(())
}

fn add_downward(
    files: &mut Files,
    downward: &DownwardSource,
    mode: Option<u32>,
    source: &Source<'_>,
) -> Result<(), String> {
    let default = downward.default_mode.or(mode).unwrap_or(0o644);
    for item in &downward.items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => source.field(field)?,
            (None, Some(field)) => source.resource(field, &Container::default())?,
            (None, None) => String::new(),
        };
        let wanted = Wanted {
            bytes: text.into_bytes(),
            mode: item.mode.unwrap_or(default),
        };
        files.insert(inside(&item.path)?, wanted);
    }
    Ok(())
}

/// A path that stays where it is put.
fn inside(path: &str) -> Result<PathBuf, String> {
    let path = Path::new(path.trim_start_matches('/'));
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    plain
        .then(|| path.to_owned())
        .ok_or_else(|| format!("path {path:?} leads out of the volume"))
}

/// Makes a folder hold exactly these files; one that has not changed is not touched.
fn write_all(folder: &Path, files: &Files) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (path, wanted) in files {
        let path = folder.join(path);
        if fs::read(&path).is_ok_and(|old| old == wanted.bytes) {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        // Written beside and moved, so that a reader sees the old file or the new one.
        let part = path.with_extension("portolan-part");
        let mode = wanted.mode & 0o777;
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .create(true)
            .write(true)
            .truncate(true)
            .mode(mode)
            .open(&part)?;
        file.write_all(&wanted.bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        fs::rename(&part, &path)?;
    }
    for entry in fs::read_dir(folder)?.flatten() {
        let name = PathBuf::from(entry.file_name());
        if entry.path().is_file() && !files.contains_key(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The mirror of a container's mount paths below `root`, and what to tell the user: the mounts
/// that a process will not find where it looks for them.
pub(crate) fn mirror(
    root: &Path,
    container: &Container,
    volumes: &Volumes,
) -> io::Result<Vec<String>> {
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    fs::create_dir_all(root)?;
    let mut elsewhere = Vec::new();
    for mount in &container.volume_mounts {
        let (Some(volume), Ok(at)) = (volumes.get(&mount.name), inside(&mount.mount_path)) else {
            continue;
        };
        let target = match inside(&mount.sub_path) {
            Ok(sub) => volume.join(sub),
            Err(_) => continue,
        };
        if !mount.sub_path.is_empty() && !target.exists() {
            fs::create_dir_all(&target)?;
        }
        let link = root.join(at);
        if let Some(parent) = link.parent() {
            fs::create_dir_all(parent)?;
        }
        if !link.exists() {
            symlink(&target, &link)?;
        }
        if Path::new(&mount.mount_path) != target && mount.mount_path != TOKENS {
            elsewhere.push(mount.mount_path.clone());
        }
    }
    Ok(elsewhere)
}

#[cfg(test)]
mod tests;
