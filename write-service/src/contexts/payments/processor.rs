//! The third party that charges cards, over HTTP. Whatever is not a definite answer is none: it is asked again under the
//! same key, and never taken for a decline.

use contracts::money::Money;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::domain::Outcome;
use crate::third_party::http::{Unknown, ask, client};

/// The third party.
#[derive(Clone)]
pub(crate) struct Processor {
    client: Client,
    charges: Url,
    refunds: Url,
}

/// A question that has been committed under its key.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) key: Uuid,
    pub(crate) booking_id: String,
    pub(crate) amount: Money,
    pub(crate) asks: Asks,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Asks {
    /// To charge this card.
    Charge { card_token: String },
    /// To give back what was charged under this key.
    Refund { charge_key: Uuid },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    #[serde(default)]
    decline_code: Option<String>,
}

impl Processor {
    /// The third party at this address.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn at(address: &Url) -> Result<Self, reqwest::Error> {
        let below = |path: &str| {
            let mut url = address.clone();
            url.set_path(&format!("{}/v1/{path}", address.path().trim_end_matches('/')));
            url
        };
        Ok(Self { client: client()?, charges: below("charges"), refunds: below("refunds") })
    }

    /// Asks, and gives what came of it.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Outcome, Unknown> {
        let Money { amount_minor, currency } = question.amount;
        let (url, body) = match &question.asks {
            Asks::Charge { card_token } => (
                &self.charges,
                json!({"cardToken": card_token, "amountMinor": amount_minor, "currency": currency.as_str(),
                       "reference": question.booking_id}),
            ),
            Asks::Refund { charge_key } => (
                &self.refunds,
                json!({"chargeKey": charge_key, "amountMinor": amount_minor, "currency": currency.as_str()}),
            ),
        };
        let request = self.client.post(url.clone()).header("Idempotency-Key", question.key.to_string()).json(&body);
        let (status, answer) = ask(request).await?;
        // What is no JSON is judged by its status alone.
        let answer = serde_json::from_slice(&answer).unwrap_or_default();
        judge(status, &answer, matches!(question.asks, Asks::Charge { .. }))
    }
}

/// What an answer means.
fn judge(status: StatusCode, answer: &Value, is_charge: bool) -> Result<Outcome, Unknown> {
    let unknown = || Unknown(format!("it answered {status}"));
    match status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::PAYMENT_REQUIRED => {
            let answer = Answer::deserialize(answer).map_err(|_| Unknown(format!("{status} without a status")))?;
            match answer.status.as_str() {
                "succeeded" if status != StatusCode::PAYMENT_REQUIRED => Ok(Outcome::Done),
                "declined" if is_charge => Ok(Outcome::Declined(reason(answer.decline_code))),
                _ => Err(unknown()),
            }
        }
        // It will never take this charge. A refund has to be made all the same: somebody has to look at it.
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY if is_charge => {
            Ok(Outcome::Declined(format!("refused-{}", status.as_u16())))
        }
        _ => Err(unknown()),
    }
}

/// The third party's code, where it is one.
fn reason(code: Option<String>) -> String {
    let is_code = |code: &String| {
        (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    code.filter(is_code).unwrap_or_else(|| "declined".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(status: u16, answer: &Value) -> Result<Outcome, Unknown> {
        judge(StatusCode::from_u16(status).unwrap(), answer, true)
    }

    #[test]
    fn only_a_definite_answer_is_one() {
        assert_eq!(charge(201, &json!({"status": "succeeded"})), Ok(Outcome::Done));
        let declined = json!({"status": "declined", "declineCode": "insufficient-funds"});
        assert_eq!(charge(402, &declined), Ok(Outcome::Declined("insufficient-funds".to_owned())));
        assert_eq!(charge(422, &json!({})), Ok(Outcome::Declined("refused-422".to_owned())));
        for status in [200, 202, 204, 302, 401, 403, 408, 409, 425, 429, 500, 502, 503, 504] {
            assert!(charge(status, &json!({"status": "pending"})).is_err(), "{status}");
        }
        assert!(charge(402, &json!({"status": "succeeded"})).is_err());
        assert!(charge(201, &Value::Null).is_err());
    }

    #[test]
    fn a_refund_is_never_declined() {
        for status in [400, 402, 404, 409, 422] {
            let answer = judge(StatusCode::from_u16(status).unwrap(), &json!({"status": "declined"}), false);
            assert!(answer.is_err(), "{status}");
        }
    }

    #[test]
    fn a_decline_code_is_a_code() {
        let declined = |code: &str| charge(402, &json!({"status": "declined", "declineCode": code}));
        assert_eq!(declined("stolen <b>card</b>"), Ok(Outcome::Declined("declined".to_owned())));
    }
}
