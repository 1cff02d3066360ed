//! Samples as tables.

mod cgroups;
mod cpu_stats;
mod events;
mod format;
mod grid;
mod modes;
mod preemptions;
mod process_stats;
mod rates;
mod report;
mod sched_latency;
mod status;
mod value;

use std::{fmt::Write as _, sync::Arc};

use collector::metric::{
    AnyReading, AnySample, CpuStats, ProcessEvent, ProcessStats, SchedLatency, Status,
};

use super::output::Size;

pub(super) use events::{EVENTS_HEADER, event};
pub(super) use grid::{Grid, Side};
pub(super) use modes::modes;
pub(super) use report::report;
pub(super) use status::status;

use value::value;

/// A sample, with rates since the previous one if there is one. At most as many
/// lines as the size has, without a line break at the end.
pub(super) fn sample(sample: &AnySample, before: Option<&AnySample>, size: Size) -> String {
    if let Some(event) = sample.downcast::<ProcessEvent>().and_then(|s| s.data) {
        return events::event(&event, size);
    }
    let mut text = header(sample);
    let Some(data) = &sample.data else {
        return text;
    };
    let seconds = before.and_then(|before| seconds_between(before, sample));
    let body = if let Some(now) = sample.downcast::<ProcessStats>().and_then(|s| s.data) {
        let before = before.and_then(|s| s.downcast()?.data);
        process_stats::table(&now, before.as_deref().zip(seconds), size)
    } else if let Some(now) = sample.downcast::<CpuStats>().and_then(|s| s.data) {
        let before = before.and_then(|s| s.downcast()?.data);
        cpu_stats::table(&now, before.as_deref().zip(seconds), size)
    } else if let Some(now) = sample.downcast::<SchedLatency>().and_then(|s| s.data) {
        let before = before.and_then(|s| s.downcast()?.data);
        sched_latency::table(&now, before.as_deref(), size)
    } else {
        any(
            data,
            before.and_then(|before| before.data.as_ref()).zip(seconds),
            size,
        )
    };
    text.push('\n');
    text.push_str(&body);
    text
}

/// Any reading, with the rates of its counters since an earlier one.
fn any(
    data: &Arc<dyn AnyReading>,
    before: Option<(&Arc<dyn AnyReading>, f64)>,
    size: Size,
) -> String {
    let mut shown = match serde_json::to_value(data) {
        Ok(shown) => shown,
        Err(error) => return format!("cannot be shown: {error}"),
    };
    if let (Some(schema), Some((before, seconds))) = (data.schema(), before)
        && let Ok(before) = serde_json::to_value(before)
    {
        rates::rates(schema.record, &mut shown, &before, seconds);
    }
    value(&shown, size)
}

/// The metric, the time of the sample, its backend and its status.
fn header(sample: &AnySample) -> String {
    let time = humantime::format_rfc3339_seconds(sample.taken_at);
    let mut text = format!("{}  {time}", sample.metric.name());
    if let Some(backend) = sample.backend {
        let _ = write!(text, "  backend: {backend}");
    }
    match &sample.status {
        Status::Ok => {}
        Status::Stale { age, reason } => {
            let age = format::seconds(age.as_nanos() as u64);
            let reason = format::harmless(&reason.to_string());
            let _ = write!(text, "  stale for {age}: {reason}");
        }
        Status::Unavailable { reason, .. } => {
            let _ = write!(
                text,
                "  unavailable: {}",
                format::harmless(&reason.to_string())
            );
        }
    }
    if !sample.missed.is_none() {
        let _ = write!(text, "  ({})", sample.missed);
    }
    text
}

/// The time between two samples; `None` if the second is not later.
fn seconds_between(before: &AnySample, now: &AnySample) -> Option<f64> {
    now.since(before).map(|passed| passed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use collector::metric::{LoadAvg, Metric, Reason};

    use super::*;

    #[test]
    fn a_reason_is_shown_without_control_characters() {
        let reason = Reason::from("no\nfile\x1b[2J");
        let statuses = [
            Status::Unavailable {
                reason: reason.clone(),
                since: UNIX_EPOCH,
            },
            Status::Stale {
                age: Duration::from_secs(1),
                reason,
            },
        ];
        for status in statuses {
            let mut sample = AnySample::empty(Metric::of::<LoadAvg>(), UNIX_EPOCH, 0);
            sample.status = status;
            let shown = header(&sample);
            assert!(shown.ends_with(": no\\nfile\\x1b[2J"), "{shown:?}");
        }
    }
}
