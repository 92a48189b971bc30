//! How long it takes from a command's commit to its sight in GraphQL.

use anyhow::{Context, ensure};
use serde_json::json;

use crate::{
    client::{Client, Command},
    millis::millis,
    story::Account,
};

const CHANGES: usize = 100;

/// Changes the account again and again, asks for each change at once with the command's `Read-After` token, and prints
/// how long the answers took: from the command's answer, which follows its commit, to the query's.
pub(crate) async fn measure(client: &Client, account: &Account) -> anyhow::Result<()> {
    let mut waits = Vec::with_capacity(CHANGES);
    for number in 1..=CHANGES {
        let street = format!("Kade {number}");
        let body = account.details(&street);
        let path = format!("/accounts/accounts/{}/change-details", account.id);
        let changed = client.must(Command { path: &path, body: &body, read_after: None, at: None }).await?;
        let token = changed.read_after.context("no Read-After header in a command's answer")?;
        let (data, took) = client
            .query(
                "query Street($id: ID!) { account(id: $id) { address { street } } }",
                json!({"id": account.id}),
                &[&token],
            )
            .await?;
        ensure!(data["account"]["address"]["street"] == street, "asked for {street:?}, found {data}");
        waits.push(took);
    }
    waits.sort();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!("\nFrom commit to GraphQL, {CHANGES} changes one after another:");
    println!("  p50 {}   p99 {}   longest {}", millis(at(0.5)), millis(at(0.99)), millis(at(1.0)));
    Ok(())
}
