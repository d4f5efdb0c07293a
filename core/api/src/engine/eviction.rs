//! POST of an `Eviction`: a delete that disruption budgets may hold up.
//!
//! Source: `pkg/registry/core/pod/storage/eviction.go`.

use super::pod::{body_kind, success};
use super::{Engine, Outcome, Scope, body};
use crate::query::{DeleteOptions, WriteOptions};
use crate::{answer, meta};
use model::{ApiError, Event, Object, Resource, View};
use serde_json::{Value, json};
use std::sync::Arc;

/// A budget that waits for so many deletes is stuck.
const MOST_DISRUPTED: usize = 2000;
const CONDITION: &str = "DisruptionAllowed";

impl Engine {
    /// POST of `/eviction`.
    pub(super) fn evict(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, ApiError> {
        let options = WriteOptions::parse(&scope.request.query, "CreateOptions")?;
        scope.dry_run = options.dry_run;
        let kind = body_kind(scope, "policy/v1", "Eviction")?;
        let request = scope.request;
        let (eviction, warnings) =
            body::decode(scope, &kind, &request.payload, options.validation)?;
        let name = meta::text(&eviction, "name");
        if !name.is_empty() && name != request.name {
            return Err(answer::bad_request(
                "name in URL does not match name in Eviction object",
            ));
        }
        let pod = self.get(Resource::PODS, &request.namespace, &request.name);
        let pod = pod.ok_or_else(|| ApiError::not_found(Resource::PODS, &request.name))?;
        let given = Some(&eviction["deleteOptions"]).filter(|given| given.is_object());
        let mut delete = DeleteOptions::parse(&request.query, given.or(Some(&Value::Null)))?;
        scope.dry_run |= delete.dry_run;
        let mut events = self.ask_budgets(scope, &pod)?;
        let pod = self.announce(scope, &pod, &mut delete, &mut events)?;
        let deletion = self.delete_one(scope, &pod, &delete)?;
        events.extend(deletion.events);
        Ok(success(warnings, events))
    }

    /// Takes the eviction off the budget that the Pod is under.
    fn ask_budgets(&mut self, scope: &Scope<'_>, pod: &Object) -> Result<Vec<Event>, ApiError> {
        let value = pod.value();
        if is_free(&value) {
            return Ok(Vec::new());
        }
        let resource = Resource::DISRUPTION_BUDGETS;
        let mut budgets = self.list(resource, Some(&pod.meta.namespace));
        budgets.retain(|budget| {
            let selector = &budget.value()["spec"]["selector"];
            selector.is_object() && registry::selects(selector, &value["metadata"]["labels"])
        });
        let [budget] = budgets.as_slice() else {
            if budgets.is_empty() {
                return Ok(Vec::new());
            }
            return Err(answer::plain_500(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource \
                 does not support.",
            ));
        };
        let mut stored = budget.value();
        if !is_ready(&value) && harms_nobody(&stored) {
            return Ok(Vec::new());
        }
        check(&stored, &budget.meta)?;
        if scope.dry_run {
            return Ok(Vec::new());
        }
        charge(&mut stored, &pod.meta.name, scope.env.now);
        let event = self.put(resource, stored, Some(budget.clone()))?;
        Ok(vec![event])
    }

    /// Writes into the Pod why it goes.
    fn announce(
        &mut self,
        scope: &Scope<'_>,
        pod: &Arc<Object>,
        delete: &mut DeleteOptions,
        events: &mut Vec<Event>,
    ) -> Result<Arc<Object>, ApiError> {
        if scope.dry_run {
            return Ok(pod.clone());
        }
        super::delete::check_preconditions(scope, pod, delete)?;
        let mut value = pod.value();
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting", "lastTransitionTime": scope.env.now.rfc3339(),
        });
        if !set_condition(&mut value["status"], condition) {
            return Ok(pod.clone());
        }
        if let Some(kind) = scope.registry().stored(Resource::PODS).cloned() {
            scope.registry().normalise(&kind, &mut value);
        }
        let event = self.put(Resource::PODS, value, Some(pod.clone()))?;
        let changed = event.object.clone();
        events.push(event);
        if delete.resource_version.is_some() {
            delete.resource_version = Some(changed.meta.resource_version.to_string());
        }
        Ok(changed)
    }
}

/// Puts a condition into a status; false when it is there already.
fn set_condition(status: &mut Value, condition: Value) -> bool {
    if !status.is_object() {
        *status = json!({});
    }
    let list = &mut status["conditions"];
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else {
        return false;
    };
    match list.iter_mut().find(|one| one["type"] == condition["type"]) {
        Some(old) if old["status"] == condition["status"] => return false,
        Some(old) => *old = condition,
        None => list.push(condition),
    }
    true
}

/// A Pod that no budget protects: it does not run yet, or no more.
fn is_free(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    matches!(phase, "Succeeded" | "Failed" | "Pending")
        || !pod["metadata"]["deletionTimestamp"].is_null()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn number(budget: &Value, key: &str) -> i64 {
    budget["status"][key].as_i64().unwrap_or(0)
}

/// A Pod that is not healthy may go when the others are enough, or always.
fn harms_nobody(budget: &Value) -> bool {
    let (have, need) = (
        number(budget, "currentHealthy"),
        number(budget, "desiredHealthy"),
    );
    budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" || (have >= need && need > 0)
}

fn check(budget: &Value, meta: &model::Meta) -> Result<(), ApiError> {
    let name = &meta.name;
    if number(budget, "observedGeneration") < meta.generation {
        let text = format!("The disruption budget {name} is still being processed by the server.");
        return Err(too_many(text, 10));
    }
    let allowed = number(budget, "disruptionsAllowed");
    let disrupted = budget["status"]["disruptedPods"].as_object();
    let refuse = |why: &str| {
        let message = format!("poddisruptionbudget.policy \"{name}\" is forbidden: {why}");
        let details = json!({"name": &**name, "group": "policy", "kind": "poddisruptionbudget"});
        Err(ApiError {
            details: Some(details),
            ..ApiError::new(403, "Forbidden", message)
        })
    };
    if allowed < 0 {
        return refuse("pdb disruptions allowed is negative");
    }
    if disrupted.is_some_and(|pods| pods.len() > MOST_DISRUPTED) {
        return refuse(
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        );
    }
    if allowed == 0 {
        return Err(too_many(why_not(budget, name), 0));
    }
    Ok(())
}

fn why_not(budget: &Value, name: &str) -> String {
    let conditions = budget["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let condition = conditions.find(|one| one["type"] == CONDITION && one["status"] == "False");
    let text = |key: &str| {
        let text = condition.and_then(|condition| condition[key].as_str());
        text.unwrap_or_default()
    };
    let (have, need) = (
        number(budget, "currentHealthy"),
        number(budget, "desiredHealthy"),
    );
    let (reason, message) = (text("reason"), text("message"));
    if reason == "SyncFailed" && !message.is_empty() {
        return format!(
            "The disruption budget {name} does not allow evicting pods currently because it \
             failed sync: {message}"
        );
    }
    if have <= need {
        return format!(
            "The disruption budget {name} needs {need} healthy pods and has {have} currently"
        );
    }
    let text = format!("The disruption budget {name} does not allow evicting pods currently");
    if message.is_empty() {
        text
    } else {
        format!("{text} ({reason}): {message}")
    }
}

fn too_many(cause: String, retry_after: u64) -> ApiError {
    let mut details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
    if retry_after > 0 {
        details["retryAfterSeconds"] = retry_after.into();
    }
    ApiError {
        details: Some(details),
        ..ApiError::new(
            429,
            "TooManyRequests",
            "Cannot evict pod as it would violate the pod's disruption budget.",
        )
    }
}

/// One disruption less, until the controller has counted again.
fn charge(budget: &mut Value, pod: &str, now: model::Timestamp) {
    let left = number(budget, "disruptionsAllowed") - 1;
    let generation = number(budget, "observedGeneration");
    let status = &mut budget["status"];
    status["disruptionsAllowed"] = left.into();
    status["disruptedPods"][pod] = now.rfc3339().into();
    if left == 0 {
        let condition = json!({
            "type": CONDITION, "status": "False", "reason": "InsufficientPods", "message": "",
            "observedGeneration": generation, "lastTransitionTime": now.rfc3339(),
        });
        set_condition(status, condition);
    }
}
