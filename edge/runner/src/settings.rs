//! What the runner is told at its start.

use crate::network::NetworkSource;
use crate::tokens::TokenSource;
use model::Cidr;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`crate::Runner`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// `metadata.name` of the Node; Pods with this `spec.nodeName` are run
    pub node_name: String,
    /// Address of the Node
    pub node_ip: std::net::IpAddr,
    /// Folder for logs and volumes; it is the runner's alone
    pub data_dir: PathBuf,
    /// One pod range, or two of different families; the first is what processes listen on
    pub pod_cidrs: Vec<Cidr>,
    /// Which image names mean which program
    pub images: ImageMap,
    /// `clusterDomain`, `cluster.local` by default
    pub cluster_domain: String,
    /// Makes a network for each Pod; without it all share this machine's
    pub network: Option<NetworkSource>,
    /// DNS servers of Pods that have a network of their own
    pub cluster_dns: Vec<std::net::IpAddr>,
    /// Makes the tokens of `serviceAccountToken` volumes; without it they are left out
    pub tokens: Option<TokenSource>,
    /// `KUBECONFIG` for processes; none when unset
    pub kubeconfig: Option<PathBuf>,
    /// Longest that [`crate::Runner::shutdown`] waits for processes before it kills them
    pub shutdown_grace: Duration,
    /// Size at which a container's log file is rotated, bytes; two files are kept
    pub log_bytes_max: u64,
}

impl Settings {
    /// Defaults with everything the runner writes under `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let loopback = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        let pods = std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 244, 0, 0));
        Self {
            node_name: "portolan".to_owned(),
            node_ip: loopback,
            data_dir: data_dir.into(),
            pod_cidrs: Cidr::new(pods, 16).into_iter().collect(),
            images: ImageMap::default(),
            cluster_domain: "cluster.local".to_owned(),
            network: None,
            cluster_dns: Vec::new(),
            tokens: None,
            kubeconfig: None,
            shutdown_grace: Duration::from_secs(5),
            log_bytes_max: 5 << 20,
        }
    }
}

/// What an image name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// The built-in echo server
    Echo,
    /// A program of this machine with its first arguments
    Command(Vec<String>),
}

/// Image names and what they stand for (`--image NAME=CMD`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageMap {
    entries: BTreeMap<String, ImageSource>,
}

impl ImageMap {
    /// The image that is built in.
    pub const ECHO: &'static str = "portolan/echo";

    /// Takes one `NAME=CMD`: the name with or without a tag, or `*` for every image; the command
    /// in the words a shell would see, or `portolan/echo`.
    ///
    /// # Errors
    /// What is wrong with the text and how to write it.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let example = "write NAME=CMD, such as nginx=portolan/echo";
        let Some((name, command)) = text.split_once('=') else {
            return Err(format!("image map {text:?} has no '=': {example}"));
        };
        let name = name.trim();
        if name.is_empty() {
            return Err(format!("image map {text:?} names no image: {example}"));
        }
        self.entries.insert(name.to_owned(), source(command)?);
        Ok(())
    }

    /// What runs for `image`: the longest name that fits wins, from the whole reference over the
    /// name without tag or registry to `*`.
    pub fn lookup(&self, image: &str) -> Option<ImageSource> {
        let spellings = spellings(image);
        let mut keys = spellings.iter().map(String::as_str).chain(["*"]);
        let mapped = keys.find_map(|key| self.entries.get(key).cloned());
        let built_in = spellings.iter().any(|name| name == Self::ECHO);
        mapped.or(built_in.then_some(ImageSource::Echo))
    }
}

fn source(command: &str) -> Result<ImageSource, String> {
    if command.trim() == ImageMap::ECHO {
        return Ok(ImageSource::Echo);
    }
    let words = words(command)?;
    if words.is_empty() {
        return Err("image map has no command after '='".to_owned());
    }
    Ok(ImageSource::Command(words))
}

/// `docker.io/library/nginx:1.25` → itself, without tag, without registry, without both.
fn spellings(image: &str) -> Vec<String> {
    let untagged = untagged(image);
    let mut found: Vec<String> = Vec::new();
    for whole in [image, untagged] {
        for prefix in ["", "docker.io/library/", "docker.io/"] {
            if let Some(short) = whole.strip_prefix(prefix) {
                found.push(short.to_owned());
            }
        }
    }
    found.dedup();
    found
}

fn untagged(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    let last = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[last..].find(':') {
        Some(colon) => &image[..last + colon],
        None => image,
    }
}

/// Splits at blanks; quotes of both kinds and a backslash keep them, as in a shell.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let quoted: String = word.take().unwrap_or_default();
                word = Some(quoted + &until(&mut chars, c)?);
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn until(chars: &mut std::str::Chars<'_>, quote: char) -> Result<String, String> {
    let mut inner = String::new();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok(inner),
            '\\' if quote == '"' => inner.extend(chars.next()),
            c => inner.push(c),
        }
    }
    Err(format!("image map has an open {quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[&str]) -> ImageMap {
        let mut map = ImageMap::default();
        for entry in entries {
            map.add(entry).unwrap();
        }
        map
    }

    #[test]
    fn the_closest_name_wins() {
        let map = map(&[
            "nginx=a",
            "nginx:1.25=b",
            "ghcr.io:5000/x/app=c",
            "busybox=portolan/echo",
        ]);
        let command = |image| match map.lookup(image) {
            Some(ImageSource::Command(words)) => words.join(" "),
            Some(ImageSource::Echo) => "echo".to_owned(),
            None => "-".to_owned(),
        };
        assert_eq!(command("nginx"), "a");
        assert_eq!(command("nginx:1.24"), "a");
        assert_eq!(command("nginx:1.25"), "b");
        assert_eq!(command("docker.io/library/nginx:1.25"), "b");
        assert_eq!(command("nginx@sha256:00"), "a");
        assert_eq!(command("ghcr.io:5000/x/app:v1"), "c");
        assert_eq!(command("busybox:1"), "echo");
        assert_eq!(command("portolan/echo"), "echo");
        assert_eq!(command("docker.io/portolan/echo:v1"), "echo");
        assert_eq!(command("redis"), "-");
    }

    #[test]
    fn a_star_takes_the_rest_and_echo_may_be_mapped() {
        let map = map(&["*=portolan/echo", "portolan/echo=my echo"]);
        assert_eq!(map.lookup("redis"), Some(ImageSource::Echo));
        let own = ImageSource::Command(vec!["my".to_owned(), "echo".to_owned()]);
        assert_eq!(map.lookup("portolan/echo"), Some(own));
    }

    #[test]
    fn commands_are_split_as_a_shell_does() {
        let got = words(r#"sh -c 'echo "$X"; sleep 1' a\ b "c \"d" """#).unwrap();
        assert_eq!(
            got,
            ["sh", "-c", "echo \"$X\"; sleep 1", "a b", "c \"d", ""]
        );
        for bad in ["nginx", "=x", "nginx=", "nginx='x"] {
            assert!(ImageMap::default().add(bad).is_err(), "{bad}");
        }
    }
}
