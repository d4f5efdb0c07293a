//! Whose source is rewritten.

use crate::objects::{ep, service};
use crate::world::{cluster_ips, world_with};
use kernel::lab::Shape;
use proxy::kernel::{DetectLocal, NodeSettings};

/// Who asks by way of node 2, where the endpoint is: the client outside, and a Pod of that node.
/// Where masquerading, the node puts an address of its own in their place.
fn check(
    shape: Shape,
    change: impl Fn(&mut NodeSettings),
    client_masqueraded: bool,
    pod_masqueraded: bool,
) {
    let Some(mut world) = world_with(shape, change) else {
        return;
    };
    world.serve(service("web", 10, "ClusterIP"), &[ep(4)]);
    for to in cluster_ips(10) {
        let own = |name: &str| world.at(name).addresses.like(to.ip());
        for (from, masqueraded) in [("client", client_masqueraded), ("pod3", pod_masqueraded)] {
            match masqueraded {
                false => world.expect_seen(&[from], to, own(from)),
                // Of several addresses, the kernel takes that of the link to the Pod.
                true if shape.bridge => world.expect_unseen(&[from], to, own(from)),
                true => world.expect_seen(&[from], to, own("node2")),
            }
        }
    }
}

#[test]
fn sources_outside_the_cluster_range_are_rewritten() {
    check(Shape::default(), |_| {}, true, false);
}

#[test]
fn without_detection_nothing_is_rewritten() {
    check(
        Shape::default(),
        |s| s.detect_local = DetectLocal::None,
        false,
        false,
    );
}

#[test]
fn masquerade_all_rewrites_everybody() {
    check(Shape::default(), |s| s.masquerade_all = true, true, true);
}

#[test]
fn pods_are_told_by_the_name_of_their_link() {
    let prefix = DetectLocal::InterfaceNamePrefix("pod".to_owned());
    check(
        Shape::default(),
        |s| s.detect_local = prefix.clone(),
        true,
        false,
    );
}

#[test]
fn pods_are_told_by_their_bridge() {
    let bridge = DetectLocal::BridgeInterface("cni0".to_owned());
    let shape = Shape {
        bridge: true,
        ..Shape::default()
    };
    check(shape, |s| s.detect_local = bridge.clone(), true, false);
}

#[test]
fn another_mark_and_unrandomised_ports_do_as_well() {
    let change = |s: &mut NodeSettings| {
        s.masquerade_mark = 1 << 3;
        s.fully_random = false;
    };
    check(Shape::default(), change, true, false);
}
