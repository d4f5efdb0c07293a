//! Which Ingresses are ours.

use crate::global::Settings;
use crate::problem;
use model::{Ingress, Problem, Severity, Snapshot};

/// The annotation that was the class before `spec.ingressClassName`.
pub const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Whether an Ingress is ours; the Problem says why not, where its author may not expect it.
pub(crate) fn resolve(
    ingress: &Ingress,
    snapshot: &Snapshot,
    settings: &Settings,
) -> Result<(), Option<Box<Problem>>> {
    if let Some(name) = &ingress.class_name {
        return match snapshot.ingress_classes.get(name.as_str()) {
            Some(class) if class.controller == settings.controller => Ok(()),
            Some(class) => {
                let field = "spec.ingressClassName";
                let who = class.controller.as_str();
                Err(Some(Box::new(foreign(
                    ingress, field, name, who, snapshot, settings,
                ))))
            }
            None => {
                let problem = no_such_class(ingress, name, snapshot, settings);
                Err(Some(Box::new(problem)))
            }
        };
    }
    match ingress.meta.annotations.get(CLASS_ANNOTATION) {
        Some(class) if *class == settings.annotation_class => Ok(()),
        Some(class) => {
            let field = format!("metadata.annotations[{CLASS_ANNOTATION}]");
            let known = snapshot.ingress_classes.get(class.as_str());
            let who = known.map_or("", |class| class.controller.as_str());
            Err(Some(Box::new(foreign(
                ingress, &field, class, who, snapshot, settings,
            ))))
        }
        None if settings.watch_without_class => Ok(()),
        None => Err(Some(Box::new(no_class(ingress, snapshot, settings)))),
    }
}

fn our_class(snapshot: &Snapshot, settings: &Settings) -> String {
    let ours = snapshot
        .ingress_classes
        .iter()
        .find(|(_, class)| class.controller == settings.controller);
    ours.map_or_else(
        || settings.annotation_class.clone(),
        |(name, _)| name.to_string(),
    )
}

fn no_such_class(
    ingress: &Ingress,
    name: &str,
    snapshot: &Snapshot,
    settings: &Settings,
) -> Problem {
    problem::ingress(
        ingress,
        "spec.ingressClassName".to_owned(),
        Severity::Error,
        "NoController",
        format!("There is no IngressClass {name:?}, so no controller serves this Ingress."),
        &format!(
            "Set spec.ingressClassName to {:?}, or create the IngressClass.",
            our_class(snapshot, settings)
        ),
    )
}

/// A class of somebody else's: a warning when an IngressClass says whose, an error when nothing does.
fn foreign(
    ingress: &Ingress,
    field: &str,
    class: &str,
    controller: &str,
    snapshot: &Snapshot,
    settings: &Settings,
) -> Problem {
    let ours = our_class(snapshot, settings);
    let (severity, message) = if controller.is_empty() {
        let message = format!("No controller here serves Ingresses of class {class:?}.");
        (Severity::Error, message)
    } else {
        let message =
            format!("Class {class:?} belongs to controller {controller:?}, which is not this one.");
        (Severity::Warning, message)
    };
    problem::ingress(
        ingress,
        field.to_owned(),
        severity,
        "NoController",
        message,
        &format!("Run the controller of that class, or set spec.ingressClassName to {ours:?}."),
    )
}

fn no_class(ingress: &Ingress, snapshot: &Snapshot, settings: &Settings) -> Problem {
    problem::ingress(
        ingress,
        "spec.ingressClassName".to_owned(),
        Severity::Error,
        "NoController",
        "The Ingress has no class, so no controller serves it.".to_owned(),
        &format!(
            "Set spec.ingressClassName to {:?}.",
            our_class(snapshot, settings)
        ),
    )
}
