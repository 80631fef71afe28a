//! Events of an app: what is worth one, and how many times it has happened.

use std::collections::VecDeque;
use std::time::Duration;

use activator::app::AppState;
use activator::settings::ScaledBy;
use activator::{AppId, Timestamp};
use k8s_openapi::jiff::fmt::strtime;
use serde_json::{Value, json};

use super::conditions::{output, words_of_writer};
use super::known::Known;
use super::wall::Wall;
use super::words;

/// Most bytes of an event's note, by Kubernetes' word.
const LONGEST_NOTE: usize = 1024;
/// Most bytes of an app's name in that of an event.
const LONGEST_NAME: usize = 200;
/// Events of an app that may wait for their turn; the oldest are given up for newer ones.
const MOST_WAITING: usize = 8;
/// Events of an app that are remembered as what may happen again.
const MOST_REMEMBERED: usize = 8;
/// What happens again within this time is the same event, counted.
const AGAIN_WITHIN: Duration = Duration::from_secs(360);

/// The reason of the event that an app was woken.
const WOKEN: &str = "Woken";

/// The field manager of what is written, and what events are said to come from.
pub(super) const WRITER: &str = "zerogate";

/// Something that has happened to an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// `Normal` or `Warning`.
    pub(super) severity: &'static str,
    pub(super) reason: String,
    pub(super) action: &'static str,
    pub(super) note: String,
    /// What is not the reason and makes it another event all the same.
    pub(super) of: String,
}

/// An event with how often it has happened since it was last told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) event: Event,
    pub(super) times: u32,
}

/// How an event is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) waiting: Waiting,
    /// The object's name.
    pub(super) name: String,
    /// How often it has happened with this.
    pub(super) count: u32,
    pub(super) new: bool,
}

/// What was told of an app's events, and what is still to be.
#[derive(Debug, Default)]
pub(super) struct Events {
    seen: Seen,
    waiting: VecDeque<Waiting>,
    remembered: VecDeque<Remembered>,
}

/// What has had its event.
#[derive(Debug, Default)]
struct Seen {
    wake: Option<Timestamp>,
    failure: Option<Timestamp>,
    writer: Option<Timestamp>,
    up: bool,
}

#[derive(Debug)]
struct Remembered {
    reason: String,
    of: String,
    name: String,
    count: u32,
    last: Timestamp,
}

// === impl Events ===

impl Events {
    /// Takes in what has happened, by how the app is at `now`.
    pub(super) fn look(&mut self, known: &Known, now: Timestamp) {
        for event in self.seen.look(known, now) {
            self.push(Waiting { event, times: 1 });
        }
    }

    fn push(&mut self, new: Waiting) {
        let same = |it: &&mut Waiting| (&it.event.reason, &it.event.of) == (&new.event.reason, &new.event.of);
        if let Some(same) = self.waiting.iter_mut().find(same) {
            same.times = same.times.saturating_add(new.times);
            same.event = new.event;
            return;
        }
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(new);
    }

    /// All but wakes is for another gateway to tell.
    pub(super) fn keep_wakes(&mut self) {
        self.waiting.retain(|it| it.event.reason == WOKEN);
    }

    /// Whether any waits for its turn.
    #[cfg(test)]
    pub(super) fn any(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next one, if there is one.
    pub(super) fn next(&mut self, app: &AppId, wall: Wall) -> Option<Telling> {
        let waiting = self.waiting.pop_front()?;
        self.remembered.retain(|it| wall.now.since(it.last) < AGAIN_WITHIN);
        let event = &waiting.event;
        let before = self.remembered.iter().find(|it| (&it.reason, &it.of) == (&event.reason, &event.of));
        let (name, count) = match before {
            Some(before) => (before.name.clone(), before.count.saturating_add(waiting.times)),
            None => {
                let app = app.name.get(..LONGEST_NAME).unwrap_or(&app.name).trim_end_matches(['.', '-']);
                (format!("{app}.{:x}", wall.exactly(wall.now).as_nanosecond()), waiting.times)
            }
        };
        Some(Telling { new: before.is_none(), waiting, name, count })
    }

    /// None of those that wait will be told.
    pub(super) fn give_up(&mut self) {
        self.waiting.clear();
    }

    /// It was told at `now`.
    pub(super) fn told(&mut self, telling: Telling, now: Timestamp) {
        let Telling { waiting: Waiting { event, .. }, name, count, .. } = telling;
        self.remembered.retain(|it| it.name != name);
        if self.remembered.len() == MOST_REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(Remembered { reason: event.reason, of: event.of, name, count, last: now });
    }

    /// It could not be told, and is to be tried again; anew if the one before it is `gone`.
    pub(super) fn not_told(&mut self, telling: Telling, gone: bool) {
        if gone {
            self.remembered.retain(|it| it.name != telling.name);
        }
        self.push(telling.waiting);
    }
}

// === impl Seen ===

impl Seen {
    fn look(&mut self, known: &Known, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(woken) = &known.wake
            && let Some(took) = woken.wake.duration()
            && self.wake.replace(woken.wake.asked) != Some(woken.wake.asked)
        {
            let why = woken.why.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
            let (many, s) = (woken.wake.wanted, if woken.wake.wanted == 1 { "" } else { "s" });
            let note = format!("awake after {} ms, {many} replica{s} asked for{why}", took.as_millis());
            events.push(Event::normal(WOKEN, "Wake", &note));
        }
        if let Some(failure) = &known.failure
            && self.failure.replace(failure.at) != Some(failure.at)
        {
            let note = format!("{}{}", failure.failure, output(&failure.failure.output));
            let label = failure.failure.cause.label();
            events.push(Event::warning(words::reason(label), "Start", &note, failure.failure.cause.to_string()));
        }
        let another = known.other_writer.as_ref().filter(|it| self.writer != Some(it.at));
        if let Some(another) = another {
            self.writer = Some(another.at);
            // Whoever is meant to scale it is no other one.
            if known.by == ScaledBy::Zerogate {
                let name = another.name.as_deref().unwrap_or_default().to_owned();
                events.push(Event::warning(
                    "OtherWriter".into(),
                    "Scale",
                    &words_of_writer(another, known.by, now),
                    name,
                ));
            }
        }
        match known.state {
            AppState::Awake | AppState::Waking => self.up = true,
            AppState::Failing => self.up = false,
            AppState::Asleep if known.replicas == Some(0) && std::mem::take(&mut self.up) => {
                // Whoever else has put it to sleep was named already.
                let by_us = another.is_none_or(|it| it.replicas > 0) || known.by != ScaledBy::Zerogate;
                if by_us && known.failure.is_none() {
                    let why = known.decision.as_ref().map(|it| format!(": {}", it.reason)).unwrap_or_default();
                    events.push(Event::normal("Slept", "Sleep", &format!("put to sleep{why}")));
                }
            }
            AppState::Asleep => {}
        }
        events
    }
}

// === impl Event ===

impl Event {
    fn normal(reason: &str, action: &'static str, note: &str) -> Self {
        let note = words::bounded(note, LONGEST_NOTE);
        Self { severity: "Normal", reason: reason.into(), action, note, of: String::new() }
    }

    fn warning(reason: String, action: &'static str, note: &str, of: String) -> Self {
        Self { severity: "Warning", reason, action, note: words::bounded(note, LONGEST_NOTE), of }
    }
}

// === impl Telling ===

impl Telling {
    /// The object, or what of it is to be changed.
    pub(super) fn body(&self, app: &AppId, uid: &str, instance: &str, wall: Wall) -> Value {
        let now = strtime::format("%Y-%m-%dT%H:%M:%S%.6fZ", wall.exactly(wall.now)).unwrap_or_default();
        let series = (self.count > 1).then(|| json!({ "count": self.count, "lastObservedTime": now }));
        if !self.new {
            return json!({ "series": series });
        }
        let Event { severity, reason, action, note, .. } = &self.waiting.event;
        let mut body = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": self.name, "namespace": app.namespace },
            "eventTime": now,
            "type": severity,
            "reason": reason,
            "action": action,
            "note": note,
            "reportingController": "zerogate.dev/gateway",
            "reportingInstance": instance,
            "regarding": {
                "apiVersion": "zerogate.dev/v1alpha1",
                "kind": "HTTPApp",
                "namespace": app.namespace,
                "name": app.name,
                "uid": uid,
            },
        });
        if let Some(series) = series {
            body["series"] = series;
        }
        body
    }
}

#[cfg(test)]
mod tests;
