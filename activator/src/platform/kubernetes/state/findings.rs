//! What was found out about an app's target and Service, for those who declare apps.

use std::fmt;

use crate::failure::FailureCause;
use crate::settings::Protocol;

/// What was found out about an app's target and Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Whether there is something to scale.
    pub target: Found,
    /// Whether its Service leads somewhere.
    pub service: Found,
    /// What its pods speak; `None` as long as that is not known.
    pub protocol: Option<Protocol>,
    /// Whether pods are tried before Kubernetes calls them ready.
    pub early: Early,
}

/// Whether something is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Found {
    /// Nobody knows yet.
    #[default]
    Unknown,
    /// It is.
    Yes,
    /// It is not, or cannot be used.
    No(Box<FailureCause>),
}

/// Whether pods are tried before Kubernetes calls them ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Early {
    /// No pod was seen yet that could tell.
    #[default]
    Unknown,
    /// They are.
    On,
    /// They are not, and why.
    Off(EarlyOff),
}

/// Why pods wait until Kubernetes calls them ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyOff {
    /// The app says so.
    Settings,
    /// They have a probe that runs a command.
    Exec,
    /// They have a probe that asks somebody else than the pod.
    OtherHost,
    /// They have a probe that has to succeed more than once.
    Successes,
    /// They have a probe of a port whose name no port has.
    NoSuchPort,
    /// They have readiness gates.
    Gates,
    /// They have no probe.
    NoProbe,
    /// They have several containers, and it is not clear which one serves.
    Ambiguous,
    /// The Service leads to something that is no pod.
    NoPod,
    /// The app did not do what it should when it was tried so early; for a while.
    Distrusted,
}

// === impl Early ===

impl fmt::Display for Early {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => {
                f.write_str("whether pods are tried before Kubernetes calls them ready shows with the first pod")
            }
            Self::On => f.write_str("pods are tried before Kubernetes calls them ready"),
            Self::Off(why) => write!(f, "pods wait until Kubernetes calls them ready: {why}"),
        }
    }
}

// === impl EarlyOff ===

impl EarlyOff {
    /// A word for it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Settings => "TurnedOff",
            Self::Exec => "ExecProbe",
            Self::OtherHost => "ProbeOfOtherHost",
            Self::Successes => "SuccessThreshold",
            Self::NoSuchPort => "ProbeOfUnknownPort",
            Self::Gates => "ReadinessGates",
            Self::NoProbe => "NoProbe",
            Self::Ambiguous => "AmbiguousPorts",
            Self::NoPod => "NoPod",
            Self::Distrusted => "FailedAfterEarlyTry",
        }
    }
}

impl fmt::Display for EarlyOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settings => "`earlyReadiness` is false",
            Self::Exec => "a readiness or startup probe runs a command, which only the kubelet can do",
            Self::OtherHost => "a readiness or startup probe asks a host of its own",
            Self::Successes => "a readiness probe has to succeed more than once",
            Self::NoSuchPort => "a readiness or startup probe names a port that its container does not have",
            Self::Gates => "they have readiness gates, which only Kubernetes can tell",
            Self::NoProbe => "the container that serves has neither readiness nor startup probe",
            Self::Ambiguous => {
                "several containers, one of them without probe, and none says that it has the Service's port"
            }
            Self::NoPod => "the Service leads to something that is no pod",
            Self::Distrusted => "it failed right after an early try, so for 10 minutes it is not tried",
        })
    }
}
