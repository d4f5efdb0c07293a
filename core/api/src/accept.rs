//! Content negotiation: in which form a client wants its answer, and what form its body has.

use crate::answer;
use model::ApiError;
use schema::Kind;

/// Encoding of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`
    #[default]
    Json,
    /// `application/yaml`
    Yaml,
}

impl Encoding {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

/// What an object is turned into on its way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transform {
    /// The object itself
    #[default]
    None,
    /// `as=Table`, in this version of `meta.k8s.io`
    Table(&'static str),
    /// `as=PartialObjectMetadata` or `…List`, in this version
    Partial(&'static str),
}

/// The form of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    /// How it is written
    pub encoding: Encoding,
    /// What it is turned into
    pub transform: Transform,
}

struct Clause<'a> {
    media: &'a str,
    params: Vec<(&'a str, &'a str)>,
    quality: f64,
}

/// The clauses of an `Accept` header, best first.
fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut all: Vec<Clause<'_>> = header
        .split(',')
        .map(str::trim)
        .filter(|clause| !clause.is_empty())
        .map(|clause| {
            let mut parts = clause.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let params: Vec<_> = parts
                .map(|part| part.split_once('=').unwrap_or((part, "")))
                .collect();
            let quality = params.iter().find(|(key, _)| *key == "q");
            let quality = quality.and_then(|(_, q)| q.parse().ok()).unwrap_or(1.0);
            Clause {
                media,
                params,
                quality,
            }
        })
        .collect();
    all.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    all
}

fn not_acceptable() -> ApiError {
    ApiError::new(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    )
}

impl Accept {
    /// Picks the first clause that can be served.
    ///
    /// # Errors
    /// 406 with the list of what there is.
    pub fn parse(header: Option<&str>) -> Result<Self, ApiError> {
        let header = header.unwrap_or_default();
        if header.trim().is_empty() {
            return Ok(Self::default());
        }
        let found = clauses(header).iter().find_map(Self::of_clause);
        found.ok_or_else(not_acceptable)
    }

    /// The same, for kinds that no Table shows.
    ///
    /// # Errors
    /// 406 when a Table is wanted.
    pub fn without_tables(self) -> Result<Self, ApiError> {
        match self.transform {
            Transform::Table(_) => Err(not_acceptable()),
            _ => Ok(self),
        }
    }

    fn of_clause(clause: &Clause<'_>) -> Option<Self> {
        let encoding = match clause.media {
            "application/json" | "*/*" | "application/*" => Encoding::Json,
            "application/yaml" => Encoding::Yaml,
            _ => return None,
        };
        let param = |key: &str| {
            clause
                .params
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, v)| *v)
        };
        let transform = match param("as") {
            None => Transform::None,
            Some(wanted) => {
                let version = match (param("g"), param("v")) {
                    (Some("meta.k8s.io"), Some("v1")) => "v1",
                    (Some("meta.k8s.io"), Some("v1beta1")) => "v1beta1",
                    _ => return None,
                };
                match wanted {
                    "Table" => Transform::Table(version),
                    "PartialObjectMetadata" | "PartialObjectMetadataList" => {
                        Transform::Partial(version)
                    }
                    _ => return None,
                }
            }
        };
        Some(Self {
            encoding,
            transform,
        })
    }

    /// Whether the header asks for aggregated discovery first, and in which version.
    pub fn aggregated_discovery(header: Option<&str>) -> Option<&'static str> {
        for clause in clauses(header.unwrap_or_default()) {
            let param = |key: &str| {
                clause
                    .params
                    .iter()
                    .find(|(k, _)| *k == key)
                    .map(|(_, v)| *v)
            };
            match (clause.media, param("as"), param("g"), param("v")) {
                ("application/json" | "*/*" | "application/*", None, None, None) => return None,
                (
                    "application/json",
                    Some("APIGroupDiscoveryList"),
                    Some("apidiscovery.k8s.io"),
                    Some(version),
                ) => match version {
                    "v2" => return Some("v2"),
                    "v2beta1" => return Some("v2beta1"),
                    _ => {}
                },
                _ => {}
            }
        }
        None
    }
}

/// Form of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// Kubernetes' protobuf envelope
    Protobuf,
}

/// Form of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchForm {
    /// RFC 6902
    Json,
    /// RFC 7386
    Merge,
    /// Kubernetes' own
    Strategic,
    /// Server-side apply
    Apply,
}

fn media(header: Option<&str>) -> &str {
    header
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
}

/// Reads `Content-Type` of a create, update or delete.
///
/// # Errors
/// 415 with the list of what there is.
pub fn body_form(header: Option<&str>) -> Result<BodyForm, ApiError> {
    match media(header) {
        "" | "application/json" | "*/*" => Ok(BodyForm::Json),
        "application/yaml" => Ok(BodyForm::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(BodyForm::Protobuf),
        _ => Err(unsupported(
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// Reads `Content-Type` of a patch.
///
/// # Errors
/// 415 with the list of what there is.
pub fn patch_form(kind: &Kind, header: Option<&str>) -> Result<PatchForm, ApiError> {
    let custom = kind.custom().is_some();
    match media(header) {
        "application/json-patch+json" => Ok(PatchForm::Json),
        "application/merge-patch+json" => Ok(PatchForm::Merge),
        "application/strategic-merge-patch+json" if !custom => Ok(PatchForm::Strategic),
        "application/apply-patch+yaml" => Ok(PatchForm::Apply),
        // A schema does not say how lists would be merged.
        _ if custom => Err(unsupported(
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )),
        // The original's router refuses this one before anyone can say what there is.
        _ => Err(answer::unsupported_media_type()),
    }
}

fn unsupported(known: &str) -> ApiError {
    ApiError::new(
        415,
        "UnsupportedMediaType",
        format!(
            "the body of the request was in an unknown format - accepted media types include: {known}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_clause_that_can_be_served_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        for (header, encoding, transform) in [
            ("", Encoding::Json, Transform::None),
            ("*/*", Encoding::Json, Transform::None),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Encoding::Json,
                Transform::None,
            ),
            ("application/yaml", Encoding::Yaml, Transform::None),
            (
                "application/json;q=0.5,application/yaml",
                Encoding::Yaml,
                Transform::None,
            ),
            (table, Encoding::Json, Transform::Table("v1")),
            (
                "application/json;as=Nope;v=v1;g=meta.k8s.io,application/json",
                Encoding::Json,
                Transform::None,
            ),
        ] {
            assert_eq!(
                Accept::parse(Some(header)),
                Ok(Accept {
                    encoding,
                    transform
                }),
                "{header}"
            );
        }
        assert_eq!(
            Accept::parse(Some("text/html")).map_err(|e| e.code),
            Err(406)
        );
    }

    #[test]
    fn aggregated_discovery_is_asked_for_by_group_and_version() {
        let list =
            "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json";
        assert_eq!(Accept::aggregated_discovery(Some(list)), None);
        let list =
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert_eq!(Accept::aggregated_discovery(Some(list)), Some("v2"));
        assert_eq!(Accept::aggregated_discovery(Some("application/json")), None);
    }
}
