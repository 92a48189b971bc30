//! Whose card is charged, as the key of what is kept about them.

use contracts::{id::InvalidId, payments::Payer};

use crate::database;

/// `account:7`, `guest:9`: an account and a guest may have the same id.
pub(crate) fn key(payer: &Payer) -> String {
    match payer {
        Payer::Account { account_id } => format!("account:{account_id}"),
        Payer::Guest { guest_id } => format!("guest:{guest_id}"),
    }
}

/// Whose key it is.
pub(crate) fn of(key: &str) -> Result<Payer, database::Error> {
    let unreadable = |reason: String| database::Error::Unreadable { column: "payer", reason };
    let invalid = |error: InvalidId| unreadable(error.to_string());
    match key.split_once(':') {
        Some(("account", id)) => Ok(Payer::Account { account_id: id.parse().map_err(invalid)? }),
        Some(("guest", id)) => Ok(Payer::Guest { guest_id: id.parse().map_err(invalid)? }),
        _ => Err(unreadable("names neither an account nor a guest".to_owned())),
    }
}
