//! The command line.

use crate::config::UpOptions;
use crate::datapath::DataPath;
use crate::node::flags::RunOptions;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Kubernetes Services, DNS and Ingress in one binary.
#[derive(Parser)]
#[command(
    name = "portolan",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: LogOptions,
    #[command(subcommand)]
    command: Command,
}

/// Where log lines go and how many there are.
#[derive(Args, Clone)]
pub(crate) struct LogOptions {
    /// Which log lines: error, warn, info, debug or trace; or per part, as in `warn,dnsd=debug`
    #[arg(
        long,
        global = true,
        default_value = "warn",
        value_name = "LEVEL",
        env = "PORTOLAN_LOG"
    )]
    pub(crate) log_level: String,
    /// How log lines look
    #[arg(long, global = true, default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// Form of a log line.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything on this machine: API server, controllers, Pods, Services, DNS and Ingress
    Up(Box<UpOptions>),
    /// Do this node's part in a real cluster: Services in the kernel and DNS, or Ingress
    Run(Box<RunOptions>),
    /// Show, with no server, what the YAML would make: addresses, records, routes and problems
    Plan(PlanOptions),
    /// Walk a request or a Service from its DNS name to its Pods and name the first broken link
    Explain(ExplainOptions),
    /// Show what a running `portolan up` serves, and every problem it knows of
    Status(StatusOptions),
    /// Write all objects to one file, while the server runs or while it does not
    ///
    /// A running server hands out its state as of one instant, with everything that it has
    /// acknowledged; nothing stops meanwhile. The file is text, one object a line, with a checksum
    /// at its end, and readable by its owner only, since it holds Secrets. Certificates and keys
    /// of the server are not in it: a restored cluster makes its own.
    Backup(BackupOptions),
    /// Make a data directory out of a backup
    ///
    /// The backup is checked to its end before anything is written. The restored cluster goes on
    /// at a higher resourceVersion than it had, so that clients which watched it list anew and
    /// never see it go back.
    Restore(RestoreOptions),
    /// Delete the data directory of a `portolan up` that is not running
    Reset(ResetOptions),
    /// Build nodes, Pods and a client out of network namespaces, to try Services on real packets
    ///
    /// Every machine of the laboratory is a network namespace of this process: the host's own
    /// network is not touched, and nothing is left when the process ends, however it ends. Root is
    /// not needed where the kernel lets users have namespaces. Each node gets the ruleset that a
    /// real node would get for the Services. The Pods are called pod1, pod2, … and carry the labels
    /// app=lab, pod=NAME and node=NODE for Services to select; they answer HTTP and raw questions
    /// with their name and the address that they see.
    Lab(Box<crate::lab::LabOptions>),
    /// Run a program in a network namespace
    #[command(hide = true)]
    Enter(crate::enter::EnterOptions),
    /// Try whether this process can make the namespaces of the data path nftables
    #[command(hide = true)]
    Trial,
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completion {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

/// Form of a command's answer.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

#[derive(Args)]
pub(crate) struct PlanOptions {
    /// File or directory of YAML; may be given several times
    #[arg(short, long = "filename", required = true, value_name = "FILE|DIR")]
    pub(crate) filename: Vec<PathBuf>,
    /// Data path that the addresses are to fit [default: what `up` would choose]
    #[arg(long, value_name = "PATH")]
    pub(crate) data_path: Option<DataPath>,
    /// Ranges of Service addresses, at most one of each family [default: what `up` would choose]
    #[arg(long, value_name = "CIDR[,CIDR]")]
    pub(crate) service_cidr: Option<String>,
    /// Ranges of Pod addresses, at most one of each family [default: what `up` would choose]
    #[arg(long, value_name = "CIDR[,CIDR]")]
    pub(crate) pod_cidr: Option<String>,
    /// Data directory of the `up` that the plan is for; only what it was made with is read
    #[arg(long, value_name = "DIR", env = "PORTOLAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// text or json
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct ExplainOptions {
    /// A URL such as `http://app1.localhost/x`, or service/NAME
    #[arg(value_name = "URL|service/NAME")]
    pub(crate) target: String,
    /// Namespace of service/NAME
    #[arg(short, long, default_value = "default")]
    pub(crate) namespace: String,
    /// Data directory of the running `portolan up`
    #[arg(long, value_name = "DIR", env = "PORTOLAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Explain what this YAML would make, with no server
    #[arg(short, long = "filename", value_name = "FILE|DIR")]
    pub(crate) filename: Vec<PathBuf>,
    /// text or json
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct StatusOptions {
    /// Data directory of the running `portolan up`
    #[arg(long, value_name = "DIR", env = "PORTOLAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// text or json
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct ResetOptions {
    /// Data directory to delete
    #[arg(long, value_name = "DIR", env = "PORTOLAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Args)]
pub(crate) struct BackupOptions {
    /// Data directory of the server
    #[arg(long, value_name = "DIR", env = "PORTOLAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// File to write; one that is there is replaced once the new one is whole; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Args)]
pub(crate) struct RestoreOptions {
    /// File that `portolan backup` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Data directory to make; no server may run on it
    #[arg(long, value_name = "DIR", env = "PORTOLAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Replace the cluster that the directory holds, or one that is damaged; what it held is kept
    /// beside it as store.redb.replaced
    #[arg(long)]
    pub(crate) force: bool,
}

impl Cli {
    /// Runs the command that was asked for.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Up(options) => crate::up::run(&options, &self.log),
            Command::Run(options) => crate::node::run::run(&options, &self.log),
            Command::Plan(options) => crate::plan::run(&options),
            Command::Explain(options) => crate::explain::run(&options),
            Command::Status(options) => crate::status::run(&options),
            Command::Backup(options) => crate::backup::run(&options),
            Command::Restore(options) => crate::backup::restore(&options),
            Command::Reset(options) => crate::reset::run(&options),
            Command::Lab(options) => crate::lab::run(*options),
            Command::Enter(options) => crate::enter::run(options),
            Command::Trial => match crate::network::set_up() {
                Ok(()) => Ok(()),
                Err(why) => {
                    println!("{why}");
                    anyhow::bail!("the trial failed")
                }
            },
            Command::Version => {
                println!(
                    "portolan {} (Kubernetes API 1.36)",
                    env!("CARGO_PKG_VERSION")
                );
                Ok(())
            }
            Command::Completion { shell } => {
                let mut command = Self::command();
                clap_complete::generate(shell, &mut command, "portolan", &mut std::io::stdout());
                Ok(())
            }
        }
    }
}
