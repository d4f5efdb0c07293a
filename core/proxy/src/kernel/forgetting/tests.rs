use super::*;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address with a port")
}

fn ips(texts: &[&str]) -> BTreeSet<IpAddr> {
    let parse = |text: &&str| text.parse().expect("an address");
    texts.iter().map(parse).collect()
}

fn flush(target: FlushTarget, keep: &[&str]) -> ConntrackFlush {
    ConntrackFlush {
        target,
        keep: keep.iter().map(|text| at(text)).collect(),
        due: true,
    }
}

fn address(to: &str, keep: &[&str]) -> ConntrackFlush {
    flush(FlushTarget::Address(at(to)), keep)
}

fn node_port(port: u16, addresses: Option<&[&str]>, keep: &[&str]) -> ConntrackFlush {
    let target = FlushTarget::NodePort {
        ipv4: true,
        port,
        addresses: addresses.map(ips),
    };
    flush(target, keep)
}

/// Endpoints only came.
fn more(flush: ConntrackFlush) -> ConntrackFlush {
    ConntrackFlush {
        due: false,
        ..flush
    }
}

#[test]
fn only_flows_to_endpoints_that_no_longer_serve_are_stale() {
    let mut forgetting = Forgetting::default();
    forgetting.plan(vec![
        address("10.96.0.9:53", &["10.0.0.1:53"]),
        node_port(30053, Some(&["192.0.2.1"]), &["10.0.0.1:53"]),
        node_port(30054, None, &[]),
    ]);
    assert!(!forgetting.is_due(), "old rules would make them again");
    forgetting.ready();
    assert!(forgetting.is_due());
    assert!(forgetting.begin(), "30054 is on all addresses");
    assert!(!forgetting.is_due());
    let local = ips(&["192.0.2.2"]);
    let stale = |to, by| forgetting.is_stale(at(to), at(by), &local);
    assert!(!stale("10.96.0.9:53", "10.0.0.1:53"));
    assert!(stale("10.96.0.9:53", "10.0.0.2:53"));
    assert!(stale("10.96.0.9:53", "10.96.0.9:53"));
    assert!(!stale("10.96.0.8:53", "10.0.0.2:53"));
    assert!(stale("192.0.2.1:30053", "10.0.0.2:53"));
    assert!(!stale("192.0.2.1:30053", "10.0.0.1:53"));
    assert!(!stale("192.0.2.77:30053", "192.0.2.77:30053"));
    assert!(
        stale("192.0.2.2:30054", "192.0.2.2:30054"),
        "on any address of the machine"
    );
    assert!(
        !stale("192.0.2.77:30054", "192.0.2.77:30054"),
        "passing through"
    );
}

/// Takes the steps for each kind of target, with flushes that keep these. Are flows to three
/// endpoints stale?
fn both(steps: impl Fn(&mut Forgetting, &dyn Fn(&[&str]) -> Vec<ConntrackFlush>)) -> [bool; 3] {
    let stale = |to: &str, flush: &dyn Fn(&[&str]) -> Vec<ConntrackFlush>| {
        let mut forgetting = Forgetting::default();
        steps(&mut forgetting, flush);
        let local = ips(&["192.0.2.1"]);
        ["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"]
            .map(|by| forgetting.is_stale(at(to), at(by), &local))
    };
    let to = "10.96.0.9:53";
    let by_address = stale(to, &|keep| vec![address(to, keep)]);
    let by_node_port = stale("192.0.2.1:30053", &|keep| {
        vec![node_port(30053, None, keep)]
    });
    assert_eq!(by_address, by_node_port);
    by_address
}

#[test]
fn a_pass_keeps_flows_to_endpoints_that_come_while_it_runs() {
    let stale = both(|forgetting, flush| {
        forgetting.plan(flush(&["10.0.0.1:53"]));
        forgetting.ready();
        forgetting.begin();
        forgetting.plan(flush(&["10.0.0.2:53"]));
    });
    // The first one goes by the next pass.
    assert_eq!(stale, [false, false, true]);
}

#[test]
fn a_pass_that_waits_keeps_flows_to_endpoints_that_come_before_it() {
    let stale = both(|forgetting, flush| {
        forgetting.plan(flush(&["10.0.0.1:53"]));
        forgetting.ready();
        forgetting.plan(flush(&["10.0.0.2:53"]));
        forgetting.begin();
    });
    assert_eq!(stale, [false, false, true], "rules lead to either");
    let stale = both(|forgetting, flush| {
        for keep in ["10.0.0.1:53", "10.0.0.2:53"] {
            forgetting.plan(flush(&[keep]));
            forgetting.ready();
        }
        forgetting.begin();
    });
    assert_eq!(stale, [true, false, true], "the later word counts");
}

#[test]
fn endpoints_that_only_come_make_nothing_due_but_are_kept() {
    let came = |flush: Vec<ConntrackFlush>| flush.into_iter().map(more).collect();
    let stale = both(|forgetting, flush| {
        forgetting.plan(came(flush(&["10.0.0.1:53"])));
        forgetting.ready();
        assert!(!forgetting.is_due());
        forgetting.begin();
    });
    assert_eq!(stale, [false; 3]);
    for at_once in [false, true] {
        let stale = both(|forgetting, flush| {
            forgetting.plan(flush(&["10.0.0.1:53"]));
            if !at_once {
                forgetting.ready();
            }
            forgetting.plan(came(flush(&["10.0.0.1:53", "10.0.0.2:53"])));
            forgetting.ready();
            assert!(forgetting.is_due());
            forgetting.begin();
        });
        assert_eq!(stale, [false, false, true], "at once: {at_once}");
    }
}

#[test]
fn a_pass_is_for_what_came_before_it() {
    let stale = both(|forgetting, flush| {
        forgetting.plan(flush(&["10.0.0.1:53"]));
        forgetting.ready();
        forgetting.begin();
        forgetting.end();
    });
    assert_eq!(stale, [false; 3]);
    let stale = both(|forgetting, flush| {
        forgetting.plan(flush(&["10.0.0.1:53"]));
        forgetting.ready();
        forgetting.begin();
        forgetting.begin();
    });
    assert_eq!(stale, [false; 3]);
}
