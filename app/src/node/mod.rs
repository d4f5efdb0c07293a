//! The service proxy of one node: what `portolan up` and `portolan run --role node` share, and
//! the rest of `portolan run`.

mod addresses;
pub(crate) mod agent;
mod cleanup;
mod config;
mod dns;
pub(crate) mod flags;
mod gateway;
mod health;
mod http;
mod limits;
pub(crate) mod metrics;
pub(crate) mod run;
mod scrape;
mod session;
mod sources;

use std::ffi::OsString;
use std::path::Path;

/// The command line as it is meant when this program stands in for kube-proxy, by its name or as
/// `portolan kube-proxy`: `portolan run` without DNS, which somebody else serves then.
pub(crate) fn as_kube_proxy(args: Vec<OsString>) -> Vec<OsString> {
    let is = |arg: Option<&OsString>| {
        let name = arg.and_then(|arg| Path::new(arg).file_name());
        name.is_some_and(|name| name == "kube-proxy")
    };
    let skip = if is(args.first()) {
        1
    } else if is(args.get(1)) {
        2
    } else {
        return args;
    };
    let begin = ["portolan", "run", "--dns=false"].map(OsString::from);
    begin
        .into_iter()
        .chain(args.into_iter().skip(skip))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_kube_proxy_is_a_command() {
        let read = |args: &[&str]| {
            let args = args.iter().map(OsString::from).collect();
            let read = as_kube_proxy(args);
            read.into_iter()
                .map(|arg| arg.into_string().unwrap())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            read(&["/usr/bin/kube-proxy", "-v=2"]),
            "portolan run --dns=false -v=2"
        );
        assert_eq!(
            read(&["portolan", "kube-proxy", "--cleanup"]),
            "portolan run --dns=false --cleanup"
        );
        assert_eq!(read(&["portolan", "up"]), "portolan up");
    }
}
