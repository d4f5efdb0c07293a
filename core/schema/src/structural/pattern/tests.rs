use super::*;

fn found(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern.to_owned()).found_in(text)
}

#[test]
fn patterns_mean_what_they_mean_in_go() {
    let cases = [
        ("^[a-z]{,3}$", "a{,3}", true),
        ("^[a-z]{,3}$", "ab", false),
        ("^\\d+$", "12", true),
        ("^\\d+$", "\u{663}", false),
        ("^\\w$", "é", false),
        ("^[\\w.-]+$", "a-b.c", true),
        ("^[a&&b]$", "&", true),
        ("^[a[b]$", "[", true),
        ("^a.c$", "a\nc", false),
        ("(?s)^a.c$", "a\nc", true),
        ("(?i)^ab$", "AB", true),
        ("^a(?i:b)c$", "aBc", true),
        ("^\\Qa.b\\E$", "a.b", true),
        ("^\\Qa.b\\E$", "axb", false),
        ("\\bfoo\\b", "a foo b", true),
        ("\\bfoo\\b", "éfoo", true),
        ("a\\Bb", "ab", true),
        ("^\\pL+$", "äß", true),
        ("^\\p{^Greek}$", "a", true),
        ("^\\x{263a}\\x41\\101$", "\u{263a}AA", true),
        ("^(?P<1a>x)(?<y>z)$", "xz", true),
        ("^[[:alpha:]-]+$", "a-b", true),
        ("^\\<\\_$", "<_", true),
        ("^a{2,}?$", "aaa", true),
        ("a$", "a\n", false),
        ("x*", "", true),
        (
            "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$",
            "a.b-c",
            true,
        ),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(found(pattern, text), expected, "{pattern} in {text:?}");
    }
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_go() {
    let cases = [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("(|*a)", "missing argument to repetition operator: `*`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?z)y", "invalid or unsupported Perl syntax: `(?z`"),
        ("(?i-)y", "invalid or unsupported Perl syntax: `(?i-)`"),
        ("(?<=x)y", "invalid named capture: `(?<=x)y`"),
        ("(?P<a-b>x)", "invalid named capture: `(?P<a-b>`"),
        ("[a", "missing closing ]: `[a`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        ("\\p{Foo}", "invalid character class range: `\\p{Foo}`"),
        ("\\pZZ|\\p{", "invalid character class range: `\\p{`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("\\k", "invalid escape sequence: `\\k`"),
        ("(a)\\1", "invalid escape sequence: `\\1`"),
        ("\\xg1", "invalid escape sequence: `\\xg1`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a*?+", "invalid nested repetition operator: `*?+`"),
        ("a{2000}", "invalid repeat count: `{2000}`"),
        ("a{5,2}", "invalid repeat count: `{5,2}`"),
        ("(a{100}){100}", "invalid repeat count: `{100}`"),
    ];
    for (pattern, told) in cases {
        let pattern = Pattern::new(pattern.to_owned());
        let told = format!("error parsing regexp: {told}");
        assert_eq!(pattern.check(), Err(told), "{}", pattern.text());
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_taken_or_refused(pattern in "[a-c(){}\\[\\]*+?|\\\\^$.,0-9:<>=!pPdwsQExz-]{0,14}") {
        let pattern = Pattern::new(pattern);
        let _ = pattern.found_in("abc");
        // What Go takes is compiled.
        if pattern.check().is_ok() && !pattern.text().contains("(?") {
            assert!(compile(pattern.text()).is_some(), "{}", pattern.text());
        }
    }
}
