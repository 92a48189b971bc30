//! What can be asked, as data: a file for each type says its fields, what each means, and where in the views it comes from.
//!
//! The schema that clients see and the SQL that answers them are both made of this one list.

mod account;
mod allotment;
mod availability;
mod booking;
mod event;
mod folio;
mod guest;
mod payment;
mod query;
mod rate_plan;
mod room_type;
mod site;
mod site_booking;
mod subscription;
mod summary;
mod task;
mod values;
mod view;
mod words;

use std::collections::HashMap;

pub(super) use subscription::EVENTS;

pub(super) use words::{Argument, Call, Connection, Enum, Field, Input, InputObject, Leaf, Object, Source, What};

/// The objects, by name, with the enums and input objects that their fields speak of.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) objects: HashMap<&'static str, Object>,
    pub(super) enums: Vec<Enum>,
    pub(super) inputs: Vec<InputObject>,
}

/// The name of the root.
pub(super) const ROOT: &str = "Query";

/// The name of the root of subscriptions.
pub(super) const SUBSCRIPTION: &str = "Subscription";

impl Model {
    /// All of it.
    pub(super) fn new() -> Self {
        let objects = [
            query::object(),
            subscription::object(),
            account::object(),
            guest::object(),
            room_type::object(),
            rate_plan::object(),
            booking::object(),
            payment::object(),
            task::object(),
            site::object(),
            site_booking::object(),
            event::object(),
            folio::object(),
            view::object(),
        ];
        let parts = [
            values::objects(),
            vec![account::address(), room_type::room(), folio::line(), availability::night()],
            vec![site::allotment(), allotment::night()],
            summary::objects(),
        ];
        let objects = objects.into_iter().chain(parts.into_iter().flatten());
        Self {
            objects: objects.map(|object| (object.name, object)).collect(),
            enums: vec![
                account::status(),
                booking::status(),
                payment::status(),
                task::kind(),
                task::status(),
                site::status(),
                site_booking::status(),
            ],
            inputs: vec![booking::filter(), task::filter(), payment::filter()],
        }
    }

    pub(super) fn object(&self, name: &str) -> Option<&Object> {
        self.objects.get(name)
    }

    pub(super) fn input(&self, name: &str) -> Option<&InputObject> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Whether an enum has this value.
    pub(super) fn has_value(&self, name: &str, value: &str) -> bool {
        let orders = self.objects.values().flat_map(|object| &object.fields).filter_map(|field| match &field.what {
            What::Connection(connection) if connection.orders.0 == name => Some(&connection.orders.1),
            _ => None,
        });
        let is_order = |known: &words::Order| {
            value.strip_prefix(known.name).is_some_and(|direction| ["_ASC", "_DESC"].contains(&direction))
        };
        self.enums.iter().any(|known| known.name == name && known.values.iter().any(|(known, _)| *known == value))
            || orders.into_iter().flatten().any(is_order)
    }

    /// Those that `node` finds.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(|object| object.table.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is added here needs a scope from its first day; nothing goes from here without somebody's having thought of it.
    #[test]
    fn what_says_something_of_a_person_is_known() {
        let model = Model::new();
        let fields = model.objects.values().flat_map(|object| object.fields.iter().map(|field| (object.name, field)));
        let personal = fields.filter(|(_, field)| field.is_personal);
        let mut personal: Vec<_> = personal.map(|(object, field)| format!("{object}.{}", field.name)).collect();
        personal.sort_unstable();
        assert_eq!(personal, ["Account.address", "Account.email", "Account.name", "Guest.email", "Guest.name"]);
    }
}
