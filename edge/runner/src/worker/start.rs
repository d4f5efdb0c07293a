//! Starting containers: configuration, folders, then a process or the built-in image.

use super::{Active, Message, News, Shown, Worker};
use crate::ImageSource;
use crate::attach::Point;
use crate::echo::{Echo, Identity};
use crate::env::{Env, Source, expand};
use crate::hostname::{HostNames, host_names};
use crate::leftover::MARK;
use crate::logs::Log;
use crate::machine::{Ended, Input, Unit};
use crate::names;
use crate::network::Files;
use crate::probe::hook;
use crate::process::{Console, Launch, Progress, Run, start_error};
use crate::spec::Container;
use crate::volumes;
use rustix::system::uname;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Tells where clients attach.
type PointReceiver = watch::Receiver<Option<Arc<Point>>>;

/// How long an echo server still answers after it was told to stop, so that whoever sends it
/// requests has heard of it.
const LAME_DUCK: Duration = Duration::from_millis(300);

/// Variables of this program that processes get as well.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"];

impl Worker {
    fn source(&self) -> Source<'_> {
        Source {
            pod: self.machine.pod(),
            view: &*self.context.view,
            pod_ips: &self.ips,
            node_ip: self.context.settings.node_ip,
            tokens: &self.tokens,
            now: self.context.clock.now(),
            capacity: self.context.capacity,
        }
    }

    /// Makes the Pod's network and writes its volumes.
    pub(super) fn prepare(&mut self) -> Result<(), String> {
        self.join()?;
        self.mount()
    }

    /// Makes the Pod's network, once.
    fn join(&mut self) -> Result<(), String> {
        let (None, Some(network)) = (&self.place, &self.context.settings.network) else {
            return Ok(());
        };
        let place = match self.machine.pod().spec.host_network {
            true => Ok(network.0.node()),
            false => network.0.pod(&self.ips, &self.host_names()?.host),
        };
        let place = place.map_err(|why| format!("failed to setup network for sandbox: {why}"))?;
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.sockets = place.clone().into();
        drop(board);
        self.place = Some(place);
        Ok(())
    }

    /// Writes the volumes.
    fn mount(&mut self) -> Result<(), String> {
        let folder = self.folder.join("volumes");
        let spec = self.machine.pod().spec.clone();
        self.volumes = volumes::materialise(&folder, &spec, &self.source())?;
        Ok(())
    }

    /// Brings mounted ConfigMaps and Secrets up to date.
    pub(super) fn refresh(&mut self) {
        if !self.volumes.is_empty()
            && let Err(error) = self.mount()
        {
            // What was mounted stays, as kubelet has it.
            tracing::debug!(%error, "volumes are not brought up to date");
        }
    }

    /// Starts a container; the input that tells of it comes at once or by message.
    pub(super) fn start(&mut self, index: usize, image: ImageSource) -> Option<Input> {
        let unit = self.machine.units().get(index)?.clone();
        let logs = self.folder.join("logs").join(&unit.spec.name);
        let limit = self.context.settings.log_bytes_max;
        let log = match Log::create(&logs, unit.restarts, limit) {
            Ok(log) => log,
            Err(error) => return Some(self.broken(index, format!("log: {error}"))),
        };
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = Shown {
            number: unit.restarts,
            changed: log.changed.subscribe(),
            launch: None,
            attach: None,
        };
        board.runs.insert(unit.spec.name.clone(), shown);
        drop(board);
        match image {
            ImageSource::Echo => Some(self.start_echo(index, &unit, log)),
            ImageSource::Command(words) => self.start_process(index, &unit, log, &words),
        }
    }

    fn broken(&self, unit: usize, message: String) -> Input {
        let ended = start_error(message, self.context.clock.now());
        Input::Exited { unit, ended }
    }

    fn start_echo(&mut self, index: usize, unit: &Unit, log: Arc<Log>) -> Input {
        // Echo needs none of it, but commands that are run beside it do, and a reference that
        // leads nowhere is a mistake all the same.
        let launch = match self.launch(&unit.spec, &[]) {
            Ok(launch) => launch,
            Err(message) => {
                let reason = "CreateContainerConfigError";
                return Input::Blocked {
                    unit: index,
                    reason,
                    message,
                };
            }
        };
        self.show(&unit.spec.name, Arc::new(launch), None);
        let meta = &self.machine.pod().object.meta;
        let identity = Identity {
            pod: meta.name.to_string(),
            namespace: meta.namespace.to_string(),
            log,
            clock: self.context.clock,
        };
        let id = format!(
            "portolan://echo-{}-{}-{}",
            meta.uid, unit.spec.name, unit.restarts
        );
        let ips = match (&self.place, self.ips.as_slice()) {
            (_, []) => &[self.context.settings.node_ip][..],
            (Some(_), all) => all,
            // Of this machine's addresses, only those of 127.0.0.0/8 need not be given to it.
            (None, [first, ..]) => std::slice::from_ref(first),
        };
        let echo = match Echo::start(&unit.spec, ips, &self.sockets(), Arc::new(identity)) {
            Ok(echo) => echo,
            Err(message) => return self.broken(index, message),
        };
        let (stop, stopped) = mpsc::unbounded_channel();
        let started = self.context.clock.now();
        let end = self.echo_until(index, unit, echo, stopped);
        let (clock, own, run) = (self.context.clock, self.own.clone(), unit.restarts);
        let its_id = id.clone();
        tokio::spawn(async move {
            end.await;
            let ended = Ended {
                exit_code: 0,
                signal: None,
                reason: "Completed".to_owned(),
                message: String::new(),
                started,
                finished: clock.now(),
                id: its_id,
            };
            let news = News::Input(Input::Exited { unit: index, ended });
            let _ = own.send(Message::Told {
                unit: index,
                run,
                news,
            });
        });
        self.runs.insert(
            index,
            Active {
                number: unit.restarts,
                stop,
                launch: None,
                watch: None,
            },
        );
        Input::Started { unit: index, id }
    }

    /// Serves until it is told to stop, and then in the way of a process that ends in order.
    fn echo_until(
        &self,
        index: usize,
        unit: &Unit,
        echo: Echo,
        mut stopped: mpsc::UnboundedReceiver<i64>,
    ) -> impl Future<Output = ()> + use<> {
        let target = self.target(index);
        let pre_stop = unit.spec.lifecycle.pre_stop.clone();
        async move {
            let grace = stopped.recv().await.unwrap_or(0);
            let grace = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
            if !grace.is_zero() {
                let order = async {
                    if let Some(pre_stop) = &pre_stop {
                        let _ = hook(pre_stop, &target, None).await;
                    }
                    tokio::time::sleep(LAME_DUCK).await;
                };
                tokio::select! {
                    () = order => {}
                    () = tokio::time::sleep(grace) => {}
                    _ = stopped.recv() => {}
                }
            }
            tokio::select! {
                () = echo.stop(grace) => {}
                _ = stopped.recv() => {}
            }
        }
    }

    fn start_process(
        &mut self,
        index: usize,
        unit: &Unit,
        log: Arc<Log>,
        words: &[String],
    ) -> Option<Input> {
        let launch = match self.launch(&unit.spec, words) {
            Ok(launch) => Arc::new(launch),
            Err(message) => {
                let reason = "CreateContainerConfigError";
                return Some(Input::Blocked {
                    unit: index,
                    reason,
                    message,
                });
            }
        };
        let (stop, stopped) = mpsc::unbounded_channel();
        let (attach, point) = watch::channel(None);
        self.show(&unit.spec.name, launch.clone(), Some(point));
        let run = Run {
            launch: launch.clone(),
            log,
            target: self.target(index),
            post_start: unit.spec.lifecycle.post_start.clone(),
            pre_stop: unit.spec.lifecycle.pre_stop.clone(),
            last_words: unit.spec.termination_message_policy == "FallbackToLogsOnError",
            console: Console {
                stdin: unit.spec.stdin,
                once: unit.spec.stdin_once,
                tty: unit.spec.tty,
            },
            attach,
            stop: stopped,
            registry: self.context.registry.clone(),
            clock: self.context.clock,
        };
        let (own, number) = (self.own.clone(), unit.restarts);
        tokio::spawn(async move {
            let tell = |news| {
                // The Pod may be gone by now.
                let _ = own.send(Message::Told {
                    unit: index,
                    run: number,
                    news,
                });
            };
            let ended = run.run(|progress| match progress {
                Progress::Started { id, group } => {
                    tell(News::Input(Input::Started { unit: index, id }));
                    tell(News::Group(group));
                }
                Progress::HookFailed { reason, message } => tell(News::Warning { reason, message }),
            });
            let ended = ended.await;
            tell(News::Input(Input::Exited { unit: index, ended }));
        });
        self.runs.insert(
            index,
            Active {
                number,
                stop,
                launch: Some(launch),
                watch: None,
            },
        );
        None
    }

    /// Lets sessions begin beside a run.
    fn show(&self, container: &str, launch: Arc<Launch>, attach: Option<PointReceiver>) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shown) = board.runs.get_mut(container) {
            shown.launch = Some(launch);
            shown.attach = attach;
        }
    }

    /// Environment, arguments and folder of a container's process.
    fn launch(&self, container: &Container, words: &[String]) -> Result<Launch, String> {
        let root = self.folder.join("roots").join(&container.name);
        let elsewhere = volumes::mirror(&root, container, &self.volumes);
        let elsewhere = elsewhere.map_err(|error| format!("{}: {error}", root.display()))?;
        if !elsewhere.is_empty() {
            let paths = elsewhere.join(", ");
            self.note(true, "MountElsewhere", format!(
                "Processes share this machine's file system: what container {} mounts at {paths} \
                 is below the folder in $PORTOLAN_ROOT, which is its working directory unless it \
                 sets another",
                container.name
            ));
        }
        let env = self.source().env(container, self.base_env(&root)?)?;
        let known = |name: &str| env.get(name).cloned();
        let words = words.iter().map(|word| expand(word, known)).collect();
        let folder = working_folder(&container.working_dir, root);
        Ok(Launch {
            words,
            env,
            folder,
            enter: self.enter()?,
        })
    }

    /// How a command gets into the Pod's network, with the files by which it looks names up.
    fn enter(&self) -> Result<Vec<String>, String> {
        let Some(place) = &self.place else {
            return Ok(Vec::new());
        };
        let settings = &self.context.settings;
        let pod = self.machine.pod();
        let namespace = &pod.object.meta.namespace;
        let machine = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let resolver = names::Resolver {
            servers: &settings.cluster_dns,
            domain: &settings.cluster_domain,
            machine: &machine,
        };
        let folder = self.folder.join("etc");
        let files = Files {
            resolv_conf: folder.join("resolv.conf"),
            hosts: folder.join("hosts"),
        };
        let own = match pod.spec.host_network {
            true => std::fs::read_to_string("/etc/hosts").unwrap_or_default(),
            false => names::own_hosts(&self.host_names()?, &self.ips),
        };
        let write = || {
            std::fs::create_dir_all(&folder)?;
            let text = names::resolv_conf(&pod.spec, namespace, &resolver);
            std::fs::write(&files.resolv_conf, text)?;
            std::fs::write(&files.hosts, names::with_aliases(own, &pod.spec))
        };
        write().map_err(|error: std::io::Error| format!("{}: {error}", folder.display()))?;
        Ok(place.enter(&files))
    }

    fn host_names(&self) -> Result<HostNames, String> {
        let pod = self.machine.pod();
        let (name, namespace) = (&pod.object.meta.name, &pod.object.meta.namespace);
        let domain = &self.context.settings.cluster_domain;
        host_names(&pod.spec, name, namespace, domain)
    }

    fn base_env(&self, root: &Path) -> Result<Env, String> {
        let settings = &self.context.settings;
        let own = INHERITED.iter().filter_map(|name| {
            let value = std::env::var(name).ok()?;
            Some(((*name).to_owned(), value))
        });
        let hostname = match self.place.is_some() && self.machine.pod().spec.host_network {
            true => uname().nodename().to_string_lossy().into_owned(),
            false => self.host_names()?.host,
        };
        let mut env: Env = own.collect();
        let mut put = |name: &str, value: String| env.insert(name.to_owned(), value);
        if let Some(ip) = self.ips.first() {
            put("POD_IP", ip.to_string());
        }
        put("HOSTNAME", hostname);
        put("PORTOLAN_ROOT", root.display().to_string());
        put(MARK, settings.data_dir.display().to_string());
        if let Some(kubeconfig) = &settings.kubeconfig {
            put("KUBECONFIG", kubeconfig.display().to_string());
        }
        Ok(env)
    }
}

/// The folder that is asked for: this machine's, or what is mounted there.
fn working_folder(wanted: &str, root: PathBuf) -> PathBuf {
    if wanted.is_empty() {
        return root;
    }
    let mounted = root.join(wanted.trim_start_matches('/'));
    if mounted.is_dir() {
        mounted
    } else {
        PathBuf::from(wanted)
    }
}
