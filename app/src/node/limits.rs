//! Limits of connection tracking, and of this process, as kube-proxy sets them. What a container
//! may not write stays as it is.

use proxy::kernel::config::Conntrack;
use std::path::Path;
use std::time::Duration;

/// kube-proxy's own cap for machines with many cores.
const MOST: u64 = 1 << 20;

/// Sets what is asked for. The largest number of connections is never lowered.
pub(crate) fn conntrack(wanted: &Conntrack) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    if let Some(most) = most(wanted, cores)
        && read("nf_conntrack_max").is_none_or(|now| now < most)
    {
        write("nf_conntrack_max", most);
        buckets(most / 4);
    }
    let times = [
        (
            "nf_conntrack_tcp_timeout_established",
            wanted.tcp_established_timeout,
        ),
        (
            "nf_conntrack_tcp_timeout_close_wait",
            wanted.tcp_close_wait_timeout,
        ),
        ("nf_conntrack_udp_timeout", wanted.udp_timeout),
        ("nf_conntrack_udp_timeout_stream", wanted.udp_stream_timeout),
    ];
    for (name, time) in times {
        let seconds = time.map_or(0, |time: Duration| time.as_secs());
        if seconds > 0 {
            write(name, seconds);
        }
    }
    if wanted.tcp_be_liberal {
        write("nf_conntrack_tcp_be_liberal", 1);
    }
}

fn most(wanted: &Conntrack, cores: u64) -> Option<u64> {
    let per_core = u64::from(wanted.max_per_core.filter(|per_core| *per_core > 0)?);
    let scaled = per_core * cores;
    Some(if scaled > MOST {
        MOST
    } else {
        scaled.max(u64::from(wanted.min))
    })
}

fn read(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/sys/net/netfilter/{name}")).ok()?;
    text.trim().parse().ok()
}

fn write(name: &str, value: u64) {
    if read(name) == Some(value) {
        return;
    }
    let path = format!("/proc/sys/net/netfilter/{name}");
    match std::fs::write(&path, value.to_string()) {
        Ok(()) => tracing::info!(value, "{path}"),
        Err(error) => tracing::warn!(value, %error, "{path} stays as it is"),
    }
}

/// Hash buckets for so many connections.
fn buckets(wanted: u64) {
    let path = Path::new("/sys/module/nf_conntrack/parameters/hashsize");
    let now = std::fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    if now.is_some_and(|now| now < wanted)
        && let Err(error) = std::fs::write(path, wanted.to_string())
    {
        tracing::info!(%error, "{} stays as it is", path.display());
    }
}

/// Whom the kernel ends last when memory runs out.
pub(crate) fn oom_score(score: i32) {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", score.to_string()) {
        tracing::debug!(score, %error, "oom_score_adj stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy::kernel::config::KubeProxyConfiguration;

    #[test]
    fn the_number_of_connections_grows_with_cores_between_two_bounds() {
        let mut wanted = KubeProxyConfiguration::default().conntrack;
        assert_eq!(most(&wanted, 1), Some(131_072));
        assert_eq!(most(&wanted, 16), Some(524_288));
        assert_eq!(most(&wanted, 64), Some(MOST));
        wanted.max_per_core = None;
        assert_eq!(most(&wanted, 16), None);
    }
}
