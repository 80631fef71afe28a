//! Several gateways as one.

mod killed;
mod rate;
mod steady;
mod traffic;

use super::Cluster;
use crate::Result;
use crate::report::Row;

pub async fn run(cluster: &Cluster) -> Result<Vec<Row>> {
    let mut rows = steady::run(cluster).await?;
    rows.extend(traffic::run(cluster).await?);
    rows.extend(killed::run(cluster).await?);
    Ok(rows)
}
