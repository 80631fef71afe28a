//! Whose a route or a target is in a cluster, where nobody sees to it that apps do not claim the same one: the older app's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use activator::AppId;
use activator::settings::ScaleTarget;

use super::settings::{HeaderMatch, HostPattern, Route};

/// An app with what it claims.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The app.
    pub id: &'a AppId,
    /// When its object was created, in seconds since 1970: of two apps the older wins, of two of the same age the first by
    /// name.
    pub created: i64,
    /// What it scales, if that may be scaled by another one too.
    pub target: Option<&'a ScaleTarget>,
    /// What it is to be routed.
    pub routes: &'a [Route],
}

/// What an app gets of what it claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The routes that are its own; empty if others have all of them, or its target.
    pub routes: Vec<Route>,
    /// For each host and path that it does not get, who has it, in words for its status.
    pub refused: Vec<Refused>,
    /// Who has its target, in words for its status. It gets nothing then, and nothing is kept from others for it.
    pub target_taken: Option<String>,
}

/// A host and path that another app has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The route that claims it, such as `spec.routes[0]`.
    pub field: String,
    /// The app that has it.
    pub owner: AppId,
    /// What to say.
    pub message: String,
}

/// What no two apps may have in common.
pub(super) type RouteKey<'a> = (&'a HostPattern, &'a str, &'a [HeaderMatch]);

/// What no two apps may scale: namespace, API group, kind, name. Versions of a group are the same object.
pub(super) type TargetKey<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Divides routes and targets among all apps, and says what those get that do not get all they claim. What one app claims twice
/// it simply has. An app that gets no route has no target either: nothing is done for it.
pub fn grant<'a>(claims: &[Claim<'a>]) -> BTreeMap<AppId, Grant> {
    let mut claims = claims.to_vec();
    claims.sort_by(|a, b| (a.created, a.id).cmp(&(b.created, b.id)));
    let mut owners: HashMap<RouteKey<'a>, Claim<'a>> = HashMap::new();
    let mut targets: HashMap<TargetKey<'a>, Claim<'a>> = HashMap::new();
    let mut grants = BTreeMap::new();
    for claim in claims {
        if let Some(target) = claim.target
            && let Some(owner) = targets.get(&target_key(target))
        {
            let message = format!(
                "{} {}/{} is the target of app `{}` already, {}",
                target.kind,
                target.namespace,
                target.name,
                owner.id,
                claim.why_not_before(owner)
            );
            grants.insert(claim.id.clone(), Grant { target_taken: Some(message), ..Grant::default() });
            continue;
        }
        let mut owner_of = |key| *owners.entry(key).or_insert(claim);
        let lost = claim.routes.iter().map(|route| {
            let owned = keys(route).map(|key| (key, owner_of(key)));
            owned.filter(|(_, owner)| owner.id != claim.id).collect()
        });
        let lost: Vec<Vec<_>> = lost.collect();
        if lost.iter().all(Vec::is_empty) {
            targets.extend(claim.target.map(|target| (target_key(target), claim)));
            continue;
        }
        let mut grant = Grant::default();
        for (index, (route, lost)) in claim.routes.iter().zip(lost).enumerate() {
            if lost.is_empty() {
                grant.routes.push(route.clone());
                continue;
            }
            grant.routes.extend(without(route, &lost));
            grant.refused.extend(lost.into_iter().map(|(key, owner)| Refused {
                field: format!("spec.routes[{index}]"),
                owner: owner.id.clone(),
                message: format!(
                    "{} is routed already by app `{}`, {}",
                    told(key),
                    owner.id,
                    claim.why_not_before(&owner)
                ),
            }));
        }
        if let Some(target) = claim.target.filter(|_| !grant.routes.is_empty()) {
            targets.insert(target_key(target), claim);
        }
        grants.insert(claim.id.clone(), grant);
    }
    grants
}

/// Each host with each path.
pub(super) fn keys(route: &Route) -> impl Iterator<Item = RouteKey<'_>> {
    route
        .hosts
        .iter()
        .flat_map(move |host| route.paths.iter().map(move |path| (host, &**path, route.headers.as_slice())))
}

/// What `target` leads to.
pub(super) fn target_key(target: &ScaleTarget) -> TargetKey<'_> {
    let group = target.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    (&target.namespace, group, &target.kind, &target.name)
}

/// A host with a path in words.
pub(super) fn told((host, path, headers): RouteKey<'_>) -> String {
    let same = if headers.is_empty() { "" } else { " and the same headers" };
    let path = if path.is_empty() { "/" } else { path };
    format!("host `{host}` with path `{path}`{same}")
}

/// What is left of `route` without those hosts with paths: hosts that have the same paths left stay together.
fn without(route: &Route, lost: &[(RouteKey<'_>, Claim<'_>)]) -> Vec<Route> {
    let mut left: Vec<Route> = Vec::new();
    for host in &route.hosts {
        let has = |path: &&Arc<str>| !lost.iter().any(|((of, other, _), _)| *of == host && **other == ***path);
        let paths: Vec<_> = route.paths.iter().filter(has).cloned().collect();
        match left.iter_mut().find(|route| route.paths == paths) {
            _ if paths.is_empty() => {}
            Some(route) => route.hosts.push(host.clone()),
            None => left.push(Route { hosts: vec![host.clone()], paths, headers: route.headers.clone() }),
        }
    }
    left
}

// === impl Claim ===

impl Claim<'_> {
    /// Why `owner` has what this one claims.
    fn why_not_before(&self, owner: &Self) -> &'static str {
        // Kubernetes knows ages in whole seconds.
        if owner.created == self.created { "which is as old and comes first by name" } else { "which is older" }
    }
}

#[cfg(test)]
mod tests;
