//! What a trigger's metadata asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use activator::AppId;
use activator::settings::Metric;
use thiserror::Error;

use crate::config::nearest;

/// How often KEDA asks if it is not told otherwise.
const POLLING_INTERVAL: Duration = Duration::from_secs(30);
/// Longest that it may be told to wait, in seconds.
const MOST_POLLING: u64 = 3600;
/// Range of targets: a HorizontalPodAutoscaler knows three decimals.
const TARGETS: std::ops::RangeInclusive<f64> = 0.001..=1e9;
/// Most of a value that is quoted, in characters.
const QUOTED: usize = 80;

const APP: &str = "app";
const METRIC: &str = "metric";
const TARGET: &str = "target";
const POLLING: &str = "pollingInterval";
/// The keys that are ours. All others are for KEDA itself or for nobody.
const KEYS: [&str; 4] = [APP, METRIC, TARGET, POLLING];
/// What KEDA takes from the environment comes under the key with this at its end.
const FROM_ENVIRONMENT: &str = "FromEnv";

/// What a trigger asks for. What it does not say is the `HTTPApp`'s to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Which app; `None` for the one of the ScaledObject.
    pub app: Option<AppId>,
    /// What is measured.
    pub metric: Option<Metric>,
    /// How much of it one replica is meant for.
    pub target: Option<f64>,
    /// How often KEDA asks.
    pub polling_interval: Duration,
}

/// A mistake in the metadata.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the trigger's metadata `{key}`: {message}")]
pub struct Mistake {
    key: String,
    message: String,
}

/// As it is written in the metadata.
pub fn label(metric: Metric) -> &'static str {
    match metric {
        Metric::Concurrency => "concurrency",
        Metric::RequestRate => "requestRate",
    }
}

// === impl Trigger ===

impl Trigger {
    /// Reads the metadata of a trigger of a ScaledObject in `namespace`.
    ///
    /// # Errors
    /// One of our keys is misspelt, or has a value that it cannot have.
    pub fn read(metadata: &BTreeMap<String, String>, namespace: &str) -> Result<Self, Mistake> {
        let mut known = BTreeMap::new();
        for (key, value) in metadata {
            let name = key.strip_suffix(FROM_ENVIRONMENT).unwrap_or(key);
            if let Some(name) = KEYS.into_iter().find(|known| *known == name) {
                // In so many words before what comes from the environment.
                if key == name || !known.contains_key(name) {
                    known.insert(name, (key.as_str(), value.as_str()));
                }
            } else if let Some(near) = nearest(name, KEYS.into_iter()) {
                return Err(Mistake::new(key, format!("there is no such key; did you mean `{near}`?")));
            }
        }
        let read = |name: &str| known.get(name).map(|(key, value)| (*key, value.trim()));
        Ok(Self {
            app: read(APP).map(|(key, value)| app(key, value, namespace)).transpose()?,
            metric: read(METRIC).map(|(key, value)| metric(key, value)).transpose()?,
            target: read(TARGET).map(|(key, value)| target(key, value)).transpose()?,
            polling_interval: read(POLLING)
                .map(|(key, value)| polling_interval(key, value))
                .transpose()?
                .unwrap_or(POLLING_INTERVAL),
        })
    }
}

fn app(key: &str, value: &str, namespace: &str) -> Result<AppId, Mistake> {
    let (namespace, name) = value.split_once('/').unwrap_or((namespace, value));
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return Err(Mistake::new(key, format!("{} is no app; give NAME or NAMESPACE/NAME", quoted(value))));
    }
    Ok(AppId::new(namespace, name))
}

fn metric(key: &str, value: &str) -> Result<Metric, Mistake> {
    let all = [Metric::Concurrency, Metric::RequestRate];
    all.into_iter().find(|metric| label(*metric) == value).ok_or_else(|| {
        let hint = nearest(value, all.into_iter().map(label)).map(|near| format!("; did you mean `{near}`?"));
        let hint = hint.unwrap_or_default();
        Mistake::new(key, format!("is {}, and can be `concurrency` or `requestRate`{hint}", quoted(value)))
    })
}

fn target(key: &str, value: &str) -> Result<f64, Mistake> {
    value.parse().ok().filter(|target| TARGETS.contains(target)).ok_or_else(|| {
        let (least, most) = (TARGETS.start(), TARGETS.end());
        Mistake::new(key, format!("is {}, and has to be a number from {least} to {most}", quoted(value)))
    })
}

fn polling_interval(key: &str, value: &str) -> Result<Duration, Mistake> {
    let seconds = value.parse().ok().filter(|seconds| (1..=MOST_POLLING).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        let range = format!("a number of seconds from 1 to {MOST_POLLING}, the ScaledObject's own pollingInterval");
        Mistake::new(key, format!("is {}, and has to be {range}", quoted(value)))
    })
}

fn quoted(value: &str) -> String {
    match value.char_indices().nth(QUOTED) {
        None => format!("`{value}`"),
        Some((end, _)) => format!("`{}…`", &value[..end]),
    }
}

// === impl Mistake ===

impl Mistake {
    fn new(key: &str, message: String) -> Self {
        Self { key: quoted(key).trim_matches('`').to_owned(), message }
    }
}

#[cfg(test)]
mod tests;
