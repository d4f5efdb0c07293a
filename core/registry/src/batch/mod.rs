//! Jobs and CronJobs. Source: `pkg/registry/batch`, `pkg/apis/batch/{v1,validation}`.

mod cron_job;
mod failure_policy;
mod indexes;
mod job;
mod job_spec;
mod job_status;
mod success_policy;

pub(crate) use cron_job::CronJobs;
pub(crate) use job::Jobs;
