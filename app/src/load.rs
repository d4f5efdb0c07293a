//! Reads YAML and JSON files of objects.

use anyhow::{Context, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One object and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loaded {
    /// The file
    pub(crate) path: PathBuf,
    /// Place among the file's documents, from 1
    pub(crate) document: usize,
    /// The object
    pub(crate) object: Value,
}

impl Loaded {
    /// Whether others need it before they can be created: a Namespace or a kind's definition.
    pub(crate) fn comes_first(&self) -> bool {
        let kind = self.object["kind"].as_str().unwrap_or_default();
        matches!(kind, "Namespace" | "CustomResourceDefinition")
    }

    /// The kind that it defines, if it is a definition.
    pub(crate) fn defines(&self) -> Option<&str> {
        let is_definition = self.object["kind"] == "CustomResourceDefinition";
        let kind = self.object["spec"]["names"]["kind"].as_str();
        kind.filter(|_| is_definition)
    }
}

/// What could be read, and an error for each file or document that could not.
#[derive(Debug, Default)]
pub(crate) struct Loading {
    pub(crate) objects: Vec<Loaded>,
    pub(crate) errors: Vec<anyhow::Error>,
}

/// Longest file that is read.
const FILE_BYTES: u64 = 64 << 20;

/// Reads every object of these files and directories. A broken file costs itself alone;
/// directories are read in order of name, one level deep, as kubectl does.
pub(crate) fn load(paths: &[PathBuf]) -> Loading {
    let mut loading = Loading::default();
    for path in paths {
        match files(path) {
            Ok(files) => files.iter().for_each(|file| loading.read(file)),
            Err(error) => loading.errors.push(error),
        }
    }
    loading
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let meta = std::fs::metadata(path);
    let meta = meta.with_context(|| format!("cannot read {}", path.display()))?;
    if meta.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries =
        std::fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| {
            file.extension()
                .is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
        })
        .collect();
    if files.is_empty() {
        bail!("{} holds no .yaml, .yml or .json file", path.display());
    }
    files.sort();
    Ok(files)
}

impl Loading {
    fn read(&mut self, path: &Path) {
        match read_file(path) {
            Ok(documents) => {
                for (index, document) in documents.into_iter().enumerate() {
                    self.take(path, index + 1, document);
                }
            }
            Err(error) => self.errors.push(error),
        }
    }

    fn take(&mut self, path: &Path, document: usize, value: Value) {
        if value.is_null() {
            return;
        }
        let is_list = value["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("List"));
        if is_list && let Value::Array(items) = &value["items"] {
            items
                .iter()
                .for_each(|item| self.take(path, document, item.clone()));
            return;
        }
        for field in ["apiVersion", "kind"] {
            if value[field].as_str().is_none_or(str::is_empty) {
                self.errors.push(anyhow::anyhow!(
                    "{}, document {document}: {field} is missing",
                    path.display()
                ));
                return;
            }
        }
        self.objects.push(Loaded {
            path: path.to_owned(),
            document,
            object: value,
        });
    }
}

fn read_file(path: &Path) -> anyhow::Result<Vec<Value>> {
    let size = std::fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    if size > FILE_BYTES {
        bail!("{} is longer than {FILE_BYTES} bytes", path.display());
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

/// All documents of a text, JSON or YAML.
///
/// # Errors
/// The parser's words, with line and column.
pub(crate) fn parse(text: &str) -> Result<Vec<Value>, String> {
    if text.trim_start().starts_with('{') {
        let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        return documents
            .map(|document| document.map_err(|e| e.to_string()))
            .collect();
    }
    serde_saphyr::from_multiple(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_costs_itself_alone() {
        let dir = std::env::temp_dir().join(format!("portolan-load-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
        write(
            "a.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n---\nkind: X\n",
        );
        write("b.yaml", "a: [\n");
        write(
            "c.json",
            r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod"}]}"#,
        );
        write("ignored.txt", "");
        let loading = load(&[dir.clone(), dir.join("missing.yaml")]);
        std::fs::remove_dir_all(&dir).unwrap();
        let kinds: Vec<&str> = loading
            .objects
            .iter()
            .map(|l| l.object["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["Namespace", "Pod"]);
        let errors: Vec<String> = loading.errors.iter().map(|e| format!("{e:#}")).collect();
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(
            errors[0].contains("a.yaml, document 2: apiVersion is missing"),
            "{errors:?}"
        );
        assert!(errors[1].contains("b.yaml"), "{errors:?}");
        assert!(errors[2].contains("missing.yaml"), "{errors:?}");
    }
}
