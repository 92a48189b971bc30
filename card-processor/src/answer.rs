//! What is answered to a charge and a refund: made from the entry alone, so that it is the same byte for byte each time.

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    entry::{DeclineCode, Entry, Kind, Status},
    fields::{AmountMinor, CardToken, Currency, Key, Reference},
};

/// An answer that is definite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    status: StatusCode,
    body: String,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Body<'a> {
    Charged {
        id: &'a str,
        status: Status,
        card_token: &'a CardToken,
        amount_minor: AmountMinor,
        currency: &'a Currency,
        reference: &'a Reference,
    },
    Refunded {
        id: &'a str,
        status: Status,
        charge_key: &'a Option<Key>,
        amount_minor: AmountMinor,
        currency: &'a Currency,
    },
    Declined {
        id: &'a str,
        status: Status,
        decline_code: Option<DeclineCode>,
    },
}

impl Answer {
    /// The answer to who asked for this.
    pub(crate) fn of(entry: &Entry) -> Self {
        let Entry { id, amount_minor, currency, reference, charge_key, card_token, .. } = entry;
        let (status, amount_minor) = (entry.status, *amount_minor);
        let (code, body) = match (entry.status, entry.kind) {
            (Status::Declined, _) => {
                (StatusCode::PAYMENT_REQUIRED, Body::Declined { id, status, decline_code: entry.decline_code })
            }
            (Status::Succeeded, Kind::Charge) => {
                (StatusCode::CREATED, Body::Charged { id, status, card_token, amount_minor, currency, reference })
            }
            (Status::Succeeded, Kind::Refund) => {
                (StatusCode::CREATED, Body::Refunded { id, status, charge_key, amount_minor, currency })
            }
        };
        // Texts and numbers can always be written.
        Self { status: code, body: serde_json::to_string(&body).unwrap_or_default() }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, [(CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}
