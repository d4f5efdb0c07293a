//! Golden cases: the objects of `x.yaml`, the questions of `x.ask`, the answers in `x.dns`.
//!
//! A line of `x.ask` is `NAME [TYPE] [tcp] [edns=OCTETS] [do] [class=NUMBER] [opcode=NUMBER]`, or
//! `raw HEX` for a whole message.

use dns::{Answer, Settings, Transport, Zone, answer, describe, records, rtype};

#[test]
fn answers_are_as_recorded() {
    testkit::run_cases("tests/cases", |case| {
        let snapshot = case.snapshot();
        let zone = Zone::build(Settings::new(1), &snapshot);
        let questions = case.input("ask").expect("a case has questions");
        let mut out = String::new();
        for question in questions.lines().filter(|line| !line.is_empty()) {
            out.push_str(&format!("> {question}\n{}\n", ask(&zone, question)));
        }
        let mut listed = String::new();
        for id in snapshot.services.keys() {
            for record in records(&snapshot, id, &Settings::new(1)) {
                listed.push_str(&format!("{record}\n"));
            }
            for problem in dns::problems(&snapshot, id, &Settings::new(1)) {
                listed.push_str(&format!("; {problem}\n"));
            }
        }
        vec![("dns", out), ("records", listed)]
    });
}

fn ask(zone: &Zone, question: &str) -> String {
    let (message, transport) = message(question);
    let mut out = Vec::new();
    match answer(zone, &message, transport, 0, &mut out) {
        Answer::Reply => describe(&out),
        Answer::Shared(_) => format!(";; shared\n{}", describe(&out)),
        Answer::Drop => ";; no reply\n".to_owned(),
        Answer::Forward(forward) => {
            let key = &forward.key;
            let kind = rtype::type_name(key.qtype);
            let dnssec = if key.dnssec { " do" } else { "" };
            format!(";; forward {} {kind}{dnssec}\n", key.name)
        }
    }
}

fn message(question: &str) -> (Vec<u8>, Transport) {
    if let Some(hex) = question.strip_prefix("raw ") {
        let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
        let bytes = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8);
        return (bytes.collect(), Transport::Udp);
    }
    let mut words = question.split_whitespace();
    let name = dns::Name::parse(words.next().unwrap_or_default()).expect("a name");
    let (mut kind, mut class, mut opcode) = (rtype::A, 1, 0);
    let (mut transport, mut edns, mut dnssec) = (Transport::Udp, None, false);
    for word in words {
        match word.split_once('=') {
            Some(("edns", size)) => edns = size.parse().ok(),
            Some(("class", number)) => class = number.parse().expect("a class"),
            Some(("opcode", number)) => opcode = number.parse().expect("a number"),
            _ if word == "tcp" => transport = Transport::Tcp,
            _ if word == "do" => dnssec = true,
            _ => kind = rtype::type_number(word).expect("a type"),
        }
    }
    let flags = 0x0100u16 | opcode << 11;
    let mut message = vec![0x12, 0x34];
    for number in [flags, 1, 0, 0, u16::from(edns.is_some())] {
        message.extend_from_slice(&number.to_be_bytes());
    }
    message.extend_from_slice(name.as_wire());
    for number in [kind, class] {
        message.extend_from_slice(&number.to_be_bytes());
    }
    if let Some(size) = edns {
        let size: u16 = size;
        let [high, low] = size.to_be_bytes();
        let flag = if dnssec { 0x80 } else { 0 };
        message.extend_from_slice(&[0, 0, 41, high, low, 0, 0, flag, 0, 0, 0]);
    }
    (message, transport)
}
