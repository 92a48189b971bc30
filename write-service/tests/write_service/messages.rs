//! A command that arrives as a message takes the same way as those that come by HTTP.

use clap::Parser;
use contracts::{
    direct_booking::{BookingCommand, COMMANDS},
    envelope::{Envelope, TraceContext},
};
use serde_json::json;
use servers::eventually;
use uuid::Uuid;
use write_service::settings::InboxArgs;

use crate::{
    fixture::{DEADLINE, Hotel, booking, record},
    place::BOOKINGS,
};

/// A command to send the confirmation of a booking.
fn command(id: Uuid, booking: &str) -> Envelope {
    Envelope {
        id,
        source: "/hotel/front-desk".to_owned(),
        ty: BookingCommand::SendConfirmation.ty().to_owned(),
        subject: booking.to_owned(),
        sequence: None,
        time: chrono::Utc::now(),
        dataschema: None,
        correlation_id: Some("story-9".to_owned()),
        causation_id: None,
        valid_until: None,
        trace: TraceContext::default(),
        position: None,
    }
}

async fn hotel(purpose: &str) -> Hotel {
    let hotel = Hotel::open_for_bookings(purpose, 5).await;
    hotel.service.report_when("readiness", |report| report.ready).await;
    for id in ["b1", "b2"] {
        let mut free = booking(id, 1, 1);
        free["nightlyRate"]["amountMinor"] = json!(0);
        hotel.service.post(BOOKINGS, &free).await.expect(201);
    }
    hotel.service.post(BOOKINGS, &booking("unpaid", 1, 1)).await.expect(202);
    hotel
}

async fn send(hotel: &Hotel, commands: &[(&Envelope, Option<&str>)]) {
    let records = commands.iter().map(|(envelope, body)| record(envelope, body.map(str::to_owned))).collect();
    hotel.publish(COMMANDS, records).await;
}

/// The versions at which confirmations were asked for.
async fn asked(hotel: &Hotel, booking: &str) -> Vec<i64> {
    let rows = hotel.outbox("direct_booking").await;
    let asked = rows.iter().filter(|row| row.ty == "hotel.direct-booking.ConfirmationRequested.v1");
    asked.filter(|row| row.aggregateid == booking).map(|row| row.version).collect()
}

/// What was answered to commands that came as messages, by how often.
async fn answers(hotel: &Hotel) -> Vec<(i32, i64)> {
    let sql = "select status, count(*) from direct_booking.command_answer where target like $1 group by status order by status";
    let rows = hotel.admin.query(sql, &[&format!("{}%", COMMANDS.name)]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_message_is_done_once_however_often_it_comes() {
    let hotel = hotel("commands").await;
    let (first, second) = (command(Uuid::now_v7(), "b1"), command(Uuid::now_v7(), "b1"));
    let foreign = Envelope { source: "/hotel/bar".to_owned(), ..first.clone() };
    send(&hotel, &[(&first, None), (&first, Some("{}")), (&second, None), (&first, None), (&foreign, None)]).await;
    eventually("three of them", DEADLINE, async || asked(&hotel, "b1").await.len() == 3).await;
    send(&hotel, &[(&first, None), (&command(Uuid::now_v7(), "b2"), None)]).await;
    eventually("the last one", DEADLINE, async || asked(&hotel, "b2").await.len() == 1).await;
    assert_eq!(asked(&hotel, "b1").await, [2, 3, 4]);
    let rows = hotel.outbox("direct_booking").await;
    let told = rows.iter().find(|row| row.ty.contains("ConfirmationRequested")).unwrap();
    assert_eq!(told.headers["ce_correlationid"], "story-9");
    assert_eq!(told.headers["ce_causationid"], first.id.to_string());
    assert!(told.text.as_ref().unwrap().contains("confirmationRequestedAt"));
    // The same by HTTP.
    let path = format!("{BOOKINGS}/b1/send-confirmation");
    assert_eq!(hotel.service.post(&path, &json!({})).await.expect(200).body["version"], 5);
}

#[tokio::test]
async fn one_that_is_refused_or_cannot_be_read_holds_up_no_other() {
    let hotel = hotel("refused").await;
    let good = command(Uuid::now_v7(), "b1");
    let (unpaid, none) = (command(Uuid::now_v7(), "unpaid"), command(Uuid::now_v7(), "none"));
    let unknown = Envelope { ty: "hotel.direct-booking.PaintTheRoom.v1".to_owned(), ..command(Uuid::now_v7(), "b1") };
    let no_id = command(Uuid::now_v7(), "a/b");
    let surplus = command(Uuid::now_v7(), "b1");
    send(
        &hotel,
        &[
            (&unpaid, None),
            (&none, None),
            (&unknown, None),
            (&no_id, None),
            (&surplus, Some(r#"{"loud": true}"#)),
            (&surplus, Some("[")),
            (&good, None),
        ],
    )
    .await;
    eventually("the good one", DEADLINE, async || asked(&hotel, "b1").await == [2]).await;
    let set_aside = "select count(*) from direct_booking.inbox_dead_letter";
    eventually("what cannot be read", DEADLINE, async || hotel.number(set_aside).await == 4).await;
    eventually("the answers", DEADLINE, async || answers(&hotel).await == [(200, 1), (404, 1), (409, 1)]).await;
    hotel.service.report_when("readiness", |report| report.ready).await;
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    inbox: InboxArgs,
}

/// A command is known by its answer, which is kept for a shorter time than the topic keeps the command.
#[tokio::test]
async fn commands_are_not_read_again_unless_it_is_said_that_they_may_be_done_again() {
    let hotel = hotel("restart").await;
    send(&hotel, &[(&command(Uuid::now_v7(), "b1"), None)]).await;
    eventually("it is done", DEADLINE, async || asked(&hotel, "b1").await == [2]).await;
    let restart = async |more: &[&str]| {
        let settings = ["inbox", "--database-url", &hotel.login.url, "--card-processor-url", "http://127.0.0.1:1"];
        let command = ["restart", "--handler", "direct-booking.commands", "--yes"];
        let inbox = Line::try_parse_from([&settings[..], &command, more].concat()).unwrap().inbox;
        let desks = inbox.check().unwrap().desks().unwrap();
        inbox::command::run(&inbox.action, &desks, &mut Vec::new()).await.map_err(|refusal| refusal.to_string())
    };
    let refused = restart(&[]).await.unwrap_err();
    assert!(refused.contains("a second confirmation") && refused.ends_with("--yes --repeating"), "{refused}");
    // Whose answer is kept is left out.
    assert_eq!(restart(&["--repeating"]).await, Ok(true));
    send(&hotel, &[(&command(Uuid::now_v7(), "b2"), None)]).await;
    let read = "select coalesce(sum(next_offset), 0)::bigint from direct_booking.inbox_offset
        where handler = 'direct-booking.commands'";
    eventually("all is read again", DEADLINE, async || hotel.number(read).await == 2).await;
    assert_eq!((asked(&hotel, "b1").await, asked(&hotel, "b2").await), (vec![2], vec![2]));
}
