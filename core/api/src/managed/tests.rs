use super::agent_name;

#[test]
fn agents_are_cut_at_the_version() {
    assert_eq!(agent_name("kubectl/v1.32 (linux)"), "kubectl");
    assert_eq!(agent_name(&"x".repeat(200)).len(), 128);
}
