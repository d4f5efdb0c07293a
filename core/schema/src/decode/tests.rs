use crate::Registry;
use serde_json::json;

fn error(api_version: &str, kind: &str, body: &str) -> String {
    let registry = Registry::builtin();
    let kind = registry.by_kind(api_version, kind).expect("kind");
    registry
        .decode(kind, body.as_bytes())
        .expect_err(body)
        .message
}

#[test]
fn wrong_types_in_gos_words() {
    let service = |ports: &str| {
        error(
            "v1",
            "Service",
            &format!("{{\"spec\":{{\"ports\":{ports}}}}}"),
        )
    };
    let field = "Go struct field ServicePort.spec.ports";
    for (ports, message) in [
        (
            "[{\"port\":\"80\"}]",
            format!("string into {field}.port of type int32"),
        ),
        (
            "[{\"port\":80.5}]",
            format!("number 80.5 into {field}.port of type int32"),
        ),
        (
            "[{\"port\":1e3}]",
            format!("number 1e3 into {field}.port of type int32"),
        ),
        (
            "[{\"port\":3000000000}]",
            format!("number 3000000000 into {field}.port of type int32"),
        ),
        (
            "[{\"targetPort\":1.5}]",
            format!("number 1.5 into {field}.targetPort of type int32"),
        ),
        (
            "[{\"targetPort\":true}]",
            format!("bool into {field}.targetPort of type int32"),
        ),
        (
            "[{\"protocol\":5}]",
            format!("number into {field}.protocol of type v1.Protocol"),
        ),
        (
            "[[]]",
            "array into Go struct field ServiceSpec.spec.ports of type v1.ServicePort".to_owned(),
        ),
        (
            "{}",
            "object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort"
                .to_owned(),
        ),
        // A value that reads itself ends the reading: its error wins over an earlier one.
        (
            "[{\"port\":\"x\",\"targetPort\":[]}]",
            format!("array into {field}.targetPort of type int32"),
        ),
    ] {
        assert_eq!(
            service(ports),
            format!("json: cannot unmarshal {message}"),
            "{ports}"
        );
    }
}

#[test]
fn other_refusals() {
    let config_map = |body: &str| error("v1", "ConfigMap", body);
    assert_eq!(
        config_map(r#"{"metadata":[]}"#),
        "json: cannot unmarshal array into Go struct field ConfigMap.metadata of type v1.ObjectMeta"
    );
    assert_eq!(
        config_map(r#"{"data":5}"#),
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string"
    );
    assert_eq!(
        config_map(r#"{"metadata":{"creationTimestamp":5}}"#),
        "json: cannot unmarshal number into Go struct field \
         ObjectMeta.metadata.creationTimestamp of type string"
    );
    for (data, at) in [
        ("not base64!", 3),
        ("AAEC=", 4),
        ("AAE", 0),
        ("AAECA", 4),
        ("AA=x", 2),
    ] {
        let body = json!({"binaryData": {"k": data}}).to_string();
        assert_eq!(
            config_map(&body),
            format!("illegal base64 data at input byte {at}"),
            "{data}"
        );
    }
    assert_eq!(
        error(
            "v1",
            "Pod",
            r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}}"#
        ),
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
}

#[test]
fn strict_complaints_keep_their_order() {
    let registry = Registry::builtin();
    let kind = registry.by_kind("v1", "ConfigMap").expect("kind");
    let body = r#"{"metadata":{"name":"a","labels":{"a":"1","a":"2"},"nope":1},
        "data":{"k":"v","k":"w"},"dat":{},"dat":{},"metadata":{"namespace":"n"}}"#;
    let decoded = registry.decode(kind, body.as_bytes()).expect("decodes");
    assert_eq!(
        decoded.strict,
        [
            "duplicate field \"metadata.labels.a\"",
            "unknown field \"metadata.nope\"",
            "duplicate field \"data.k\"",
            "unknown field \"dat\"",
            "duplicate field \"metadata\"",
        ]
    );
    assert_eq!(
        decoded.value,
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "w"},
            "metadata": {"name": "a", "namespace": "n", "labels": {"a": "2"}},
        })
    );
}

#[test]
fn type_meta_is_read_first() {
    let registry = Registry::builtin();
    let read = |text: &str| registry.type_meta(text.as_bytes());
    let meta = read(r#"{"KIND":"A","apiVersion":"b/c","metadata":{"kind":5}}"#).expect("reads");
    assert_eq!(
        (meta.kind.as_str(), meta.api_version.as_str()),
        ("A", "b/c")
    );
    let prefix = "couldn't get version/kind; json parse error: ";
    for (text, message) in [
        ("{", "unexpected end of JSON input"),
        (
            "[]",
            "json: cannot unmarshal array into Go value of type struct { APIVersion string \
             \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }",
        ),
        (
            "{\"kind\":5}",
            "json: cannot unmarshal number into Go struct field .kind of type string",
        ),
    ] {
        assert_eq!(
            read(text).expect_err(text).message,
            format!("{prefix}{message}")
        );
    }
    let error = read(r#"{"apiVersion":"a/b/c"}"#).expect_err("is no version");
    assert_eq!(error.message, "unexpected GroupVersion string: a/b/c");
}
