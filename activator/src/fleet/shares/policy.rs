//! Who is to get which slots: a table of gateways and endpoints, changed in place.
//!
//! 1. Whoever has requests waiting and no free slot gets what nobody has; where that is not enough, in proportion to what each
//!    has in flight.
//! 2. What others have free and do not need is taken back for them.
//! 3. Where all is in use, it moves towards the proportions of what each has in flight, from time to time. Whoever waits with no
//!    slot at all gets one; with fewer slots than gateways that wait they have them in turn.
//! 4. What nobody needs is spread evenly, so that a burst at any gateway finds some.

use std::cmp::Reverse;

use crate::clock::Timestamp;

/// All that is to be shared out.
#[derive(Debug)]
pub(super) struct Table {
    /// Most slots of each endpoint.
    pub(super) limit: u32,
    /// Slots of each endpoint that nobody has.
    pub(super) spare: Vec<u32>,
    pub(super) sides: Vec<Side>,
}

/// What a gateway asks for and has.
#[derive(Debug)]
pub(super) struct Side {
    /// Requests that wait there.
    pub(super) waiting: u32,
    /// It may be given more.
    pub(super) may_get: bool,
    pub(super) turn: Turn,
    /// Of each endpoint.
    pub(super) cells: Vec<Cell>,
}

/// Slots of one endpoint at one gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// What it is to have.
    pub(super) given: u32,
    /// The most it may have now.
    pub(super) most: u32,
    pub(super) in_use: u32,
    /// It knows of the endpoint and would use it.
    pub(super) usable: bool,
}

/// Whether a gateway waits with no slot at all, and since when that is so, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    waits: bool,
    since: Timestamp,
}

// === impl Table ===

impl Table {
    /// Shares out what there is. What is in use, or free but not needed by anybody, only `moves` from time to time.
    pub(super) fn share_out(&mut self, moves: bool) {
        self.keep_to_limit();
        let mut wants = self.wants();
        let nobody_waits = wants.iter().all(|want| *want == 0);
        if !nobody_waits {
            self.give_to_who_waits(&mut wants);
            let needed = total(&wants).saturating_sub(self.coming(&wants));
            let taken = if needed > 0 {
                self.take_back_unneeded(needed + self.part_of_rest(needed, &wants), &wants)
            } else {
                0
            };
            if moves && needed > taken {
                self.move_what_is_in_use(&wants);
            }
        }
        self.spread(nobody_waits);
        if moves && nobody_waits {
            self.even_out();
        }
    }

    /// The limit was lowered: what is free goes first.
    fn keep_to_limit(&mut self) {
        for at in 0..self.spare.len() {
            let given: u64 = self.sides.iter().map(|side| u64::from(side.cells[at].given)).sum();
            let mut over = u32::try_from(given.saturating_sub(u64::from(self.limit))).unwrap_or(u32::MAX);
            for side in &mut self.sides {
                let free = side.cells[at].free().min(over);
                side.cells[at].given -= free;
                over -= free;
            }
            let fair = self.limit / u32::try_from(self.sides.len()).unwrap_or(u32::MAX).max(1);
            for least in [fair, 0] {
                for side in &mut self.sides {
                    let less = side.cells[at].given.saturating_sub(least).min(over);
                    side.cells[at].given -= less;
                    over -= less;
                }
            }
        }
    }

    /// How many slots each one lacks for what waits there.
    fn wants(&self) -> Vec<u64> {
        let want = |side: &Side| if side.may_get { u64::from(side.waiting).saturating_sub(side.free()) } else { 0 };
        self.sides.iter().map(want).collect()
    }

    /// Gives what nobody has to those who want some, and takes that off `wants`.
    fn give_to_who_waits(&mut self, wants: &mut [u64]) {
        let enough = total(wants) <= self.spare.iter().map(|spare| u64::from(*spare)).sum();
        if !enough {
            let entitled = self.entitled();
            let lacks = |side: &Side, entitled: u64| entitled.saturating_sub(side.given());
            let lacks: Vec<u64> =
                self.sides.iter().zip(entitled).map(|(side, entitled)| lacks(side, entitled)).collect();
            // Whoever has none and waits longest comes first.
            let mut order: Vec<usize> = (0..self.sides.len()).collect();
            order.sort_by_key(|one| (self.sides[*one].turn.order(), Reverse(lacks[*one])));
            for one in order {
                wants[one] -= self.give(one, wants[one].min(lacks[one]), true);
            }
        }
        // But nobody keeps what was taken from it for others.
        for (one, want) in wants.iter_mut().enumerate() {
            *want -= self.give(one, *want, false);
        }
    }

    /// Gives side `one` up to so `many`, first of endpoints that have most to give; if `again`, also what was taken from it and
    /// it has not given back yet. Returns how many.
    fn give(&mut self, one: usize, many: u64, again: bool) -> u64 {
        if many == 0 {
            return 0;
        }
        let side = &mut self.sides[one];
        let can = |cell: &Cell, spare: u32| u64::from(cell.room(spare, again));
        let mut open: Vec<usize> =
            (0..self.spare.len()).filter(|at| can(&side.cells[*at], self.spare[*at]) > 0).collect();
        open.sort_by_key(|at| Reverse(self.spare[*at]));
        let mut left = many;
        while left > 0 && !open.is_empty() {
            let part = (left / open.len() as u64).max(1);
            open.retain(|at| {
                let (cell, spare) = (&mut side.cells[*at], &mut self.spare[*at]);
                let gets = part.min(can(cell, *spare)).min(left);
                cell.raise(u32::try_from(gets).unwrap_or(u32::MAX), spare);
                left -= gets;
                can(cell, *spare) > 0
            });
        }
        many - left
    }

    /// What each one is to have in all where there is not enough for all: in proportion to what it has in flight, and one at
    /// least; where there is not one for each, in turn.
    fn entitled(&self) -> Vec<u64> {
        let slots = (0..self.spare.len()).filter(|at| self.sides.iter().any(|side| side.cells[*at].usable)).map(|at| {
            let given: u64 = self.sides.iter().map(|side| u64::from(side.cells[at].most)).sum();
            given + u64::from(self.spare[at])
        });
        let (slots, demands): (u64, Vec<u64>) = (slots.sum(), self.sides.iter().map(Side::demand).collect());
        let asking = demands.iter().filter(|demand| **demand > 0).count() as u64;
        if slots < asking {
            let mut order: Vec<usize> = (0..self.sides.len()).filter(|one| demands[*one] > 0).collect();
            order.sort_by_key(|one| self.sides[*one].turn.order());
            let mut entitled = vec![0; demands.len()];
            order.iter().take(usize::try_from(slots).unwrap_or(usize::MAX)).for_each(|one| entitled[*one] = 1);
            return entitled;
        }
        in_proportion(slots, &demands)
    }

    /// Slots that will be free for those who want some as soon as what was taken back is given back.
    fn coming(&self, wants: &[u64]) -> u64 {
        let coming = |at: usize| -> u64 {
            self.sides.iter().map(|side| u64::from(side.cells[at].most.saturating_sub(side.cells[at].kept()))).sum()
        };
        (0..self.spare.len()).filter(|at| self.is_wanted(*at, wants)).map(coming).sum()
    }

    fn is_wanted(&self, at: usize, wants: &[u64]) -> bool {
        self.sides.iter().zip(wants).any(|(side, want)| *want > 0 && side.cells[at].usable)
    }

    /// How many of those that nobody needs, but for so many, are the part of those who want some: they will want more.
    fn part_of_rest(&self, needed: u64, wants: &[u64]) -> u64 {
        let rest = self.sides.iter().map(Side::unneeded).sum::<u64>().saturating_sub(needed);
        let wanting = wants.iter().filter(|want| **want > 0).count() as u64;
        rest * wanting / (self.sides.len() as u64).max(1)
    }

    /// Takes back so `many` that are wanted by others and that those who have them do not need. Returns how many.
    fn take_back_unneeded(&mut self, many: u64, wants: &[u64]) -> u64 {
        let wanted: Vec<bool> = (0..self.spare.len()).map(|at| self.is_wanted(at, wants)).collect();
        let mut order: Vec<usize> = (0..self.sides.len()).collect();
        order.sort_by_key(|one| Reverse(self.sides[*one].unneeded()));
        let mut left = many;
        for one in order {
            let side = &mut self.sides[one];
            let mut unneeded = side.unneeded();
            for (cell, _) in side.cells.iter_mut().zip(&wanted).filter(|(_, wanted)| **wanted) {
                // What it would not use it does not need.
                let free = u64::from(cell.free()).min(left);
                let taken = if cell.usable { free.min(unneeded) } else { free };
                unneeded -= if cell.usable { taken } else { 0 };
                cell.given -= u32::try_from(taken).unwrap_or(u32::MAX);
                left -= taken;
            }
        }
        many - left
    }

    /// Takes from those who have more than they are entitled to what others lack, although it is in use: it comes back as
    /// requests end.
    fn move_what_is_in_use(&mut self, wants: &[u64]) {
        let entitled = self.entitled();
        let wanted: Vec<bool> = (0..self.spare.len()).map(|at| self.is_wanted(at, wants)).collect();
        let lacks = self
            .sides
            .iter()
            .zip(&entitled)
            .zip(wants)
            .map(|((side, entitled), want)| entitled.saturating_sub(side.given()).min(*want));
        let under_way = self.sides.iter().flat_map(|side| &side.cells).map(|cell| u64::from(cell.taken()));
        let mut left = lacks.sum::<u64>().saturating_sub(under_way.sum());
        for (side, entitled) in self.sides.iter_mut().zip(entitled) {
            let mut excess = side.given().saturating_sub(entitled);
            for (cell, _) in side.cells.iter_mut().zip(&wanted).filter(|(_, wanted)| **wanted) {
                let taken = u64::from(cell.given).min(excess).min(left);
                cell.given -= u32::try_from(taken).unwrap_or(u32::MAX);
                excess -= taken;
                left -= taken;
            }
        }
    }

    /// Gives what nobody has to those who have least free; if `again`, also to those who have not given back yet what was taken.
    fn spread(&mut self, again: bool) {
        let mut free: Vec<u64> = self.sides.iter().map(Side::free).collect();
        for at in 0..self.spare.len() {
            let can = |one: &usize, sides: &[Side]| sides[*one].may_get && sides[*one].cells[at].room(1, again) > 0;
            let part = self.spare[at] / (4 * u32::try_from(self.sides.len()).unwrap_or(u32::MAX).max(1));
            while self.spare[at] > 0 {
                let poorest = (0..self.sides.len()).filter(|one| can(one, &self.sides)).min_by_key(|one| free[*one]);
                let Some(one) = poorest else { break };
                let gets = part.max(1).min(self.spare[at]);
                let before = self.sides[one].cells[at].given;
                self.sides[one].cells[at].raise(gets, &mut self.spare[at]);
                free[one] += u64::from(self.sides[one].cells[at].given - before);
            }
        }
    }

    /// Where one has much less free than others, takes back from those what is more than its part.
    fn even_out(&mut self) {
        let can: Vec<usize> = (0..self.sides.len()).filter(|one| self.sides[*one].may_get).collect();
        let free: Vec<u64> = self.sides.iter().map(Side::free).collect();
        let Some(part) = can.iter().map(|one| free[*one]).sum::<u64>().checked_div(can.len() as u64) else { return };
        let poor: Vec<usize> = can.iter().copied().filter(|one| free[*one] < part.div_ceil(2)).collect();
        let mut left: u64 = poor.iter().map(|one| part - free[*one]).sum();
        let of_use = |at: usize, sides: &[Side]| poor.iter().any(|one| sides[*one].cells[at].usable);
        let of_use: Vec<bool> = (0..self.spare.len()).map(|at| of_use(at, &self.sides)).collect();
        for one in can {
            let mut excess = free[one].saturating_sub(part);
            for (cell, _) in
                self.sides[one].cells.iter_mut().zip(&of_use).filter(|(cell, of_use)| cell.usable && **of_use)
            {
                let taken = u64::from(cell.free()).min(excess).min(left);
                cell.given -= u32::try_from(taken).unwrap_or(u32::MAX);
                excess -= taken;
                left -= taken;
            }
        }
    }
}

/// `slots` in proportion to `demands`, by largest remainder, nowhere more than demanded, and one at least where anything is. There
/// are enough for that.
fn in_proportion(slots: u64, demands: &[u64]) -> Vec<u64> {
    let sum = total(demands);
    if slots >= sum {
        return demands.to_vec();
    }
    let exact = |demand: u64| u128::from(slots) * u128::from(demand);
    let mut parts: Vec<u64> =
        demands.iter().map(|demand| u64::try_from(exact(*demand) / u128::from(sum)).unwrap_or(0)).collect();
    let mut order: Vec<usize> = (0..demands.len()).filter(|one| demands[*one] > 0).collect();
    order.sort_by_key(|one| Reverse(exact(demands[*one]) % u128::from(sum)));
    let left = usize::try_from(slots - total(&parts)).unwrap_or(usize::MAX);
    order.iter().take(left).for_each(|one| parts[*one] += 1);
    for one in order {
        let most = (0..parts.len()).max_by_key(|one| parts[*one]);
        if let Some(most) = most.filter(|most| parts[one] == 0 && parts[*most] > 1) {
            parts[most] -= 1;
            parts[one] += 1;
        }
    }
    parts
}

fn total(of: &[u64]) -> u64 {
    of.iter().sum()
}

// === impl Side ===

impl Side {
    fn usable(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| cell.usable)
    }

    /// Slots that it has free, or will have when it gets what it is given.
    fn free(&self) -> u64 {
        self.usable().map(|cell| u64::from(cell.free())).sum()
    }

    /// Slots that it has free and that nothing waits for.
    fn unneeded(&self) -> u64 {
        self.free().saturating_sub(u64::from(self.waiting))
    }

    fn given(&self) -> u64 {
        self.usable().map(|cell| u64::from(cell.given)).sum()
    }

    /// Requests that have slots or wait for some.
    fn demand(&self) -> u64 {
        self.cells.iter().map(|cell| u64::from(cell.in_use)).sum::<u64>() + u64::from(self.waiting)
    }
}

// === impl Cell ===

impl Cell {
    fn free(&self) -> u32 {
        self.given.saturating_sub(self.in_use)
    }

    /// What it has once it has given back what it can at once.
    fn kept(&self) -> u32 {
        self.given.max(self.in_use)
    }

    /// What is taken from it and it has not given back yet.
    fn taken(&self) -> u32 {
        self.most.saturating_sub(self.given)
    }

    /// How many more it can be given where so many are spare; if `again`, first of what was taken from it. Otherwise it gets none
    /// as long as there is such: that would be what it gets.
    fn room(&self, spare: u32, again: bool) -> u32 {
        if self.usable && (again || self.taken() == 0) { self.taken().saturating_add(spare) } else { 0 }
    }

    /// Gives it so many more, as many as there is [`Cell::room`] for at most.
    fn raise(&mut self, more: u32, spare: &mut u32) {
        *spare -= more.saturating_sub(self.taken());
        self.given += more;
        self.most = self.most.max(self.given);
    }
}

// === impl Turn ===

impl Turn {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { waits: false, since: now }
    }

    /// Takes note of whether `side` is left with nothing.
    pub(super) fn note(&mut self, side: &Side, now: Timestamp) {
        // What was taken from it, it has until it has given it back.
        let waits = side.waiting > 0 && side.usable().all(|cell| cell.most == 0);
        if waits != self.waits {
            *self = Self { waits, since: now };
        }
    }

    /// Whoever has waited longest with nothing comes first, whoever has had something longest comes last.
    fn order(&self) -> (bool, u64) {
        let since = self.since.as_nanos();
        if self.waits { (false, since) } else { (true, u64::MAX - since) }
    }
}
