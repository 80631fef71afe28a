//! What is counted, in Prometheus' text format (version 0.0.4). Series of apps that are no more can be taken out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use activator::clock::Timestamp;
use metrics::atomics::AtomicU64;
use metrics::{Counter, Gauge, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};
use metrics_exporter_prometheus::LabelSet;
use metrics_exporter_prometheus::formatting::{write_help_line, write_metric_line, write_type_line};
use metrics_util::registry::{Registry, Storage};
use metrics_util::storage::Histogram;
use parking_lot::Mutex;

use super::gone::Gone;

/// The label that says of which app a series is.
const APP: &str = "app";

/// All that is counted. Clones are the same.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry<Key, Store>,
    descriptions: Mutex<BTreeMap<String, SharedString>>,
    gone: Mutex<Gone>,
}

/// Where values are.
struct Store {
    bounds: &'static [f64],
}

/// A histogram, of a fixed size however much is recorded.
struct Bucketed(Mutex<Option<Histogram>>);

/// What the macros of `metrics` call.
struct Recorder(Metrics);

/// Series of one kind, by name.
type Families<T> = BTreeMap<String, Vec<(LabelSet, T)>>;

// === impl Metrics ===

impl Metrics {
    /// Nothing counted yet; `bounds` are those of all histograms, rising.
    pub fn new(bounds: &'static [f64]) -> Self {
        let registry = Registry::new(Store { bounds });
        Self(Arc::new(Inner { registry, descriptions: Mutex::default(), gone: Mutex::default() }))
    }

    /// Takes in from now on what the macros of `metrics` count.
    ///
    /// # Errors
    /// Something else does already.
    pub fn install(&self) -> Result<(), String> {
        metrics::set_global_recorder(Recorder(self.clone())).map_err(|e| e.to_string())
    }

    /// Takes out what was counted of apps that have not been declared for an hour; to be called now and then.
    pub fn forget(&self, is_declared: impl Fn(&str) -> bool, now: Timestamp) {
        let registry = &self.0.registry;
        let mut gone = BTreeSet::new();
        let mut see = |key: &Key| {
            if let Some(app) = app(key).filter(|app| !is_declared(app)) {
                gone.insert(app.to_owned());
            }
        };
        registry.visit_counters(|key, _| see(key));
        registry.visit_gauges(|key, _| see(key));
        registry.visit_histograms(|key, _| see(key));
        let forgotten = self.0.gone.lock().look(gone, now);
        if forgotten.is_empty() {
            return;
        }
        let stays = |key: &Key| app(key).is_none_or(|app| !forgotten.contains(app));
        registry.retain_counters(|key, _| stays(key));
        registry.retain_gauges(|key, _| stays(key));
        registry.retain_histograms(|key, _| stays(key));
    }

    /// As text.
    pub fn render(&self) -> String {
        let registry = &self.0.registry;
        let (mut counters, mut gauges, mut histograms) = (Families::new(), Families::new(), Families::new());
        registry.visit_counters(|key, value| add(&mut counters, key, value.load(Ordering::Relaxed)));
        registry.visit_gauges(|key, value| add(&mut gauges, key, f64::from_bits(value.load(Ordering::Relaxed))));
        registry.visit_histograms(|key, value| add(&mut histograms, key, value.0.lock().clone()));
        let mut text = String::new();
        self.families(&mut text, "counter", counters, single);
        self.families(&mut text, "gauge", gauges, single);
        self.families(&mut text, "histogram", histograms, buckets);
        text
    }

    fn families<T>(
        &self,
        text: &mut String,
        kind: &str,
        families: Families<T>,
        write: fn(&mut String, &str, &LabelSet, T),
    ) {
        let descriptions = self.0.descriptions.lock();
        for (name, series) in families {
            if let Some(description) = descriptions.get(&name) {
                write_help_line(text, &name, None, None, description);
            }
            write_type_line(text, &name, None, None, kind);
            for (labels, value) in series {
                write(text, &name, &labels, value);
            }
            text.push('\n');
        }
    }
}

fn add<T>(families: &mut Families<T>, key: &Key, value: T) {
    families
        .entry(key.name().to_owned())
        .or_default()
        .push((LabelSet::from_key_and_global(key, &Default::default()), value));
}

fn single<T: Display>(text: &mut String, name: &str, labels: &LabelSet, value: T) {
    write_metric_line::<&str, T>(text, name, None, labels, None, value, None);
}

fn buckets(text: &mut String, name: &str, labels: &LabelSet, histogram: Option<Histogram>) {
    let Some(histogram) = histogram else { return };
    for (bound, count) in histogram.buckets() {
        write_metric_line(text, name, Some("bucket"), labels, Some(("le", bound)), count, None);
    }
    write_metric_line(text, name, Some("bucket"), labels, Some(("le", "+Inf")), histogram.count(), None);
    write_metric_line::<&str, f64>(text, name, Some("sum"), labels, None, histogram.sum(), None);
    write_metric_line::<&str, u64>(text, name, Some("count"), labels, None, histogram.count(), None);
}

/// Of which app a series is; `None` if of none.
fn app(key: &Key) -> Option<&str> {
    key.labels().find(|label| label.key() == APP).map(|label| label.value()).filter(|app| !app.is_empty())
}

// === impl Recorder ===

impl Recorder {
    fn describe(&self, name: &KeyName, description: SharedString) {
        self.0.0.descriptions.lock().insert(name.as_str().to_owned(), description);
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.0.registry.get_or_create_counter(&key.to_retained(), |counter| Counter::from_arc(Arc::clone(counter)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.0.registry.get_or_create_gauge(&key.to_retained(), |gauge| Gauge::from_arc(Arc::clone(gauge)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        let key = key.to_retained();
        self.0.0.registry.get_or_create_histogram(&key, |it| metrics::Histogram::from_arc(Arc::clone(it)))
    }
}

// === impl Store ===

impl Storage<Key> for Store {
    type Counter = Arc<AtomicU64>;
    type Gauge = Arc<AtomicU64>;
    type Histogram = Arc<Bucketed>;

    fn counter(&self, _: &Key) -> Self::Counter {
        Arc::default()
    }

    fn gauge(&self, _: &Key) -> Self::Gauge {
        Arc::default()
    }

    fn histogram(&self, _: &Key) -> Self::Histogram {
        Arc::new(Bucketed(Mutex::new(Histogram::new(self.bounds))))
    }
}

// === impl Bucketed ===

impl HistogramFn for Bucketed {
    fn record(&self, value: f64) {
        if let Some(histogram) = &mut *self.0.lock() {
            histogram.record(value);
        }
    }
}

#[cfg(test)]
mod tests;
