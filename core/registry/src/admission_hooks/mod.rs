//! Webhook configurations. Source: `pkg/registry/admissionregistration`,
//! `pkg/apis/admissionregistration/validation`.

mod client;
mod rules;
mod webhooks;

pub(crate) use webhooks::{MutatingWebhooks, ValidatingWebhooks};
