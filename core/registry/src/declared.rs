//! The shape that most kinds share: a spec that users write, a status that controllers write, a
//! generation that counts changes of the spec, perhaps a template of Pods.
//!
//! What is the same everywhere is written once here, as a [`Strategy`] for all [`Declared`].

use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, copy_field, ensure, remove, same, set};
use crate::work::podspec::{self, defaults, options::Options};
use crate::{Context, Strategy, Subresource};
use model::{ApiError, FieldError};
use serde_json::{Value, json};

/// What an object's checks may look at besides it.
pub(crate) struct Check<'a> {
    /// What is stored; `None` on create
    pub(crate) old: Option<&'a Value>,
    /// The request
    pub(crate) context: &'a Context<'a>,
}

impl Check<'_> {
    /// A text for the one who creates the object, not for those who change it.
    pub(crate) fn once(&self, text: &str) -> Vec<String> {
        match self.old {
            None => vec![text.to_owned()],
            Some(_) => Vec::new(),
        }
    }
}

/// What makes a kind different from others of this shape.
pub(crate) trait Declared: Sync {
    /// `SetDefaults_*` of all but the template.
    fn defaults(&self, object: &mut Value) {
        let _ = object;
    }

    /// Field names that lead to the template of Pods, if there is one.
    fn template(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Whether an object without a template stays without one.
    fn template_is_optional(&self) -> bool {
        false
    }

    /// Why `metadata.name` is no name for this kind.
    fn name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    /// The status of a new object; `None` for kinds without a status.
    fn new_status(&self, context: &Context<'_>) -> Option<Value> {
        let _ = context;
        Some(json!({}))
    }

    /// Fields whose changes the generation counts; none when there is no generation.
    fn counted(&self) -> &'static [&'static str] {
        &["spec"]
    }

    /// Whether a new object has no generation, so that its first change makes it 1.
    fn counts_from_first_change(&self) -> bool {
        false
    }

    /// Whether the generation goes up.
    fn is_change(&self, object: &Value, old: &Value) -> bool {
        let mut fields = self.counted().iter();
        fields.any(|field| !same(object.at(field), old.at(field)))
    }

    /// What the server writes into the object beyond status and generation, or takes out of it.
    fn prepare(&self, object: &mut Value, check: &Check<'_>) {
        let _ = (object, check);
    }

    /// As [`Declared::prepare`], for a write of the status.
    fn prepare_status(&self, object: &mut Value, check: &Check<'_>) {
        let _ = (object, check);
    }

    /// Admission plugins.
    ///
    /// # Errors
    /// The whole refusal.
    fn admission(&self, object: &mut Value, check: &Check<'_>) -> Result<(), ApiError> {
        let _ = (object, check);
        Ok(())
    }

    /// Admission plugins that only look, asked once the object is valid.
    ///
    /// # Errors
    /// The whole refusal.
    fn approve(&self, object: &Value, check: &Check<'_>) -> Result<(), ApiError> {
        let _ = (object, check);
        Ok(())
    }

    /// What is wrong with an object, on create and on update.
    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let _ = (errors, object, check);
    }

    /// What is wrong with a change of the status.
    fn check_status(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let _ = (errors, object, check);
    }

    /// Texts of `Warning` headers.
    fn tell(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        let _ = (object, check);
        Vec::new()
    }

    /// As [`Declared::tell`], after the warnings about the template.
    fn tell_last(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        let _ = (object, check);
        Vec::new()
    }

    /// Fields for selectors.
    fn selectable(&self, object: &Value) -> Vec<(&'static str, String)> {
        let _ = object;
        Vec::new()
    }

    /// Names of [`Declared::selectable`].
    fn selectable_names(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether dependents stay when a delete does not say what becomes of them.
    fn orphans(&self) -> bool {
        false
    }

    /// A warning about such a delete.
    fn tell_delete(&self) -> Option<&'static str> {
        None
    }

    /// Whether PUT of a missing object creates it.
    fn create_on_update(&self) -> bool {
        false
    }

    /// Whether PUT without a version is taken.
    fn unconditional(&self) -> bool {
        true
    }
}

/// Follows field names down.
fn down<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, field| value.at(field))
}

/// As [`down`], to be changed; `None` where something is missing.
fn down_mut<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    path.iter()
        .try_fold(value, |value, field| value.get_mut(field))
}

/// The path of a template.
pub(crate) fn template_path(fields: &[&str]) -> Path {
    fields
        .iter()
        .fold(Path::default(), |path, field| path.child(field))
}

/// How the template of an object is checked: faults that are stored already are taken.
pub(crate) fn template_options(old: Option<&Value>, fields: &[&str]) -> Options {
    match old.map(|old| down(old, fields)) {
        None => Options::create(false),
        Some(template) => Options::update(false, template.at("spec"), template.at("metadata")),
    }
}

/// Sets `metadata.generation`.
pub(crate) fn set_generation(object: &mut Value, generation: i64) {
    if let Some(metadata) = ensure(object, "metadata") {
        set(metadata, "generation", generation);
    }
}

/// Keeps the stored generation, one more when `changed`.
pub(crate) fn carry_generation(object: &mut Value, old: &Value, changed: bool) {
    let before = old.at("metadata").number("generation").unwrap_or(0);
    set_generation(object, before + i64::from(changed));
}

/// Takes the fields of the object over from what is stored.
pub(crate) fn keep(object: &mut Value, old: &Value, fields: &[&str]) {
    for field in fields {
        copy_field(object, old, field);
    }
}

fn default_template(object: &mut Value, fields: &[&str]) {
    let Some((last, parents)) = fields.split_last() else {
        return;
    };
    let template = down_mut(object, parents).and_then(|parent| ensure(parent, last));
    let Some(template) = template else { return };
    if let Some(metadata) = template.get_mut("metadata") {
        defaults::drop_init_annotations(metadata);
    }
    if let Some(spec) = ensure(template, "spec") {
        defaults::pod_spec(spec);
    }
}

fn drop_disabled(object: &mut Value, old: Option<&Value>, fields: &[&str]) {
    let template = down_mut(object, fields);
    if let Some(spec) = template.and_then(|template| template.get_mut("spec")) {
        let old = old.map(|old| down(old, fields).at("spec"));
        podspec::drop_disabled(spec, old);
    }
}

/// Warnings about a template: on create, and on update when the generation changed.
fn template_warnings(object: &Value, old: Option<&Value>, fields: &[&str]) -> Vec<String> {
    let generation = |object: &Value| object.at("metadata").number("generation");
    if old.is_some_and(|old| generation(old) == generation(object)) {
        return Vec::new();
    }
    let template = down(object, fields);
    podspec::warnings::of_template(template, &template_path(fields))
}

impl<R: Declared> Strategy for R {
    fn default(&self, object: &mut Value) {
        self.defaults(object);
        if let Some(fields) = self.template()
            && !(self.template_is_optional() && down(object, fields).is_null())
        {
            default_template(object, fields);
        }
    }

    fn prepare_create(&self, object: &mut Value, context: &Context<'_>) {
        if let Some(status) = self.new_status(context) {
            set(object, "status", status);
        }
        if !self.counted().is_empty() && !self.counts_from_first_change() {
            set_generation(object, 1);
        }
        if let Some(fields) = self.template() {
            drop_disabled(object, None, fields);
        }
        self.prepare(object, &Check { old: None, context });
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, context: &Context<'_>) {
        if self.new_status(context).is_some() {
            keep(object, old, &["status"]);
        }
        if let Some(fields) = self.template() {
            drop_disabled(object, Some(old), fields);
        }
        let check = Check {
            old: Some(old),
            context,
        };
        self.prepare(object, &check);
        let changed = self.is_change(object, old);
        let has_one = old.at("metadata").has("generation");
        if !self.counted().is_empty() && (changed || has_one) {
            carry_generation(object, old, changed);
        }
    }

    fn admit(
        &self,
        object: &mut Value,
        old: Option<&Value>,
        context: &Context<'_>,
    ) -> Result<(), ApiError> {
        self.admission(object, &Check { old, context })
    }

    fn approve(
        &self,
        object: &Value,
        old: Option<&Value>,
        context: &Context<'_>,
    ) -> Result<(), ApiError> {
        Declared::approve(self, object, &Check { old, context })
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        self.name(name, prefix)
    }

    fn validate(&self, object: &Value, context: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        self.check(&mut errors, object, &Check { old: None, context });
        errors.0
    }

    fn validate_update(
        &self,
        object: &Value,
        old: &Value,
        context: &Context<'_>,
    ) -> Vec<FieldError> {
        let mut errors = Errors::default();
        let check = Check {
            old: Some(old),
            context,
        };
        self.check(&mut errors, object, &check);
        errors.0
    }

    fn prepare_subresource(
        &self,
        subresource: Subresource,
        object: &mut Value,
        old: &Value,
        context: &Context<'_>,
    ) {
        if subresource != Subresource::Status {
            return;
        }
        let fields: Vec<String> = old
            .as_object()
            .into_iter()
            .chain(object.as_object())
            .flat_map(serde_json::Map::keys)
            .filter(|key| !matches!(key.as_str(), "metadata" | "status"))
            .cloned()
            .collect();
        for field in fields {
            copy_field(object, old, &field);
        }
        match old.at("metadata").number("generation") {
            Some(generation) => set_generation(object, generation),
            None => {
                if let Some(metadata) = object.get_mut("metadata") {
                    remove(metadata, "generation");
                }
            }
        }
        let check = Check {
            old: Some(old),
            context,
        };
        self.prepare_status(object, &check);
    }

    fn validate_subresource(
        &self,
        subresource: Subresource,
        object: &Value,
        old: &Value,
        context: &Context<'_>,
    ) -> Vec<FieldError> {
        let mut errors = Errors::default();
        if subresource == Subresource::Status {
            let check = Check {
                old: Some(old),
                context,
            };
            self.check_status(&mut errors, object, &check);
        }
        errors.0
    }

    fn warnings(&self, object: &Value, old: Option<&Value>, context: &Context<'_>) -> Vec<String> {
        let mut all = self.tell(object, &Check { old, context });
        if let Some(fields) = self.template() {
            all.extend(template_warnings(object, old, fields));
        }
        all.extend(self.tell_last(object, &Check { old, context }));
        all
    }

    fn orphans_by_default(&self) -> bool {
        self.orphans()
    }

    fn delete_warning(&self) -> Option<&'static str> {
        self.tell_delete()
    }

    fn allow_create_on_update(&self) -> bool {
        self.create_on_update()
    }

    fn allow_unconditional_update(&self) -> bool {
        self.unconditional()
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        self.selectable(object)
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        Declared::selectable_names(self)
    }
}
