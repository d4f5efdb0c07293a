//! The YAML in the documentation works: every block is planned, and none has an error.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The blocks that begin with ```yaml, with the number of their first line.
fn yaml_blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line) {
            (None, "```yaml") => open = Some((index + 2, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, block)), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).expect("docs");
    let mut pages: Vec<PathBuf> = docs.map(|entry| entry.expect("an entry").path()).collect();
    pages.push(root().join("README.md"));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages
}

#[test]
fn every_yaml_block_plans_without_an_error() {
    let mut planned = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for (line, block) in yaml_blocks(&text) {
            let name = format!("portolan-docs-{}-{planned}.yaml", std::process::id());
            let file = std::env::temp_dir().join(name);
            std::fs::write(&file, block).expect("a file");
            let mut plan = Command::new(env!("CARGO_BIN_EXE_portolan"));
            let output = plan
                .args(["plan", "-o", "json", "-f"])
                .arg(&file)
                .output()
                .expect("plan");
            std::fs::remove_file(&file).expect("the file goes");
            let at = format!("{}:{line}", page.display());
            let plan: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
                panic!("{at}: {e}: {}", String::from_utf8_lossy(&output.stderr))
            });
            let problems = plan["problems"].as_array().expect("problems");
            let errors: Vec<&Value> = problems
                .iter()
                .filter(|p| p["severity"] == "error")
                .collect();
            assert!(errors.is_empty(), "{at}: {errors:#?}");
            planned += 1;
        }
    }
    assert!(planned >= 3, "only {planned} blocks were found");
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).expect("a page");
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|heading| slug(heading) == anchor);
                assert!(found, "{}: {link}: no such heading", page.display());
            }
        }
    }
}

/// The anchor of a heading, as pages on the web make it.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter_map(|c| match c {
        ' ' | '-' => Some('-'),
        c if c.is_alphanumeric() || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}
