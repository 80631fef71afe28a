//! Which endpoints go when there are to be fewer, and how few there may be as long as others are busy.
//!
//! What the target's controller takes by rank has to be closed by rank. What is none of the target's serves on, and is not counted,
//! until all sleep.

use std::sync::Arc;

use super::App;
use crate::admission::Endpoint;
use crate::admission::removal::Removal;

/// Takes out of `retiring` what is not to go after all, where there are `spec` and are to be `wanted`.
pub(super) fn take_back(retiring: &mut Vec<Arc<Endpoint>>, spec: u32, wanted: u32) -> Vec<Arc<Endpoint>> {
    if wanted == 0 {
        return Vec::new();
    }
    let mut to_go = spec.saturating_sub(wanted);
    let stays = |endpoint: &mut Arc<Endpoint>| match endpoint.removal() {
        Removal::AsTold if to_go > 0 => {
            to_go -= 1;
            false
        }
        Removal::Ranked(rank) => rank < wanted,
        Removal::AsTold | Removal::Never => true,
    };
    retiring.extract_if(.., stays).collect()
}

/// Takes out of `rotation` what is to go besides what is in `retiring`, so that there are `wanted` of `spec`: by rank, or those
/// with the least in flight. What is not usable goes before them where nobody chooses by rank. At least `least` stay.
pub(super) fn choose(
    rotation: &mut Vec<Arc<Endpoint>>,
    retiring: &[Arc<Endpoint>],
    spec: u32,
    wanted: u32,
    least: usize,
) -> Vec<Arc<Endpoint>> {
    let to_go = spec.saturating_sub(wanted) as usize;
    if to_go == 0 {
        return Vec::new();
    }
    let own = own(rotation.iter()).count();
    let to_close = if is_ranked(rotation.iter().chain(retiring)) {
        rotation.iter().filter(|one| matches!(one.removal(), Removal::Ranked(rank) if rank >= wanted)).count()
    } else {
        let retiring = self::own(retiring).count();
        let not_usable = (spec as usize).saturating_sub(own + retiring);
        to_go.saturating_sub(not_usable + retiring)
    };
    let to_close = to_close.min(own.saturating_sub(least));
    if to_close == 0 {
        return Vec::new();
    }
    // Looked at once each: requests come and go meanwhile.
    rotation.sort_by_cached_key(|endpoint| match endpoint.removal() {
        Removal::Never => (false, 0),
        Removal::Ranked(rank) => (true, i64::from(rank)),
        Removal::AsTold => (true, -i64::from(endpoint.in_flight())),
    });
    rotation.split_off(rotation.len() - to_close)
}

/// How few of `spec` there may be now, `wanted` at the fewest, and takes out of `retiring` what goes then: nothing that is busy.
/// What is not usable may go too. `is_empty` tells what is not busy.
pub(super) fn go_now(
    rotation: &[Arc<Endpoint>],
    retiring: &mut Vec<Arc<Endpoint>>,
    spec: u32,
    wanted: u32,
    is_empty: impl Fn(&Endpoint) -> bool,
) -> (u32, Vec<Arc<Endpoint>>) {
    let (empty, busy): (Vec<_>, Vec<_>) = retiring.drain(..).partition(|endpoint| is_empty(endpoint));
    let in_use = || rotation.iter().chain(&busy);
    let fewest = if is_ranked(in_use().chain(&empty)) {
        let needed = |endpoint: &Arc<Endpoint>| match endpoint.removal() {
            Removal::Ranked(rank) => rank.saturating_add(1),
            Removal::AsTold | Removal::Never => 0,
        };
        in_use().map(needed).max().unwrap_or_default().min(spec)
    } else {
        let known = own(in_use().chain(&empty)).count();
        let may_go = (spec as usize).saturating_sub(known) + own(&empty).count();
        spec.saturating_sub(u32::try_from(may_go).unwrap_or(u32::MAX))
    };
    let replicas = wanted.max(fewest);
    let goes = |endpoint: &Arc<Endpoint>| match endpoint.removal() {
        Removal::AsTold => replicas < spec,
        Removal::Ranked(rank) => replicas < spec && rank >= replicas,
        Removal::Never => replicas == 0,
    };
    let (victims, stay): (Vec<_>, Vec<_>) = empty.into_iter().partition(goes);
    retiring.extend(busy);
    retiring.extend(stay);
    (replicas, victims)
}

impl App {
    /// How many of the target's own replicas are in rotation.
    pub(crate) fn replicas_in_use(&self) -> u32 {
        u32::try_from(own(&**self.endpoints.load()).count()).unwrap_or(u32::MAX)
    }
}

/// Those of the target.
fn own<'a>(endpoints: impl IntoIterator<Item = &'a Arc<Endpoint>>) -> impl Iterator<Item = &'a Arc<Endpoint>> {
    endpoints.into_iter().filter(|endpoint| endpoint.removal() != Removal::Never)
}

fn is_ranked<'a>(mut endpoints: impl Iterator<Item = &'a Arc<Endpoint>>) -> bool {
    endpoints.any(|endpoint| matches!(endpoint.removal(), Removal::Ranked(_)))
}

#[cfg(test)]
mod tests;
