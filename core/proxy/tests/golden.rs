//! What Services make listen, case by case.

use proxy::{Settings, diff, plan};
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[test]
fn services_become_routes() {
    let settings = Settings {
        node_name: "here".to_owned(),
        ..Settings::default()
    };
    testkit::run_cases("tests/cases", |case| {
        let (desired, problems) = plan(&case.snapshot(), &settings);
        let mut text = String::new();
        for (frontend, route) in &desired.routes {
            let backends: Vec<String> = route.backends.iter().map(ToString::to_string).collect();
            let target = if backends.is_empty() {
                "refuse".to_owned()
            } else {
                backends.join(" ")
            };
            let _ = write!(text, "{frontend} {} {:?}", route.service, route.origin);
            let _ = write!(text, " {:?}: {target}", route.policy);
            if let Some(seconds) = route.affinity_seconds {
                let _ = write!(text, " (affinity {seconds} s)");
            }
            if let Some(ranges) = &route.source_ranges {
                let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
                let _ = write!(text, " (from {})", ranges.join(", "));
            }
            text.push('\n');
        }
        let problems: Vec<String> = problems
            .iter()
            .map(|problem| format!("{problem}\n"))
            .collect();
        let changes = diff(&desired, &BTreeMap::new());
        assert_eq!(changes.steps.len(), desired.routes.len());
        vec![("listens", text), ("problems", problems.concat())]
    });
}
