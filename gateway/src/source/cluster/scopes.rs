//! The namespaces that are looked at: which have told what they hold, and which may not be read.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use activator::failure::FailureCause;

/// One namespace, or all of them.
pub type Scope = Option<Arc<str>>;

/// Most namespaces that a line of the log names.
const MOST_NAMED: usize = 10;

/// What is known of which.
#[derive(Debug)]
pub struct Scopes {
    /// Nothing is known of these yet.
    silent: HashSet<Scope>,
    /// These cannot be read, as the gateway lacks the right to it.
    unreadable: BTreeMap<Scope, FailureCause>,
    /// How many have told what they hold.
    heard: usize,
    /// More cannot be read than was said.
    untold: bool,
}

// === impl Scopes ===

impl Scopes {
    /// Nothing is known of any of these.
    pub fn new(all: impl IntoIterator<Item = Scope>) -> Self {
        Self { silent: all.into_iter().collect(), unreadable: BTreeMap::new(), heard: 0, untold: false }
    }

    /// All that it holds was told.
    pub fn hear(&mut self, scope: &Scope) {
        let late = self.unreadable.remove(scope).is_some();
        if late {
            tracing::info!("the HTTPApps of namespace {} can be read now", name(scope));
        }
        self.heard += usize::from(self.silent.remove(scope) || late);
    }

    /// It cannot be read for now.
    pub fn refuse(&mut self, scope: &Scope, why: FailureCause) {
        if self.silent.remove(scope) {
            self.unreadable.insert(scope.clone(), why);
            self.untold = true;
        }
    }

    /// Whether all is known that can be, which has to be something: without it nobody is served.
    pub fn are_known(&self) -> bool {
        self.silent.is_empty() && self.heard > 0
    }

    /// How many cannot be read.
    pub fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// What to say of those that cannot be read, once.
    pub fn complaint(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.untold) {
            return None;
        }
        let mut whys: Vec<_> = self.unreadable.values().take(MOST_NAMED).map(FailureCause::to_string).collect();
        let more = self.unreadable.len().saturating_sub(MOST_NAMED);
        whys.extend((more > 0).then(|| format!("and so in {more} more")));
        let s = if self.unreadable.len() == 1 { "" } else { "s" };
        Some(format!("serving without the HTTPApps of {} namespace{s}: {}", self.unreadable.len(), whys.join("; ")))
    }
}

fn name(scope: &Scope) -> &str {
    scope.as_deref().unwrap_or("*")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(name: &str) -> Scope {
        Some(name.into())
    }

    fn why(namespace: &str) -> FailureCause {
        let (verb, resource) = ("list".into(), "httpapps.zerogate.dev".into());
        FailureCause::Forbidden { verb, resource, namespace: namespace.into() }
    }

    #[test]
    fn one_that_may_not_be_read_holds_up_none_of_the_others() {
        let mut scopes = Scopes::new(["a", "b"].map(scope));
        assert!(!scopes.are_known());
        scopes.hear(&scope("a"));
        assert!(!scopes.are_known());
        scopes.refuse(&scope("b"), why("b"));
        assert!(scopes.are_known());
        assert_eq!(scopes.unreadable(), 1);
        assert_eq!(
            scopes.complaint().unwrap(),
            "serving without the HTTPApps of 1 namespace: the gateway may not list httpapps.zerogate.dev in namespace b; \
             grant it that (RBAC)"
        );
        assert_eq!(scopes.complaint(), None, "once");

        scopes.hear(&scope("b"));
        assert_eq!((scopes.are_known(), scopes.unreadable()), (true, 0));
        // What comes too late says nothing.
        scopes.refuse(&scope("b"), why("b"));
        assert_eq!((scopes.are_known(), scopes.unreadable()), (true, 0));
    }

    #[test]
    fn if_none_can_be_read_nothing_is_known() {
        let mut scopes = Scopes::new(["a", "b"].map(scope));
        scopes.refuse(&scope("a"), why("a"));
        scopes.refuse(&scope("b"), why("b"));
        assert!(!scopes.are_known());
        scopes.hear(&scope("b"));
        assert!(scopes.are_known());
        let mut everywhere = Scopes::new([None]);
        everywhere.refuse(&None, why("*"));
        assert!(!everywhere.are_known());
    }

    #[test]
    fn many_are_not_all_named() {
        let names: Vec<_> = (10..40).map(|n| format!("n{n}")).collect();
        let mut scopes = Scopes::new(names.iter().map(|name| scope(name)));
        names.iter().for_each(|name| scopes.refuse(&scope(name), why(name)));
        let said = scopes.complaint().unwrap();
        assert!(said.contains("30 namespaces") && said.contains("in namespace n10;"), "{said}");
        assert!(said.ends_with("; and so in 20 more"), "{said}");
    }
}
