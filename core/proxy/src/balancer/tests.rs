use super::*;

fn backends(count: u8) -> Vec<SocketAddr> {
    (1..=count)
        .map(|n| SocketAddr::from(([127, 244, 0, n], 8080)))
        .collect()
}

fn client(n: u32) -> IpAddr {
    IpAddr::from((n + 1).to_be_bytes())
}

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

#[test]
fn takes_backends_in_turn_and_never_one_that_was_tried() {
    let all = backends(3);
    let mut balancer = Balancer::default();
    let mut choose =
        |tried: &[SocketAddr]| balancer.choose(&all, client(0), None, Duration::ZERO, tried);
    let round: Vec<_> = (0..4).filter_map(|_| choose(&[])).collect();
    assert_eq!(round, [all[0], all[1], all[2], all[0]]);
    assert_eq!(choose(&all[1..2]), Some(all[2]));
    assert_eq!(choose(&all), None);
    assert_eq!(
        Balancer::default().choose(&[], client(0), HOUR, Duration::ZERO, &[]),
        None
    );
}

#[test]
fn a_client_keeps_its_backend_until_its_time_is_over_or_the_backend_goes() {
    let all = backends(3);
    let mut balancer = Balancer::default();
    let mut at = |seconds, backends: &[SocketAddr], tried: &[SocketAddr]| {
        let now = Duration::from_secs(seconds);
        balancer.choose(backends, client(7), HOUR, now, tried)
    };
    assert_eq!(at(0, &all, &[]), Some(all[0]));
    assert_eq!(at(3599, &all, &[]), Some(all[0]));
    // Each connection starts the time anew.
    assert_eq!(at(7198, &all, &[]), Some(all[0]));
    assert_eq!(at(10_798, &all, &[]), Some(all[1]));
    assert_eq!(at(10_799, &all[..1], &[]), Some(all[0]));
    assert_eq!(at(10_800, &all, &all[..1]), Some(all[1]));
    assert_eq!(at(10_801, &all, &[]), Some(all[1]));
}

#[test]
fn remembers_no_more_clients_than_it_may() {
    let all = backends(2);
    let mut balancer = Balancer::default();
    for n in 0..(AFFINITY_ENTRIES as u32 * 2) {
        let now = Duration::from_millis(n.into());
        balancer.choose(&all, client(n), HOUR, now, &[]);
        assert!(balancer.remembered() <= AFFINITY_ENTRIES);
    }
    let last = AFFINITY_ENTRIES as u32 * 2 - 1;
    let now = Duration::from_millis((last + 1).into());
    let before = balancer.remembered();
    balancer.choose(&all, client(last), HOUR, now, &[]);
    assert_eq!(balancer.remembered(), before);
    balancer.choose(&all, client(last), None, now, &[]);
    assert_eq!(balancer.remembered(), 0, "without affinity nothing is kept");
}
