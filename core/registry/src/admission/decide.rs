//! What the policies say to a write.

use super::access::Rights;
use super::compiled::{Expression, Policy};
use super::matching::{Surroundings, matched};
use super::variables::{Inputs, Variables};
use super::{Attributes, GROUP, params};
use crate::field::read::Read;
use cel::{AccessRequest, PER_CALL_LIMIT, Value as CelValue};
use model::{ApiError, Object, Resource, View};
use schema::{Kind, Registry};
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What all expressions of one policy may cost.
const BUDGET: u64 = 10_000_000;
/// What its match conditions may cost.
const CONDITIONS_BUDGET: u64 = 2_500_000;
/// Longer messages are replaced by the message that is written out.
const LONGEST_MESSAGE: usize = 5 * 1024;

const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// The stored policies, compiled, and their bindings.
#[derive(Clone, Default)]
pub struct Policies {
    policies: BTreeMap<String, Arc<Policy>>,
    bindings: BTreeMap<String, Arc<Value>>,
}

/// Why a request is refused.
struct Refusal {
    reason: String,
    text: String,
}

/// What one question to a policy came to: the messages of what failed.
type Failures = Vec<(String, String)>;

impl Policies {
    /// Takes an object in, in the place of what had its name before, or out when it was deleted.
    /// Objects of other resources change nothing.
    pub fn apply(&mut self, object: &Object, exists: bool) {
        let name = object.meta.name.to_string();
        if object.resource == Resource::VALIDATING_POLICIES {
            self.policies.remove(&name);
            if exists {
                let policy = Policy::new(&object.value());
                self.policies.insert(name, Arc::new(policy));
            }
        } else if object.resource == Resource::VALIDATING_POLICY_BINDINGS {
            self.bindings.remove(&name);
            if exists {
                self.bindings.insert(name, Arc::new(object.value()));
            }
        }
    }

    /// Whether nobody could refuse anything.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() || self.bindings.is_empty()
    }

    /// Asks all policies that are bound to such a request; returns warnings.
    ///
    /// # Errors
    /// The refusal by the first policy that refuses.
    pub fn admit(
        &self,
        attributes: &Attributes<'_>,
        view: &dyn View,
        registry: &Registry,
    ) -> Result<Vec<String>, ApiError> {
        if self.is_empty() || attributes.kind.group == GROUP {
            return Ok(Vec::new());
        }
        let surroundings = Surroundings { view, registry };
        let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
        for policy in self.policies.values() {
            self.ask(
                policy,
                attributes,
                &surroundings,
                &mut refusals,
                &mut warnings,
            );
        }
        match refusals.first() {
            Some(refusal) => {
                let error = attributes.denied(&refusal.reason, &refusal.text);
                Err(error.warned(warnings))
            }
            None => Ok(warnings),
        }
    }

    fn ask(
        &self,
        policy: &Policy,
        attributes: &Attributes<'_>,
        surroundings: &Surroundings<'_>,
        refusals: &mut Vec<Refusal>,
        warnings: &mut Vec<String>,
    ) {
        let bindings = self.bindings.values();
        let mut bindings = bindings.filter(|b| b.at("spec").text("policyName") == policy.name);
        let Some(first) = bindings.next() else {
            return;
        };
        let kind = match matched(&policy.constraints, attributes, surroundings) {
            Ok(Some(kind)) => kind,
            Ok(None) => return,
            Err(why) => {
                refusals.extend(unusable(policy, &why));
                return;
            }
        };
        if let Err(why) = params::kind(&policy.param_kind, surroundings) {
            refusals.extend(unusable(policy, &why));
            return;
        }
        let question = Question::new(policy, &kind, attributes, surroundings);
        for binding in std::iter::once(first).chain(bindings) {
            let (denied, warned) = question.ask(binding);
            refusals.extend(denied);
            warnings.extend(warned);
        }
    }
}

/// The refusal of a policy that cannot be asked, unless it ignores that.
fn unusable(policy: &Policy, why: &str) -> Option<Refusal> {
    let name = &policy.name;
    (!policy.ignores_failures).then(|| Refusal {
        reason: String::new(),
        text: format!(
            "ValidatingAdmissionPolicy '{name}' denied request: failed to configure policy: {why}"
        ),
    })
}

/// One policy, asked about one request.
struct Question<'q> {
    policy: &'q Policy,
    attributes: &'q Attributes<'q>,
    surroundings: &'q Surroundings<'q>,
    object: Value,
    old: Value,
    request: Value,
    namespace: Value,
}

impl<'q> Question<'q> {
    fn new(
        policy: &'q Policy,
        kind: &Arc<Kind>,
        attributes: &'q Attributes<'q>,
        surroundings: &'q Surroundings<'q>,
    ) -> Self {
        let shown = |value: &Option<Value>| {
            let mut value = value.clone().unwrap_or_default();
            if !value.is_null() {
                let registry = surroundings.registry;
                registry.convert(attributes.kind, kind, &mut value);
            }
            value
        };
        let namespace = match attributes.is_namespace() || attributes.namespace.is_empty() {
            true => None,
            false => surroundings
                .view
                .get(Resource::NAMESPACES, "", attributes.namespace),
        };
        Self {
            policy,
            attributes,
            surroundings,
            object: shown(&attributes.object),
            old: shown(&attributes.old),
            request: attributes.request(kind),
            namespace: namespace.map_or(Value::Null, |object| exposed(object.value())),
        }
    }

    /// The refusals and warnings that one binding makes of it.
    fn ask(&self, binding: &Value) -> (Vec<Refusal>, Vec<String>) {
        let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
        let (spec, name) = (binding.at("spec"), binding.at("metadata").text("name"));
        let policy = &self.policy.name;
        let denied = |reason: String, text: &str| Refusal {
            reason,
            text: format!(
                "ValidatingAdmissionPolicy '{policy}' with binding '{name}' denied request: {text}"
            ),
        };
        let failures = match self.failures(spec) {
            Ok(failures) => failures,
            Err(why) => {
                if !self.policy.ignores_failures {
                    let text = format!("failed to configure binding: {why}");
                    refusals.push(denied(String::new(), &text));
                }
                return (refusals, warnings);
            }
        };
        for (reason, text) in failures {
            for action in spec.texts("validationActions") {
                match action {
                    "Deny" => refusals.push(denied(reason.clone(), &text)),
                    "Warn" => warnings.push(format!(
                        "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding \
                         '{name}': {text}"
                    )),
                    _ => {}
                }
            }
        }
        (refusals, warnings)
    }

    /// What fails under one binding, for all parameters that it gives.
    fn failures(&self, spec: &Value) -> Result<Failures, String> {
        let constraints = spec.at("matchResources");
        if !constraints.is_null()
            && matched(constraints, self.attributes, self.surroundings)?.is_none()
        {
            return Ok(Vec::new());
        }
        let given = params::collect(
            &self.policy.param_kind,
            spec.at("paramRef"),
            self.attributes,
            self.surroundings,
        )?;
        let mut failures = Vec::new();
        for params in &given {
            match self.evaluate(params.as_ref()) {
                Ok(found) => failures.extend(found),
                Err(why) if !self.policy.ignores_failures => failures.push((String::new(), why)),
                Err(_) => {}
            }
        }
        Ok(failures)
    }

    fn inputs<'v>(&'v self, params: Option<&'v Value>, rights: bool) -> Inputs<'v> {
        let mut values = vec![
            ("object", CelValue::from_any(&self.object)),
            ("oldObject", CelValue::from_any(&self.old)),
            ("request", CelValue::from_any(&self.request)),
            ("namespaceObject", CelValue::from_any(&self.namespace)),
            ("params", params.map_or(CelValue::Null, CelValue::from_any)),
        ];
        if rights {
            let rights = Rc::new(Rights::new(self.surroundings.view, self.attributes.user));
            let check = AccessRequest {
                group: self.attributes.kind.group.clone(),
                resource: self.attributes.kind.plural.clone(),
                subresource: self.attributes.subresource.to_owned(),
                namespace: self.attributes.admission_namespace().to_owned(),
                name: self.attributes.name.to_owned(),
                ..AccessRequest::default()
            };
            let check = CelValue::resource_check(rights.clone(), check);
            values.push(("authorizer", CelValue::authorizer(rights)));
            values.push(("authorizer.requestResource", check));
        }
        Inputs { values }
    }

    /// What fails with these parameters.
    ///
    /// # Errors
    /// When the policy as a whole cannot be asked.
    fn evaluate(&self, params: Option<&Value>) -> Result<Failures, String> {
        if !self.conditions_hold(params)? {
            return Ok(Vec::new());
        }
        let mut budget = BUDGET;
        let values = Variables::new(self.policy, self.inputs(params, true));
        let validations = &self.policy.validations;
        let mut results = Vec::with_capacity(validations.len());
        for validation in validations {
            results.push(run(&validation.expression, &values, &mut budget)?);
        }
        let messages = self.messages(params, &mut budget);
        let mut failures = Vec::new();
        for (at, (validation, result)) in validations.iter().zip(results).enumerate() {
            match (result, &messages) {
                (Err(why), _) => self.fail(&mut failures, why),
                (Ok(_), Err(why)) => {
                    self.fail(&mut failures, format!("failed messageExpression: {why}"));
                }
                (Ok(CelValue::Bool(true)), _) => {}
                (Ok(_), Ok(messages)) => {
                    let said = messages.get(at).and_then(|text| text.as_deref());
                    let text = said.filter(|text| !text.is_empty());
                    let text = text.or(Some(&*validation.message).filter(|text| !text.is_empty()));
                    let text = text.map_or_else(
                        || format!("failed expression: {}", validation.expression.text.trim()),
                        str::to_owned,
                    );
                    failures.push((validation.reason.clone(), text));
                }
            }
        }
        self.annotations(params, &mut failures)?;
        Ok(failures)
    }

    fn fail(&self, failures: &mut Failures, why: String) {
        if !self.policy.ignores_failures {
            failures.push((String::new(), why));
        }
    }

    fn conditions_hold(&self, params: Option<&Value>) -> Result<bool, String> {
        let mut budget = CONDITIONS_BUDGET;
        let mut inputs = self.inputs(params, true);
        // Conditions are asked without the namespace.
        inputs.values.push(("namespaceObject", CelValue::Null));
        let values = Variables::new(self.policy, inputs);
        let (mut errors, mut holds) = (Vec::new(), true);
        for condition in &self.policy.conditions {
            match run(condition, &values, &mut budget) {
                Ok(Ok(CelValue::Bool(false))) => holds = false,
                Ok(Ok(_)) => {}
                Ok(Err(why)) => errors.push(why),
                Err(_) if self.policy.ignores_failures => return Ok(false),
                Err(why) => return Err(why),
            }
        }
        if !holds || errors.is_empty() {
            return Ok(holds);
        }
        if self.policy.ignores_failures {
            return Ok(false);
        }
        Err(match errors.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        })
    }

    /// The messages that expressions give; one that is no use is left out.
    fn messages(
        &self,
        params: Option<&Value>,
        budget: &mut u64,
    ) -> Result<Vec<Option<String>>, String> {
        let values = Variables::new(self.policy, self.inputs(params, false));
        let mut messages = Vec::new();
        for validation in &self.policy.validations {
            let Some(expression) = &validation.message_expression else {
                messages.push(None);
                continue;
            };
            let result = run(expression, &values, budget)?;
            let text = result
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned));
            let text = text.map(|text| text.trim().to_owned());
            messages.push(text.filter(|t| t.len() <= LONGEST_MESSAGE && !t.contains('\n')));
        }
        Ok(messages)
    }

    /// Audit annotations are computed for their failures only: there is no audit log.
    fn annotations(&self, params: Option<&Value>, failures: &mut Failures) -> Result<(), String> {
        let mut budget = BUDGET;
        let values = Variables::new(self.policy, self.inputs(params, true));
        for annotation in &self.policy.annotations {
            if let Err(why) = run(annotation, &values, &mut budget)? {
                self.fail(failures, why);
            }
        }
        Ok(())
    }
}

/// Evaluates one expression within what is left of the budget: its value, or why it has none.
///
/// # Errors
/// When the budget is spent.
fn run<'v>(
    expression: &Expression,
    values: &Rc<Variables<'v>>,
    budget: &mut u64,
) -> Result<Result<CelValue<'v>, String>, String> {
    let program = match &expression.program {
        Ok(program) => program,
        Err(why) => return Ok(Err(format!("compilation error: {why}"))),
    };
    let outcome = program.eval(&values.activation(), PER_CALL_LIMIT);
    let cost = outcome.cost.saturating_add(values.take_cost());
    let Some(left) = budget.checked_sub(cost) else {
        return Err(OUT_OF_BUDGET.to_owned());
    };
    *budget = left;
    Ok(outcome.result.map_err(|error| {
        format!(
            "expression '{}' resulted in error: {error}",
            expression.text
        )
    }))
}

/// The fields of a Namespace that policies see.
fn exposed(mut namespace: Value) -> Value {
    if let Some(meta) = namespace.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
        meta.remove("ownerReferences");
        meta.remove("selfLink");
    }
    namespace
}
