//! An account's life: opened, changed, closed. Pure: no I/O.

use contracts::{
    accounts::{AccountEvent, AccountStatus, Address},
    envelope::AggregateVersion,
    id::AccountId,
};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) version: AggregateVersion,
    pub(crate) status: AccountStatus,
    pub(crate) details: Details,
}

/// What its holder may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) email: String,
}

/// A command on an account that is there.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// All details, anew.
    Details(Details),
    /// For good.
    Close,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nothing happens to a closed account any more.
    #[error("the account is closed")]
    Closed,
}

/// Opens an account.
pub(crate) fn open(id: AccountId, details: Details) -> (Account, AccountEvent) {
    let account = Account { id, version: AggregateVersion::FIRST, status: AccountStatus::Open, details };
    (account, AccountEvent::AccountOpened)
}

impl Account {
    /// Decides on a change.
    pub(crate) fn decide(&self, change: Change) -> Result<(Self, AccountEvent), Refusal> {
        if self.status == AccountStatus::Closed {
            return Err(Refusal::Closed);
        }
        let next = Self { version: self.version.next(), ..self.clone() };
        Ok(match change {
            Change::Details(details) => (Self { details, ..next }, AccountEvent::AccountDetailsChanged),
            Change::Close => (Self { status: AccountStatus::Closed, ..next }, AccountEvent::AccountClosed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn details(name: &str) -> Details {
        let address = Address {
            street: "1 High St".to_owned(),
            postal_code: String::new(),
            city: "Faro".to_owned(),
            country: "PT".to_owned(),
        };
        Details { name: name.to_owned(), address, email: "a@example.org".to_owned() }
    }

    fn changes() -> impl Strategy<Value = Change> {
        prop_oneof![
            4 => "[a-z]{1,5}".prop_map(|name| Change::Details(details(&name))),
            1 => Just(Change::Close),
        ]
    }

    proptest! {
        #[test]
        fn each_change_is_one_version_and_nothing_follows_the_close(changes in prop::collection::vec(changes(), 0..20)) {
            let (mut account, event) = open("7".parse().unwrap(), details("Ada"));
            prop_assert_eq!((account.version.get(), event), (1, AccountEvent::AccountOpened));
            for change in changes {
                let before = account.clone();
                match account.decide(change.clone()) {
                    Err(Refusal::Closed) => prop_assert_eq!(before.status, AccountStatus::Closed),
                    Ok((after, event)) => {
                        prop_assert_eq!(before.status, AccountStatus::Open);
                        prop_assert_eq!(after.version, before.version.next());
                        prop_assert_eq!(&after.id, &before.id);
                        match change {
                            Change::Details(details) => {
                                prop_assert_eq!(event, AccountEvent::AccountDetailsChanged);
                                prop_assert_eq!(&after.details, &details);
                                prop_assert_eq!(after.status, AccountStatus::Open);
                            }
                            Change::Close => {
                                prop_assert_eq!(event, AccountEvent::AccountClosed);
                                prop_assert_eq!(&after.details, &before.details);
                                prop_assert_eq!(after.status, AccountStatus::Closed);
                            }
                        }
                        account = after;
                    }
                }
            }
        }
    }
}
