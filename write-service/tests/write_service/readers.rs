//! What each context reads is what `contracts/readers.toml` says of it, in groups of the names that it says.

use std::collections::BTreeSet;

use servers::{eventually, groups};
use write_service::{CardDetails, Settings, Surroundings, contexts};

use crate::fixture::{DEADLINE, Hotel};

#[tokio::test]
async fn every_context_reads_what_it_declares_and_nothing_else() {
    // The setting with which every reactor runs.
    let hotel = Hotel::open_with("readers", |settings| {
        let surroundings = Surroundings { card_details: CardDetails::Pipeline, ..settings.surroundings };
        Settings { surroundings, ..settings }
    })
    .await;
    hotel.service.report_when("ready", |report| report.ready).await;
    let readers = contracts::readers::readers().unwrap();
    for context in contexts::ALL {
        let reader = readers.get(context.name);
        let declared: BTreeSet<_> = reader.into_iter().flat_map(|reader| reader.reads.iter().cloned()).collect();
        let groups = format!("{}write-service.{}.", hotel.kafka.topic_prefix, context.name);
        assert!(reader.is_none_or(|reader| hotel.kafka.topic(&reader.groups) == groups), "{reader:?}");
        eventually(&format!("{} reads {declared:?}", context.name), DEADLINE, async || {
            let read = groups::topics_read(&hotel.kafka.bootstrap_servers, &groups).await.unwrap();
            let topics = read.values().flatten().map(|name| name.replacen(&hotel.kafka.topic_prefix, "", 1));
            if topics.collect::<BTreeSet<_>>() == declared { Ok(Some(())) } else { Err(format!("{read:?}")) }
        })
        .await;
    }
    // No handler is in a group of another name, which nobody would look at.
    let all = groups::topics_read(&hotel.kafka.bootstrap_servers, &hotel.kafka.topic_prefix).await.unwrap();
    let known = |group: &String| readers.values().any(|reader| group.starts_with(&hotel.kafka.topic(&reader.groups)));
    assert!(all.keys().all(known), "{all:?}");
}
