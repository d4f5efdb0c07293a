//! `/healthz`, `/livez`, `/readyz`.

use super::{Answer, Call, Front};

const CHECKS: [&str; 4] = ["ping", "log", "etcd", "shutdown"];

/// Answers `/livez`, `/livez/CHECK` and the like; `None` for other paths.
pub(super) fn serve(front: &Front, call: &Call, segments: &[String]) -> Option<Answer> {
    let endpoint = segments.first().map(String::as_str)?;
    if !matches!(endpoint, "healthz" | "livez" | "readyz") {
        return None;
    }
    let passes = |check: &str| match check {
        "etcd" => front.hub.is_healthy(),
        "shutdown" => endpoint != "readyz" || !*front.stopping.borrow(),
        _ => true,
    };
    let rest: Vec<&str> = segments[1..]
        .iter()
        .map(String::as_str)
        .filter(|s| !s.is_empty())
        .collect();
    match rest[..] {
        [] => {}
        [check] if CHECKS.contains(&check) => {
            return Some(if passes(check) {
                Answer::text(200, "ok")
            } else {
                Answer::text(500, format!("internal server error: {check} failed\n"))
            });
        }
        _ => return Some(Answer::text(404, "404 page not found\n")),
    }
    let excluded: Vec<&str> = call.query.all("exclude").collect();
    let mut lines = String::new();
    let mut good = true;
    for check in CHECKS {
        let ok = passes(check);
        if excluded.contains(&check) {
            lines.push_str(&format!("[+]{check} excluded: ok\n"));
        } else if ok {
            lines.push_str(&format!("[+]{check} ok\n"));
        } else {
            good = false;
            lines.push_str(&format!("[-]{check} failed: reason withheld\n"));
        }
    }
    Some(if !good {
        Answer::text(500, format!("{lines}{endpoint} check failed\n"))
    } else if call.query.get("verbose").is_some() {
        Answer::text(200, format!("{lines}{endpoint} check passed\n"))
    } else {
        Answer::text(200, "ok")
    })
}
