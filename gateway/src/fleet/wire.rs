//! Messages of gateways as they go over the network.

use std::time::Duration;

use activator::AppId;
use activator::fleet::{AppNews, Counts, Going, Grants, Message, Ordered, Scope, Share, Shares};

use super::protocol as wire;

/// Most bytes of a message. An app takes about a hundred, and a message tells of those that have requests or replicas.
pub(super) const MOST_MESSAGE: usize = 16 * 1024 * 1024;
/// Most bytes of a gateway's name, which is its pod's.
const LONGEST_NAME: usize = 253;

/// Why a message is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// No name, or one that no pod has.
    #[error("`from` is no name of a pod")]
    From,
    /// Something that this version does not know.
    #[error("`scope` is none that this version knows")]
    Scope,
    /// Something without a name.
    #[error("an app or an endpoint has no name")]
    Name,
}

/// `message` as it goes over the network.
pub(super) fn encode(message: Message) -> wire::Message {
    let scope = match message.scope {
        Scope::Whole => wire::Scope::Whole,
        Scope::Changes => wire::Scope::Changes,
        Scope::Farewell => wire::Scope::Farewell,
    };
    wire::Message {
        from: message.from.to_string(),
        run: message.run,
        number: message.number,
        leads: message.leads,
        term: message.term,
        fence: message.fence,
        knows: message.knows,
        scope: scope.into(),
        apps: message.apps.into_iter().map(encode_app).collect(),
    }
}

/// What another gateway has sent.
///
/// # Errors
/// It is not understood.
pub(super) fn decode(message: wire::Message) -> Result<Message, Malformed> {
    let scope = match message.scope() {
        wire::Scope::Whole => Scope::Whole,
        wire::Scope::Changes => Scope::Changes,
        wire::Scope::Farewell => Scope::Farewell,
        wire::Scope::Unspecified => return Err(Malformed::Scope),
    };
    if message.from.is_empty() || message.from.len() > LONGEST_NAME {
        return Err(Malformed::From);
    }
    Ok(Message {
        from: message.from.into(),
        run: message.run,
        number: message.number,
        leads: message.leads,
        term: message.term,
        fence: message.fence,
        knows: message.knows,
        scope,
        apps: message.apps.into_iter().map(decode_app).collect::<Result<_, _>>()?,
    })
}

fn encode_app(news: AppNews) -> wire::App {
    let Counts { in_flight, held, peak, arrivals, request_micros, idle } = news.counts;
    wire::App {
        namespace: news.app.namespace.to_string(),
        name: news.app.name.to_string(),
        in_flight,
        held,
        peak,
        arrivals,
        request_micros,
        idle_micros: idle.map(|idle| u64::try_from(idle.as_micros()).unwrap_or(u64::MAX)),
        early: news.early,
        going: news.going.into_iter().map(encode_going).collect(),
        empty: news.empty.into_iter().map(encode_going).collect(),
        ordered: news.ordered.map(|it| wire::Ordered { replicas: it.replicas, version: it.version }),
        shares: news.shares.map(encode_shares),
        grants: news.grants.map(encode_grants),
    }
}

fn decode_app(app: wire::App) -> Result<AppNews, Malformed> {
    if app.namespace.is_empty() || app.name.is_empty() {
        return Err(Malformed::Name);
    }
    Ok(AppNews {
        app: AppId::new(app.namespace, app.name),
        counts: Counts {
            in_flight: app.in_flight,
            held: app.held,
            peak: app.peak,
            arrivals: app.arrivals,
            request_micros: app.request_micros,
            idle: app.idle_micros.map(Duration::from_micros),
        },
        early: app.early,
        going: app.going.into_iter().map(decode_going).collect::<Result<_, _>>()?,
        empty: app.empty.into_iter().map(decode_going).collect::<Result<_, _>>()?,
        ordered: app.ordered.map(|it| Ordered { replicas: it.replicas, version: it.version }),
        shares: app.shares.map(decode_shares).transpose()?,
        grants: app.grants.map(decode_grants).transpose()?,
    })
}

fn encode_shares(shares: Shares) -> wire::Shares {
    let each = |share: Share| wire::Share {
        endpoint: share.endpoint.into(),
        slots: share.slots,
        in_use: share.in_use,
        usable: share.usable,
    };
    wire::Shares { as_of: shares.as_of, each: shares.each.into_iter().map(each).collect() }
}

fn decode_shares(shares: wire::Shares) -> Result<Shares, Malformed> {
    let each = |share: wire::Share| {
        let endpoint = named(share.endpoint)?;
        Ok(Share { endpoint, slots: share.slots, in_use: share.in_use, usable: share.usable })
    };
    Ok(Shares { as_of: shares.as_of, each: shares.each.into_iter().map(each).collect::<Result<_, _>>()? })
}

fn encode_grants(grants: Grants) -> wire::Grants {
    let slots = grants.slots.into_iter().map(|(endpoint, slots)| wire::Grant { endpoint: endpoint.into(), slots });
    wire::Grants { run: grants.run, fence: grants.fence, version: grants.version, slots: slots.collect() }
}

fn decode_grants(grants: wire::Grants) -> Result<Grants, Malformed> {
    let slots = grants.slots.into_iter().map(|grant| Ok((named(grant.endpoint)?, grant.slots)));
    let slots = slots.collect::<Result<_, Malformed>>()?;
    Ok(Grants { run: grants.run, fence: grants.fence, version: grants.version, slots })
}

fn encode_going(going: Going) -> wire::Going {
    wire::Going { endpoint: going.endpoint.into(), number: going.number }
}

fn decode_going(going: wire::Going) -> Result<Going, Malformed> {
    Ok(Going { endpoint: named(going.endpoint)?, number: going.number })
}

fn named(endpoint: String) -> Result<Box<str>, Malformed> {
    if endpoint.is_empty() { Err(Malformed::Name) } else { Ok(endpoint.into()) }
}

#[cfg(test)]
mod tests;
