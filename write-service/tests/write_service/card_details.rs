//! The two ways in which Payments comes by a card, its own copy and a booking that Accounts passes on, and what each does while
//! Accounts is down.

use telemetry::database::Database;
use write_service::{CardDetails, Settings, Surroundings};

use crate::{
    fixture::{DEADLINE, Service, account},
    place::{BOOKINGS, Place},
};

async fn open(purpose: &str, card_details: CardDetails) -> Place {
    Place::open_with(purpose, |settings| {
        let surroundings = Surroundings { card_details, ..settings.surroundings };
        Settings { surroundings, ..settings }
    })
    .await
}

/// Another service on the same hotel, in place of the one that runs: these contexts, and this way.
async fn run_instead(place: &mut Place, card_details: CardDetails, contexts: &[&str]) {
    place.hotel.service.shutdown.cancel();
    (&mut place.hotel.service.running).await.unwrap().unwrap();
    let database = Database::parse(&place.hotel.login.url).unwrap();
    let surroundings = Surroundings {
        card_processor: place.processor.parse().unwrap(),
        card_details,
        ..crate::fixture::surroundings()
    };
    let mut settings = Settings::all_in(&database, place.hotel.kafka.clone(), surroundings);
    settings.contexts.retain(|(context, _)| contexts.is_empty() || contexts.contains(&context.name));
    place.hotel.service = Service::start(settings).await;
}

const WITHOUT_ACCOUNTS: &[&str] = &["direct-booking", "payments"];

#[tokio::test]
async fn while_accounts_is_down_the_copy_pays_and_the_pipeline_waits() {
    for way in [CardDetails::Cache, CardDetails::Pipeline] {
        let mut place = open("accounts down", way).await;
        place.open_account().await;
        place.name_card("tok_ada").await.expect(200);
        place.book("b1").await;
        place.booking_is("b1", "CONFIRMED").await;

        run_instead(&mut place, way, WITHOUT_ACCOUNTS).await;
        place.hotel.service.post("/accounts/accounts", &account("bob")).await.expect_problem(404, "not-found");
        place.book("b2").await;
        match way {
            CardDetails::Cache => drop(place.booking_is("b2", "CONFIRMED").await),
            CardDetails::Pipeline => {
                // Payments has read of the booking, and does nothing about it.
                let read = "select count(*) from payments.inbox_offset where handler = 'payments.bookings' and next_offset > 0";
                servers::eventually("the booking was read", DEADLINE, async || {
                    place.relay().await;
                    place.hotel.number(read).await >= 1
                })
                .await;
                assert_eq!(place.document(&format!("{BOOKINGS}/b2")).await["status"], "PENDING");
                run_instead(&mut place, way, &[]).await;
                place.booking_is("b2", "CONFIRMED").await;
            }
        }
        let ledger = place.ledger().await;
        assert_eq!(
            (&ledger["b1"], &ledger["b2"]),
            (&vec!["charge succeeded".to_owned()], &vec!["charge succeeded".to_owned()])
        );
    }
}

#[tokio::test]
async fn a_change_of_the_setting_charges_nobody_twice() {
    let mut place = open("both ways", CardDetails::Cache).await;
    place.open_account().await;
    place.name_card("tok_ada").await.expect(200);
    let mut expected = 0;
    for (round, way) in
        [CardDetails::Cache, CardDetails::Pipeline, CardDetails::Cache, CardDetails::Pipeline].into_iter().enumerate()
    {
        run_instead(&mut place, way, &[]).await;
        for at in 0..3 {
            place.book(&format!("b{round}-{at}")).await;
            expected += 1;
        }
        for at in 0..3 {
            place.booking_is(&format!("b{round}-{at}"), "CONFIRMED").await;
        }
        // All that was ever told is told once more.
        place.publish_again();
    }
    place.book("last").await;
    place.booking_is("last", "CONFIRMED").await;
    let ledger = place.ledger().await;
    assert_eq!(ledger.len(), expected + 1);
    for (booking, done) in ledger {
        assert_eq!(done, ["charge succeeded"], "{booking}");
    }
}

#[tokio::test]
async fn in_the_pipeline_too_a_late_card_or_another_one_pays_and_what_is_called_off_is_not_charged() {
    let place = open("pipeline", CardDetails::Pipeline).await;
    place.open_account().await;
    place.book("b1").await;
    place.payment_is("b1", "AWAITING_CARD").await;
    place.name_card("tok_insufficient").await.expect(200);
    servers::eventually("the decline", DEADLINE, async || {
        place.relay().await;
        place.document("/payments/payments/b1").await["declineReason"] == "insufficient-funds"
    })
    .await;
    place.name_card("tok_good").await.expect(200);
    place.booking_is("b1", "CONFIRMED").await;
    assert_eq!(place.ledger().await["b1"], ["charge declined", "charge succeeded"]);

    // Called off before Accounts has said a word about it.
    place.book("b2").await;
    place.cancel("b2").await;
    place.payment_is("b2", "CANCELLED").await;
    place.book("b3").await;
    place.booking_is("b3", "CONFIRMED").await;
    assert_eq!(place.ledger().await.get("b2"), None);
}
