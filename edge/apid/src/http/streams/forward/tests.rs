use super::*;

#[test]
fn ports_are_read_from_the_query() {
    let read = |texts: &[&str]| ports(texts.iter().copied()).map_err(|error| error.message);
    assert_eq!(read(&["80", "81,82"]), Ok(vec![80, 81, 82]));
    assert_eq!(read(&[]), Ok(Vec::new()));
    assert_eq!(
        read(&["abc"]),
        Err("cannot convert to []int32: strconv.ParseUint: parsing \"abc\": invalid syntax".into())
    );
    assert!(read(&["0"]).is_err());
    assert!(
        read(&["70000"])
            .unwrap_err()
            .ends_with("value out of range")
    );
}
