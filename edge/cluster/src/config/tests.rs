use super::*;

fn parse(text: &str) -> Result<Config, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let (cluster, user) = file.current()?;
    build(&cluster, user, Path::new("/etc/k"))
}

#[test]
fn takes_the_current_context_and_no_other() {
    let config = parse(
        "apiVersion: v1\nkind: Config\ncurrent-context: b\n\
         contexts:\n- {name: a, context: {cluster: one, user: u}}\n\
         - {name: b, context: {cluster: two, user: v}}\n\
         clusters:\n- {name: one, cluster: {server: \"https://192.0.2.1\"}}\n\
         - name: two\n  cluster: {server: \"https://[2001:db8::1]:6443/k8s/c/\", \
         certificate-authority: ca.pem, tls-server-name: api}\n\
         users:\n- {name: u, user: {token: wrong}}\n- {name: v, user: {tokenFile: t}}\n",
    )
    .unwrap();
    assert_eq!(config.server(), "https://[2001:db8::1]:6443/k8s/c");
    assert_eq!(config.server_name.as_deref(), Some("api"));
    assert!(matches!(&config.authorities, Some(Pem::File(p)) if p == Path::new("/etc/k/ca.pem")));
    assert!(matches!(&config.credentials, Credentials::TokenFile(p) if p == Path::new("/etc/k/t")));
}

#[test]
fn says_what_is_wrong_with_a_kubeconfig() {
    let wrong = |text: &str| parse(text).unwrap_err();
    assert!(wrong("kind: Config\n").contains("names no cluster"));
    assert!(wrong("current-context: x\n").contains("no context \"x\""));
    let cluster = |more: &str| format!("clusters:\n- name: c\n  cluster: {{{more}}}\n");
    assert!(wrong(&cluster("server: \"ftp://x\"")).contains("no URL"));
    let base64 = "server: \"https://x\", certificate-authority-data: \"*\"";
    assert!(wrong(&cluster(base64)).contains("no base64"));
    let proxied = "server: \"http://x\", proxy-url: \"http://p\"";
    assert!(wrong(&cluster(proxied)).contains("proxy-url"));
    let half = cluster("server: \"http://x\"") + "users:\n- {name: u, user: {client-key: k}}\n";
    assert!(wrong(&half).contains("without a certificate"));
}

#[test]
fn another_server_keeps_the_credentials() {
    let text = "clusters: [{name: c, cluster: {server: \"http://x:8080\"}}]\n\
                users: [{name: u, user: {token: secret}}]\n";
    let config = parse(text)
        .unwrap()
        .with_server("https://192.0.2.7:6443")
        .unwrap();
    assert_eq!(config.server(), "https://192.0.2.7:6443");
    assert!(matches!(&config.credentials, Credentials::Token(token) if token == "secret"));
    assert!(
        !format!("{config:?}").contains("secret"),
        "credentials are not printed"
    );
}
