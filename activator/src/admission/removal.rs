//! How replicas go when there are to be fewer, for those who choose which.

/// How its platform takes an endpoint away when there are to be fewer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Removal {
    /// As it is told: it goes if it is a victim.
    #[default]
    AsTold,
    /// Those with the highest rank go, whatever anybody says: this one as soon as there are to be so many, or fewer.
    Ranked(u32),
    /// Never: it is none of the target's replicas, and serves beside them.
    Never,
}
