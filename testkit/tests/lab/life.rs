//! Connections that last longer than what is planned: removal, restart, repair, and the end.

use crate::objects::{ep, service, with};
use crate::world::{Agent, World, cluster_ips, settings, world, world_with};
use kernel::lab::{Answer, Protocol, Shape};
use kernel::nftables::{Table, Watch};
use model::{ChangedKeys, Snapshot};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn connections(world: &World, from: &[&str]) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for to in cluster_ips(10)
        .into_iter()
        .chain(world.sockets("node3", 30010))
    {
        for from in from {
            let asking = world.asking(from, Protocol::Tcp, to);
            all.push(asking.connect().expect("connects"));
        }
    }
    all
}

fn all_served_by(connections: &[TcpStream], who: &str) {
    for connection in connections {
        assert_eq!(
            Answer::on_stream(connection).who(),
            Some(who),
            "{connection:?}"
        );
    }
}

#[test]
fn connections_outlive_their_endpoint_and_new_ones_go_elsewhere() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "NodePort"), &[ep(1)]);
    let old = connections(&world, &["pod2", "node2", "client"]);
    all_served_by(&old, "pod1");
    world.endpoints("web", &[ep(1).terminating(true), ep(3)]);
    all_served_by(&old, "pod1");
    all_served_by(&connections(&world, &["pod2", "client"]), "pod3");
    world.endpoints("web", &[ep(3)]);
    all_served_by(&old, "pod1");
    world.endpoints("web", &[]);
    all_served_by(&old, "pod1");
}

#[test]
fn connections_to_removed_endpoints_are_reset_where_asked() {
    let Some(mut world) = world_with(Shape::default(), |s| s.reset_removed = true) else {
        return;
    };
    world.serve(service("web", 10, "NodePort"), &[ep(1), ep(3)]);
    world.endpoints("web", &[ep(1)]);
    let old = connections(&world, &["pod2", "node1", "client"]);
    all_served_by(&old, "pod1");
    // Terminating is not gone.
    world.endpoints("web", &[ep(1).terminating(true), ep(3)]);
    all_served_by(&old, "pod1");
    world.endpoints("web", &[ep(3)]);
    for mut connection in &old {
        // Whichever comes first: an acknowledgement under way may bring the reset already.
        let told = connection
            .write_all(b"?\n")
            .and_then(|()| connection.read(&mut [0; 64]));
        let read = told.expect_err("reset");
        assert_eq!(read.kind(), ErrorKind::ConnectionReset, "{connection:?}");
    }
    // It comes back, and is served again.
    world.endpoints("web", &[ep(1)]);
    all_served_by(&connections(&world, &["pod2", "node1", "client"]), "pod1");
}

#[test]
fn a_new_process_adopts_what_is_there_and_connections_live_on() {
    let Some(mut world) = world() else { return };
    let sticky = json!({"sessionAffinity": "ClientIP"});
    world.serve(
        with(service("web", 10, "NodePort"), sticky),
        &[ep(1), ep(3)],
    );
    let to = cluster_ips(10)[0];
    let home = world.servers("pod2", Protocol::Tcp, to, 3);
    let connection = world
        .asking("pod2", Protocol::Tcp, to)
        .connect()
        .expect("connects");
    for (node, agent) in world.lab.nodes.iter().zip(&mut world.agents) {
        *agent = Agent::new(&node.machine, settings(&node.machine));
        let mut changed = ChangedKeys::default();
        changed
            .services
            .extend(world.snapshot.services.keys().cloned());
        drop(agent.planner.update(&world.snapshot, &changed));
        let generation = agent.table.generation().expect("told");
        assert_eq!(agent.repair(), 0, "what is there is what is planned");
        assert_eq!(agent.table.generation().expect("told"), generation);
    }
    let home = home.into_iter().next().expect("one");
    assert_eq!(Answer::on_stream(&connection).who(), Some(home.as_str()));
    // Also its memory of clients is kept, and it goes on from there.
    assert_eq!(world.servers("pod2", Protocol::Tcp, to, 8).len(), 1);
    world.endpoints("web", &[ep(5)]);
    world.expect_served(&["pod2", "node1"], to, &["pod5"]);
    assert_eq!(Answer::on_stream(&connection).who(), Some(home.as_str()));
}

#[test]
fn a_process_that_was_away_changes_only_the_difference() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "NodePort"), &[ep(1)]);
    let connection = world
        .asking("pod2", Protocol::Tcp, cluster_ips(10)[0])
        .connect();
    let connection = connection.expect("connects");
    // Somebody else's table meanwhile.
    for node in &world.lab.nodes {
        let other = node.machine.namespace.make(|| Table::open("somebody-else"));
        let mut other = other.expect("inside").expect("opened");
        let chain = nft::Op::AddChain("mine".into(), None);
        other
            .apply(&nft::Transaction { ops: vec![chain] })
            .expect("applied");
    }
    let agents = std::mem::take(&mut world.agents);
    drop(agents);
    world.endpoints("web", &[ep(3)]);
    let nodes = world.lab.nodes.iter();
    world.agents = nodes
        .map(|node| {
            let mut agent = Agent::new(&node.machine, settings(&node.machine));
            let mut changed = ChangedKeys::default();
            changed
                .services
                .extend(world.snapshot.services.keys().cloned());
            drop(agent.planner.update(&world.snapshot, &changed));
            let steps = agent.repair();
            assert!((1..40).contains(&steps), "{steps} steps");
            agent
        })
        .collect();
    for to in cluster_ips(10) {
        world.expect_served(&["pod2", "client"], to, &["pod3"]);
    }
    assert_eq!(Answer::on_stream(&connection).who(), Some("pod1"));
    let other = world
        .at("node1")
        .namespace
        .make(|| Table::open("somebody-else"));
    let left = other
        .expect("inside")
        .expect("opened")
        .read()
        .expect("read");
    assert_eq!(left.expect("still there").chains.len(), 1);
}

#[test]
fn what_somebody_flushes_is_noticed_and_put_back() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "NodePort"), &[ep(1), ep(3)]);
    let to = cluster_ips(10)[1];
    let node = world.at("node1").namespace.clone();
    let agent = &mut world.agents[0];
    let mut watch = watch(&node, &mut agent.table);
    assert_eq!(watch.next(Duration::ZERO).expect("quiet"), None);
    let vandal = node.make(|| Table::open("portolan"));
    let mut vandal = vandal.expect("inside").expect("opened");
    vandal.delete().expect("deleted");
    let change = watch
        .next(Duration::from_secs(5))
        .expect("told")
        .expect("a change");
    assert!(change.removed, "{change:?}");
    assert!(agent.repair() > 0);
    assert_eq!(
        watch.next(Duration::ZERO).expect("quiet"),
        None,
        "our own repair is no change"
    );
    assert_eq!(agent.repair(), 0);
    world.expect_served(&["pod2", "node1"], to, &["pod1", "pod3"]);
    // And what was put in besides.
    let agent = &mut world.agents[0];
    let intruder = nft::Op::AddChain("intruder".into(), None);
    vandal
        .apply(&nft::Transaction {
            ops: vec![intruder],
        })
        .expect("applied");
    let change = watch
        .next(Duration::from_secs(5))
        .expect("told")
        .expect("a change");
    assert!(!change.removed, "{change:?}");
    assert_eq!(agent.repair(), 1);
    assert_eq!(agent.repair(), 0);
}

fn watch(node: &kernel::netns::Namespace, table: &mut Table) -> Watch {
    // A socket belongs to the namespace of the thread that makes it.
    node.run(|| Watch::open(table))
        .expect("inside")
        .expect("watches")
}

#[test]
fn nothing_is_left_when_everything_is_deleted() {
    let Some(mut world) = world() else { return };
    let empty: Vec<nft::Ruleset> = rulesets(&mut world);
    let all = [
        with(
            service("a", 10, "NodePort"),
            json!({"externalTrafficPolicy": "Local"}),
        ),
        with(
            service("b", 11, "ClusterIP"),
            json!({"sessionAffinity": "ClientIP"}),
        ),
        crate::objects::balanced(service("c", 12, "LoadBalancer"), 12, "VIP"),
    ];
    for service in &all {
        world.serve(service.clone(), &[ep(1), ep(3), ep(5)]);
    }
    assert_ne!(rulesets(&mut world), empty);
    world.delete(&all);
    for service in ["a", "b", "c"] {
        let slices = crate::objects::slices(&world.lab, service, &[]);
        world.delete(&slices);
    }
    // Chains out of use go a step later.
    for agent in &mut world.agents {
        if agent.planner.has_leftovers() {
            agent.update(&world.snapshot, &ChangedKeys::default());
        }
    }
    assert_eq!(rulesets(&mut world), empty);
    for agent in &mut world.agents {
        agent.table.delete().expect("deleted");
        assert_eq!(agent.table.read().expect("read"), None);
    }
    assert_eq!(
        world.snapshot.services.len(),
        Snapshot::default().services.len()
    );
}

fn rulesets(world: &mut World) -> Vec<nft::Ruleset> {
    let agents = world.agents.iter_mut();
    agents
        .map(|agent| agent.table.read().expect("read").expect("there"))
        .collect()
}
