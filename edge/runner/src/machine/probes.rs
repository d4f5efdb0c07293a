//! When probes run and what their outcomes mean, with kubelet's thresholds.

use super::later;
use crate::spec::{Container, Probe};
use model::Timestamp;

/// First pause after a probe failed that has not succeeded yet, in milliseconds. It doubles up to
/// the period, so that a server that is up after half a second is not found after ten. Only
/// failures at the pace of `periodSeconds` count.
const IMPATIENT_MILLIS: i64 = 100;

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ProbeKind {
    Startup,
    Readiness,
    Liveness,
}

const KINDS: [ProbeKind; 3] = [
    ProbeKind::Startup,
    ProbeKind::Readiness,
    ProbeKind::Liveness,
];

impl ProbeKind {
    /// As in kubelet's messages.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }

    pub(crate) fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
        }
    }
}

/// What follows from an outcome.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// A failure to tell the user of
    pub(crate) complaint: Option<String>,
    /// The container has to be restarted
    pub(crate) give_up: bool,
}

/// The probes of one run of a container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probing {
    courses: [Course; 3],
}

#[derive(Clone, Copy, Debug, Default)]
struct Course {
    /// When it runs next
    next: Timestamp,
    /// From when on a failure counts
    counts_from: Timestamp,
    impatience: i64,
    under_way: bool,
    /// The last outcome, and how often in a row it came
    last: Option<bool>,
    row: u32,
    /// The verdict so far: thresholds passed
    result: Option<bool>,
}

impl Probing {
    /// Begins anew with a run of the container.
    pub(crate) fn begin(&mut self, container: &Container, now: Timestamp) {
        for kind in KINDS {
            let delay = kind
                .of(container)
                .and_then(|probe| probe.initial_delay_seconds);
            let first = now.plus_seconds(delay.unwrap_or(0).max(0));
            self.courses[kind as usize] = Course {
                next: first,
                counts_from: first,
                impatience: IMPATIENT_MILLIS,
                // An answer to a probe of the run before is told by its kind being idle.
                ..Course::default()
            };
        }
    }

    /// Past its startup probe, if it has one.
    pub(crate) fn started(&self, container: &Container) -> bool {
        let result = self.courses[ProbeKind::Startup as usize].result;
        container.startup_probe.is_none() || result == Some(true)
    }

    /// Found ready by its readiness probe, if it has one.
    pub(crate) fn ready(&self, container: &Container) -> bool {
        let result = self.courses[ProbeKind::Readiness as usize].result;
        container.readiness_probe.is_none() || result == Some(true)
    }

    /// Probes to run now; they count as under way from here on.
    pub(crate) fn due(&mut self, container: &Container, now: Timestamp) -> Vec<ProbeKind> {
        let due: Vec<ProbeKind> = KINDS
            .into_iter()
            .filter(|kind| self.wakes(*kind, container).is_some_and(|at| at <= now))
            .collect();
        for kind in &due {
            self.courses[*kind as usize].under_way = true;
        }
        due
    }

    /// When the next probe runs.
    pub(crate) fn next(&self, container: &Container) -> Option<Timestamp> {
        KINDS
            .into_iter()
            .filter_map(|kind| self.wakes(kind, container))
            .min()
    }

    fn wakes(&self, kind: ProbeKind, container: &Container) -> Option<Timestamp> {
        kind.of(container)?;
        let course = &self.courses[kind as usize];
        let wanted = match kind {
            ProbeKind::Startup => course.result.is_none(),
            ProbeKind::Readiness => self.started(container),
            ProbeKind::Liveness => self.started(container) && course.result != Some(false),
        };
        (wanted && !course.under_way).then_some(course.next)
    }

    /// Takes an outcome in; `None` when nobody asked for it in this run.
    pub(crate) fn record(
        &mut self,
        kind: ProbeKind,
        container: &Container,
        outcome: Result<(), String>,
        now: Timestamp,
    ) -> Option<Verdict> {
        let probe = kind.of(container)?;
        let course = &mut self.courses[kind as usize];
        if !std::mem::take(&mut course.under_way) {
            return None;
        }
        let ok = outcome.is_ok();
        let counts = ok || now >= course.counts_from;
        course.schedule(kind, probe, ok, now);
        let complaint = outcome.err().filter(|_| counts);
        if counts {
            course.count(probe, ok);
        }
        let failed = course.result == Some(false);
        Some(Verdict {
            complaint,
            give_up: failed && kind != ProbeKind::Readiness,
        })
    }
}

impl Course {
    fn schedule(&mut self, kind: ProbeKind, probe: &Probe, ok: bool, now: Timestamp) {
        let period = probe.period_millis();
        let impatient = !ok && self.result != Some(true) && kind != ProbeKind::Liveness;
        let pause = if impatient {
            let pause = self.impatience.min(period);
            self.impatience = pause * 2;
            pause
        } else {
            period
        };
        if !ok && now >= self.counts_from {
            self.counts_from = later(now, period);
        }
        self.next = later(now, pause);
        if !ok {
            // The failures that count keep their pace.
            self.next = self.next.min(self.counts_from);
        }
    }

    fn count(&mut self, probe: &Probe, ok: bool) {
        self.row = if self.last == Some(ok) {
            self.row + 1
        } else {
            1
        };
        self.last = Some(ok);
        let threshold = if ok {
            probe.success_threshold.unwrap_or(1)
        } else {
            probe.failure_threshold.unwrap_or(3)
        };
        if self.row >= threshold.max(1) {
            self.result = Some(ok);
        }
    }
}
