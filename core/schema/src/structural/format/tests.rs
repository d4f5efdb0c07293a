use super::*;

fn accepts(format: &str, text: &str) -> bool {
    let format = Format::of("string", format, false).expect("a format that is checked");
    format.accepts(text)
}

#[test]
fn strings_are_checked_as_the_original_does() {
    let good_and_bad: [(&str, &[&str], &[&str]); 25] = [
        ("date", &["2024-02-29"], &["2023-02-29", "2024-1-1", "x"]),
        (
            "date-time",
            &["2024-01-01T00:00:00Z", "2024-01-01t23:59:59.5+01:00"],
            &[
                "2024-01-01",
                "2024-01-01T24:00:00Z",
                "2024-01-01T00:00:00",
                "T",
            ],
        ),
        (
            "duration",
            &["5m", "1h30m", "22 ns", "3 days", "0", "-1.5h", "a 1 hour b"],
            &["", "5", "x", "1 fortnight"],
        ),
        (
            "byte",
            &["YWJj", "YWI=", "YQ=="],
            &["", "YWJ", "YW=j", "===="],
        ),
        (
            "email",
            &["a@b", "A B <a.b@c.d>", "\"x y\"@z", "a@b (hi)"],
            &["", "a", "a@", "a..b@c", "a@b c"],
        ),
        (
            "uuid",
            &[
                "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
                "6BA7B8109DAD11D180B400C04FD430C8",
            ],
            &[
                "6ba7b810-9dad-11d1-80b4",
                "zba7b810-9dad-11d1-80b4-00c04fd430c8",
            ],
        ),
        (
            "uuid4",
            &["6ba7b810-9dad-41d1-80b4-00c04fd430c8"],
            &[
                "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
                "6ba7b810-9dad-41d1-70b4-00c04fd430c8",
            ],
        ),
        ("uuid3", &["6ba7b810-9dad-31d1-70b4-00c04fd430c8"], &["x"]),
        (
            "ipv4",
            &["1.2.3.4", "010.0.0.1"],
            &["1.2.3", "256.1.1.1", "::1"],
        ),
        (
            "ipv6",
            &["::1", "fe80::1"],
            &["1.2.3.4", "fe80::1%eth0", ":"],
        ),
        (
            "cidr",
            &["10.0.0.1/8", "::/0"],
            &["10.0.0.1", "10.0.0.0/33", "10.0.0.0/+8"],
        ),
        (
            "mac",
            &[
                "01:23:45:67:89:ab",
                "01-23-45-67-89-ab",
                "0123.4567.89ab",
                "0123456789ab",
            ],
            &["01:23:45:67:89", "0g:23:45:67:89:ab", ""],
        ),
        (
            "uri",
            &[
                "http://a.b/c?d",
                "/a",
                "mailto:x",
                "https://u:p@h:80/%20",
                "*",
            ],
            &[
                "",
                "a",
                "a/b",
                ":x",
                "http://a b",
                "http://a/%zz",
                "http://h:x/",
            ],
        ),
        (
            "hostname",
            &["a", "example.com", "a-b.example.london", "1a"],
            &["", "-a", "a_b", "example.c", "a..b"],
        ),
        ("k8s-short-name", &["a", "a-1"], &["A", "-a", "a.b", ""]),
        ("k8s-long-name", &["a.b-c"], &["a..b", "A", ""]),
        (
            "isbn10",
            &["0321751043", "0-321-75104-3"],
            &["0321751044", "x"],
        ),
        ("isbn13", &["978-0321751041"], &["978-0321751042"]),
        ("isbn", &["0321751043", "978-0321751041"], &["1"]),
        (
            "creditcard",
            &["4111 1111 1111 1111"],
            &["4111 1111 1111 1112", "1"],
        ),
        ("ssn", &["111-22-3333"], &["111223333", "x"]),
        ("hexcolor", &["#fff", "FFFFFF"], &["#ff", "#ggg"]),
        (
            "rgbcolor",
            &["rgb(0, 1,255)"],
            &["rgb(0,1,256)", "rgb(01,1,1)", "rgb(1,2)"],
        ),
        ("password", &["", "x"], &[]),
        (
            "bsonobjectid",
            &["507f1f77bcf86cd799439011"],
            &["507f", "zz7f1f77bcf86cd799439011"],
        ),
    ];
    for (format, good, bad) in good_and_bad {
        for text in good {
            assert!(accepts(format, text), "{format} takes {text:?}");
        }
        for text in bad {
            assert!(!accepts(format, text), "{format} refuses {text:?}");
        }
    }
}

#[test]
fn a_format_counts_only_for_its_type() {
    assert_eq!(Format::of("integer", "int32", false), Some(Format::Int32));
    assert_eq!(Format::of("integer", "date", false), None);
    assert_eq!(Format::of("string", "int32", false), None);
    assert_eq!(Format::of("object", "date", false), None);
    assert_eq!(
        Format::of("", "date", false),
        Some(Format::Text(Text::Date))
    );
    assert_eq!(Format::of("string", "my-own", false), None);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_format_panic(text in "\\PC{0,40}|[0-9a-zT:.@%/<>()-]{0,30}") {
        for name in ["date", "datetime", "duration", "byte", "email", "uuid4", "ipv4", "ipv6", "cidr",
            "mac", "uri", "hostname", "isbn", "creditcard", "ssn", "rgbcolor", "k8slongname"] {
            let format = Format::of("string", name, false).expect("known");
            // That it answers is what is asked.
            let _ = format.accepts(&text);
        }
    }
}
