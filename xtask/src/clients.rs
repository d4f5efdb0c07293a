//! Programs of other people's libraries that the end-to-end tests run: a client-go one, a kube-rs
//! one, and the Python client.
//!
//! The programs' sources are in `app/tests/clients`; each has dependencies of its own, so that none
//! of them is the workspace's.

use crate::check::run;
use crate::{root, target_dir};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

const PYTHON_CLIENT: &str = "kubernetes==37.0.2";

/// Where the built programs are.
pub(crate) struct Clients {
    folder: PathBuf,
}

impl Clients {
    /// Builds and installs what is missing. What a machine without Go cannot have is left out, with
    /// a word about it; its test says so too.
    pub(crate) fn install(tools: &Path) -> Result<Self> {
        let clients = Self {
            folder: target_dir().join("clients"),
        };
        std::fs::create_dir_all(&clients.folder)?;
        clients.python(tools)?;
        clients.kube_rs()?;
        clients.client_go()?;
        Ok(clients)
    }

    /// Tells a test's process where they are.
    pub(crate) fn announce(&self, command: &mut Command) {
        command.env("PORTOLAN_TEST_CLIENTS", &self.folder);
    }

    fn python(&self, tools: &Path) -> Result<()> {
        let modules = tools.join(PYTHON_CLIENT);
        if !modules.join("kubernetes").is_dir() {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "-q", "--target"])
                .arg(&modules)
                .arg(PYTHON_CLIENT);
            run(&mut pip)?;
        }
        let link = self.folder.join("python");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(&modules, &link)?;
        Ok(())
    }

    fn kube_rs(&self) -> Result<()> {
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "-q", "--locked", "--manifest-path"])
            .arg(source("controller").join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.folder.join("controller-build"));
        run(&mut cargo)?;
        std::fs::copy(
            self.folder.join("controller-build/debug/controller"),
            self.folder.join("controller"),
        )?;
        Ok(())
    }

    fn client_go(&self) -> Result<()> {
        if Command::new("go").arg("version").output().is_err() {
            eprintln!("there is no Go here: the client-go program is left out");
            return Ok(());
        }
        let mut go = Command::new("go");
        go.args(["build", "-o"])
            .arg(self.folder.join("informer"))
            .arg(".")
            .current_dir(source("informer"));
        run(&mut go)
    }
}

fn source(name: &str) -> PathBuf {
    root().join("app/tests/clients").join(name)
}
