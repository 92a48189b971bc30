//! The AsyncAPI 3.0 document of everything that is published: channels with their Kafka settings, messages, who sends, who
//! receives. The payloads are the JSON Schemas beside it (`schemas/{topic}.json`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    contract::Contract,
    contracts,
    envelope::names,
    readers::Reader,
    topic::{Cleanup, Topic},
};

/// The document, of all contracts and these readers.
pub fn document(readers: &BTreeMap<String, Reader>) -> Value {
    let channels: Map<_, _> =
        contracts().map(|contract| (contract.topic.name.to_owned(), channel(&contract))).collect();
    let mut operations = Map::new();
    for contract in contracts() {
        let topic = contract.topic.name;
        let mut add = |verb: &str, who: &str| {
            let operation = json!({
                "action": verb,
                "channel": {"$ref": format!("#/channels/{topic}")},
                "tags": [{"name": who}],
            });
            operations.insert(format!("{who}.{verb}.{topic}"), operation);
        };
        add("send", contract.context());
        for (name, _) in readers.iter().filter(|(_, reader)| reader.reads.iter().any(|read| read == topic)) {
            add("receive", name);
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Waybill: the hotel's events",
            "version": "1.0.0",
            "description": "What the contexts tell the world: CloudEvents 1.0 in Kafka's binary mode. The value is the \
                aggregate's whole document, the key its id; a null value says that it is gone.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messageTraits": {"event": event()}},
    })
}

fn channel(contract: &Contract) -> Value {
    let Topic { name, partitions, cleanup } = contract.topic;
    let messages: Map<_, _> = contract.events.iter().map(|ty| ((*ty).to_owned(), message(contract, ty))).collect();
    let description = match (cleanup, contract.only_readers) {
        (Cleanup::Journal, None) => "Every event, for ever.".to_owned(),
        (Cleanup::Collection, None) => "The last document of each aggregate.".to_owned(),
        (Cleanup::Queue, None) => "For a week.".to_owned(),
        (_, Some(readers)) => format!("May be read by these only: {}.", readers.join(", ")),
    };
    json!({
        "address": name,
        "description": description,
        "messages": messages,
        "bindings": {"kafka": {
            "topic": name,
            "partitions": partitions,
            "topicConfiguration": configuration(&contract.topic),
            "bindingVersion": "0.5.0",
        }},
    })
}

/// The topic's settings, with numbers as numbers and policies as a list, as the binding wants them.
fn configuration(topic: &Topic) -> Value {
    let settings = topic.config().iter().map(|(name, value)| {
        let value = match (*name, value.parse::<i64>()) {
            ("cleanup.policy", _) => json!([value]),
            (_, Ok(number)) => json!(number),
            (_, Err(_)) => json!(value),
        };
        ((*name).to_owned(), value)
    });
    settings.collect::<Map<_, _>>().into()
}

fn message(contract: &Contract, ty: &str) -> Value {
    let payload = match contract.tombstones.contains(&ty) {
        true => json!({"type": "null"}),
        false => json!({
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": format!("schemas/{}.json", contract.topic.name)},
        }),
    };
    json!({
        "name": ty,
        "traits": [{"$ref": "#/components/messageTraits/event"}],
        "payload": payload,
        "bindings": {"kafka": {"key": {"type": "string", "description": "The aggregate's id."}, "bindingVersion": "0.5.0"}},
    })
}

/// What every event has: its headers.
fn event() -> Value {
    let described = [
        (names::SPECVERSION, "1.0"),
        (names::CONTENT_TYPE, "application/json"),
        (names::ID, "A UUID of version 7, by which a duplicate is known."),
        (names::SOURCE, "The context that publishes it: /hotel/direct-booking."),
        (names::TYPE, "What happened, with the major version."),
        (names::SUBJECT, "The aggregate's id, as in the key."),
        (names::SEQUENCE, "The aggregate's version: 20 digits, zero-padded."),
        (names::TIME, "When it was recorded, RFC 3339."),
        (names::DATASCHEMA, "The `$id` of the document's JSON Schema."),
        (names::CORRELATION_ID, "The first command of the story."),
        (names::CAUSATION_ID, "The direct cause."),
        (names::VALID_UNTIL, "Until when the document may be kept without being asked for again, RFC 3339."),
        (names::TRACEPARENT, "W3C Trace Context."),
        (names::TRACESTATE, "W3C Trace Context."),
        (names::POSITION, "Where in the write-ahead log it was read."),
    ];
    let required = [names::SPECVERSION, names::ID, names::SOURCE, names::TYPE, names::SUBJECT, names::TIME];
    let properties: Map<_, _> = described
        .into_iter()
        .map(|(name, description)| (name.to_owned(), json!({"type": "string", "description": description})))
        .collect();
    json!({
        "contentType": "application/json",
        "headers": {"type": "object", "required": required, "properties": properties},
    })
}
