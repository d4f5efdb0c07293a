//! `portolan backup` and `portolan restore`

use crate::cli::{BackupOptions, RestoreOptions};
use crate::marker::Marker;
use crate::remote::Remote;
use anyhow::{Context, bail};
use apid::{Backup, BackupError, StartError};
use model::Resource;
use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Writes all objects to a file, of a server that runs or of one that does not.
pub(crate) fn run(options: &BackupOptions) -> anyhow::Result<()> {
    let dir = data_dir(options.data_dir.as_ref())?;
    if options.output.as_os_str() == "-" {
        let mut out = std::io::stdout().lock();
        save(&dir, &mut out)?;
        return Ok(out.flush()?);
    }
    // It gets its name last, so that an old backup is replaced by a whole one.
    let partial = with_suffix(&options.output, ".partial");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .with_context(|| format!("cannot write {}", partial.display()))?;
    let mut out = BufWriter::new(&file);
    let finished = save(&dir, &mut out).and_then(|()| {
        out.flush()
            .with_context(|| format!("cannot write {}", partial.display()))?;
        file.sync_all()?;
        let written = check(&partial)?;
        std::fs::rename(&partial, &options.output)?;
        Ok(written)
    });
    let (objects, version) = match finished {
        Ok(written) => written,
        Err(error) => {
            let _ = std::fs::remove_file(&partial);
            return Err(error);
        }
    };
    let size = file.metadata()?.len();
    println!(
        "Backed up {objects} objects at resourceVersion {version} to {} ({:.1} MB).",
        options.output.display(),
        size as f64 / 1e6
    );
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn data_dir(given: Option<&PathBuf>) -> anyhow::Result<PathBuf> {
    given.map_or_else(crate::config::default_data_dir, |dir| Ok(dir.clone()))
}

fn save(dir: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    match Backup::of_directory(dir) {
        Ok(backup) => {
            let mut progress = Progress::new("written");
            let all = backup.objects.len();
            for (done, line) in backup.lines().enumerate() {
                out.write_all(&line).context("cannot write the backup")?;
                progress.show(done, all);
            }
            Ok(())
        }
        Err(BackupError::Start(StartError::Locked { .. })) => from_server(dir, out),
        Err(error) => Err(error.into()),
    }
}

/// The running server holds the newest state, and hands it out as of one instant.
fn from_server(dir: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let marker = Marker::read(dir)?;
    let remote = Remote::from_kubeconfig(&marker.kubeconfig)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(remote.download(apid::BACKUP_PATH, out))
}

/// Reads what was written, and says how many objects there are and as of which version.
fn check(path: &Path) -> anyhow::Result<(usize, u64)> {
    let backup = read(path, "checked")?;
    Ok((backup.objects.len(), backup.version))
}

fn read(path: &Path, what: &'static str) -> anyhow::Result<Backup> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut progress = Progress::new(what);
    let backup = Backup::read(BufReader::new(file), |done, all| progress.show(done, all));
    backup.with_context(|| path.display().to_string())
}

/// Makes a data directory out of a backup.
pub(crate) fn restore(options: &RestoreOptions) -> anyhow::Result<()> {
    let dir = data_dir(options.data_dir.as_ref())?;
    let backup = read(&options.file, "read")?;
    let objects = backup.objects.len();
    if dir.exists() && !options.force && !is_ours(&dir)? {
        bail!(
            "{} is not empty and was not made by `portolan up`: restore to another directory",
            dir.display()
        );
    }
    crate::up::make_data_dir(&dir)?;
    let taken = backup.version;
    let ranges = service_ranges(&backup);
    let version = backup.restore(&dir, options.force)?;
    // Its Services keep their addresses, whatever this version would choose for a new cluster.
    let marker = Marker {
        service_cidrs: ranges,
        ..Marker::default()
    };
    marker.write(&dir)?;
    println!(
        "Restored {objects} objects, as of resourceVersion {taken}, to {}.\n\
         Its cluster goes on at resourceVersion {version}, so that clients list anew.\n\
         Start it with: portolan up --data-dir {}",
        dir.display(),
        dir.display()
    );
    Ok(())
}

/// What the ServiceCIDR of the cluster says.
fn service_ranges(backup: &Backup) -> Vec<String> {
    let mut objects = backup.objects.iter();
    let found = objects.find(|object| {
        object.resource == Resource::SERVICE_CIDRS && *object.meta.name == *"kubernetes"
    });
    let value = found.map(|object| object.value()).unwrap_or_default();
    let ranges = value["spec"]["cidrs"].as_array().into_iter().flatten();
    let texts = ranges.filter_map(|range| range.as_str().map(str::to_owned));
    texts.collect()
}

/// Whether a directory is empty or holds a server's data.
fn is_ours(dir: &Path) -> anyhow::Result<bool> {
    let mut entries = std::fs::read_dir(dir)?;
    Ok(entries.next().is_none() || dir.join(crate::marker::FILE).exists())
}

/// Tells people at a terminal how far a long work is.
struct Progress {
    what: &'static str,
    told: Instant,
    shown: bool,
}

impl Progress {
    const EVERY: Duration = Duration::from_millis(500);

    fn new(what: &'static str) -> Self {
        Self {
            what,
            told: Instant::now(),
            shown: false,
        }
    }

    fn show(&mut self, done: usize, all: usize) {
        if self.told.elapsed() >= Self::EVERY && std::io::stderr().is_terminal() {
            self.told = Instant::now();
            self.shown = true;
            eprint!("\r{} {done} of {all} objects", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            eprintln!();
        }
    }
}
