//! Golden cases: `x.yaml` with questions in `x.ask`, one request a line; `x.routes` says what
//! becomes of each, `x.status` which problems the objects have.

use gateway::{Action, RequestHead, Settings, plan, select};
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
