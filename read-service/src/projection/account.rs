//! `view.account`: who may book on account, and how to reach them.

use contracts::accounts::AccountDocument;

use super::{column::text, projector::Projection};

/// Fills `view.account`.
pub(super) static ACCOUNT: Projection<AccountDocument> = Projection {
    identity: |account| (account.account_id.as_str(), account.version),
    columns: &[
        text("status", |account| Some(account.status.as_str())),
        text("name", |account| Some(&account.name)),
        text("street", |account| Some(&account.address.street)),
        text("postal_code", |account| Some(&account.address.postal_code)),
        text("city", |account| Some(&account.address.city)),
        text("country", |account| Some(&account.address.country)),
        text("email", |account| Some(&account.email)),
    ],
    followed_by: &[],
};
