use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: http::HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    headers
}

#[test]
fn tokens_stand_in_the_header_or_among_protocols() {
    let token = |pairs: &[(&str, &str)]| bearer(&headers(pairs));
    assert_eq!(
        token(&[("authorization", "Bearer abc")]).as_deref(),
        Some("abc")
    );
    assert_eq!(token(&[("authorization", "bearer  abc")]), None);
    assert_eq!(token(&[("authorization", "Basic abc")]), None);
    let protocols = "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.YWJj";
    assert_eq!(
        token(&[("sec-websocket-protocol", protocols)]).as_deref(),
        Some("abc")
    );
}

#[test]
fn impersonation_is_read_off_the_headers() {
    let wanted = wanted(&headers(&[
        ("impersonate-user", "jane"),
        ("impersonate-group", "a"),
        ("impersonate-group", "b"),
        ("impersonate-uid", "7"),
        ("impersonate-extra-acme.com%2Fproject", "x"),
        ("impersonate-extra-scopes", "y"),
        ("impersonate-extra-scopes", "z"),
        ("impersonate-extra-a%zz", "kept"),
    ]));
    assert_eq!((wanted.name.as_str(), wanted.uid.as_str()), ("jane", "7"));
    assert_eq!(wanted.groups, ["a", "b"]);
    assert_eq!(wanted.extra["acme.com/project"], ["x"]);
    assert_eq!(wanted.extra["scopes"], ["y", "z"]);
    assert_eq!(wanted.extra["a%zz"], ["kept"]);
}
