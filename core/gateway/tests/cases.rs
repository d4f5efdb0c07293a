//! Golden cases: `x.yaml` with questions in `x.ask`, one request a line; `x.routes` says what
//! becomes of each, `x.status` which problems the objects have.

use gateway::{Action, RequestHead, Settings, explain, plan, select};
use std::fmt::Write as _;

#[test]
fn requests_go_where_the_cases_say() {
    testkit::run_cases("tests/cases", |case| {
        let snapshot = case.snapshot();
        let (table, problems) = plan(&snapshot, &Settings::default());
        let mut routes = String::new();
        for line in case.input("ask").unwrap_or_default().lines() {
            let answer = answer(&table, line);
            let _ = writeln!(routes, "{line} -> {answer}");
        }
        let mut status = String::new();
        for problem in problems {
            let _ = writeln!(status, "{} {problem}", problem.reason);
        }
        vec![("routes", routes), ("status", status)]
    });
}

#[test]
fn an_explanation_names_the_rule_that_won_and_why_the_others_lost() {
    let yaml = std::fs::read_to_string("tests/cases/paths.yaml").expect("the case");
    let snapshot = testkit::snapshot(&yaml);
    let (table, _) = plan(&snapshot, &Settings::default());
    let told = explain(&table, &snapshot, "h.test", "/foo/deep/x", false);
    assert_eq!(told.service.as_deref(), Some("d/a:87"));
    let rule = told.steps.iter().find(|step| step.stage == "rule");
    let rule = rule.expect("a rule");
    assert!(
        rule.text.contains("d/newer spec.rules[0].http.paths[1]"),
        "{rule:?}"
    );
    let lost = |text: &str| told.lost.iter().any(|line| line.contains(text));
    assert!(
        lost("(Prefix /foo): a more specific path matches"),
        "{:?}",
        told.lost
    );
    assert!(
        lost("(Exact /foo): the path is not equal"),
        "{:?}",
        told.lost
    );
    assert!(
        lost("(Prefix /slash/): the path does not begin"),
        "{:?}",
        told.lost
    );

    let nowhere = explain(&table, &snapshot, "nowhere.test", "/", false);
    assert_eq!(nowhere.status, Some(503));
    let broken = nowhere
        .steps
        .iter()
        .find(|step| !step.ok)
        .expect("a broken link");
    assert!(broken.text.contains("does not exist"), "{broken:?}");
}

/// `METHOD URL` → where it goes.
fn answer(table: &gateway::RouteTable, line: &str) -> String {
    let (method, url) = line.split_once(' ').expect("METHOD URL");
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let head = RequestHead::new(method, host, path, scheme == "https");
    let decision = select(table, &head);
    match decision.action {
        Action::Answer(answer) => {
            let location = answer.headers.get("location").unwrap_or_default();
            let text = format!("{} {}", answer.status, String::from_utf8_lossy(location));
            text.trim().to_owned()
        }
        Action::Forward(forward) => {
            let target = String::from_utf8_lossy(&forward.target).into_owned();
            format!("{} {target}", forward.backend)
        }
    }
}
