//! `/openapi.json` is true: whatever is sent, the answer is one that the document names.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{Validator, validator_for};
use proptest::{prelude::*, sample::select, test_runner::TestRunner};
use serde_json::{Map, Value, json};

use crate::{
    bad_input::{COMMANDS, any_json, collect, hotel},
    fixture::{Answer, Hotel, day},
};

/// What the hotel has for an operation, by a part of its path: the first that fits.
const OWN: &[(&str, &str)] = &[
    ("/accounts/{", "ada"),
    ("/room-types/{", "double"),
    ("/rate-plans/{", "flexible"),
    ("/check-in", "b1"),
    ("/send-confirmation", "b1"),
    ("/check-out", "b2"),
    ("/bookings/{", "b0"),
    ("/payments/{", "b0"),
    ("/erase", "zoe"),
    ("/guests/{", "ann"),
    ("/tasks/{", "t1"),
    ("/disconnect", "gone"),
    ("/sites/{", "expo"),
    ("/site-bookings/{", "c0"),
];

const METHODS: [&str; 2] = ["get", "post"];

/// One request, made of what the document says of it, and then perhaps spoilt.
#[derive(Clone, Debug)]
struct Sent {
    operation: usize,
    id: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

/// One operation of the document.
struct Operation {
    method: String,
    path: String,
    described: Value,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, described) in methods.as_object().unwrap() {
            operations.push(Operation { method: method.clone(), path: path.clone(), described: described.clone() });
        }
    }
    operations
}

/// A value that a schema allows. Where the hotel has something of that name, often that.
fn allowed(name: &str, schema: &Value) -> BoxedStrategy<Value> {
    if schema["type"].is_null() {
        let each = schema["oneOf"].as_array().unwrap().iter().map(|schema| allowed(name, schema));
        return prop::strategy::Union::new(each.collect::<Vec<_>>()).boxed();
    }
    match schema["type"].as_str().unwrap() {
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "object" => {
            let required: Vec<_> = schema["required"].as_array().unwrap().clone();
            let fields = schema["properties"].as_object().unwrap().iter().map(|(name, schema)| {
                let value = allowed(name, schema);
                let value = if required.contains(&json!(name)) {
                    value.prop_map(Some).boxed()
                } else {
                    prop::option::of(value).boxed()
                };
                (Just(name.clone()), value)
            });
            let object = |fields: Vec<(String, Option<Value>)>| {
                Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
            };
            let body = fields.collect::<Vec<_>>().prop_map(object);
            let only = |keyword: &str| {
                Value::Object(
                    schema
                        .as_object()
                        .unwrap()
                        .get_key_value(keyword)
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .into_iter()
                        .collect(),
                )
            };
            let [one, any] = ["oneOf", "anyOf"].map(|keyword| validator_for(&only(keyword)).unwrap());
            body.prop_filter("as the fields are to each other", move |body| one.is_valid(body) && any.is_valid(body))
                .boxed()
        }
        "array" => {
            let least = schema["minItems"].as_u64().unwrap() as usize;
            prop::collection::vec(allowed("", &schema["items"]), least..=least + 3).prop_map(Value::from).boxed()
        }
        "integer" => {
            let (least, most) = (schema["minimum"].as_i64().unwrap(), schema["maximum"].as_i64().unwrap());
            prop_oneof![least..=most, least..=(least + 3).min(most)].prop_map(Value::from).boxed()
        }
        "string" if schema["format"] == "date-time" => {
            (-2i64..60).prop_map(|days| json!(chrono::Utc::now() + chrono::TimeDelta::days(days))).boxed()
        }
        "string" if schema["format"] == "date" => (0i64..60).prop_map(|from_today| json!(day(from_today))).boxed(),
        "string" => {
            let validator = validator_for(schema).unwrap();
            let known: Vec<_> = match name {
                "accountId" => vec!["ada"],
                "roomTypeId" => vec!["double"],
                "ratePlanId" => vec!["flexible"],
                "url" => vec!["http://127.0.0.1:9/hotel", "https://127.0.0.1:9/?key=k"],
                _ => vec!["EUR", "BE", "Zoë", "李小龍", "O'Hara", "ada@example.org", "b0", "", "10"],
            };
            let known: Vec<_> = known.into_iter().map(Value::from).filter(|text| validator.is_valid(text)).collect();
            let random =
                "[A-Za-z0-9]{1,12}".prop_map(Value::from).prop_filter("allowed", move |text| validator.is_valid(text));
            if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains("[A-Z]{")) {
                return select(known).boxed();
            }
            if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains('@') || pattern.contains("://")) {
                return select(known).boxed();
            }
            prop_oneof![3 => select(known), 1 => random].boxed()
        }
        other => panic!("{other} is not expected in a body"),
    }
}

/// The body with one of its values replaced by any other.
fn spoilt(body: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    (body, any::<prop::sample::Index>(), any_json()).prop_map(|(mut body, place, value)| {
        let mut places = Vec::new();
        collect(&body, "", &mut places);
        let place: &String = place.get(&places);
        if let Some(old) = body.pointer_mut(place) {
            *old = value;
        }
        body
    })
}

fn bodies(described: &Value) -> BoxedStrategy<Option<Vec<u8>>> {
    let schema = &described["requestBody"]["content"]["application/json"]["schema"];
    if schema.is_null() {
        return Just(None).boxed();
    }
    let body = allowed("", schema);
    let json = prop_oneof![3 => body.clone(), 2 => spoilt(body)].prop_map(|body| Some(body.to_string().into_bytes()));
    let bytes = prop::collection::vec(any::<u8>(), 0..40).prop_map(Some);
    prop_oneof![12 => json, 1 => bytes, 1 => Just(None), 1 => Just(Some(vec![b'['; 70_000]))].boxed()
}

fn headers(is_command: bool) -> BoxedStrategy<Vec<(&'static str, String)>> {
    let text = |values: &[&str]| select(values.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    let maybe = |name: &'static str, values: BoxedStrategy<String>, weight: f64| {
        prop::option::weighted(weight, values).prop_map(move |value| value.map(|value| (name, value)))
    };
    let tags = text(&["\"1-1\"", "\"1-2\"", "W/\"1-1\"", "*", "", "x, \"1-1\""]).boxed();
    if !is_command {
        return maybe("if-none-match", tags, 0.5).prop_map(|header| header.into_iter().collect()).boxed();
    }
    let fresh = any::<u128>().prop_map(|number| format!("{number:x}"));
    let key = prop_oneof![20 => fresh, 3 => text(&["k1", "\"k1\"", "k2"]), 1 => text(&["", "\"", "a b"])].boxed();
    let token = contracts::ReadAfter {
        topic: contracts::accounts::ACCOUNT.name.to_owned(),
        subject: "ada".to_owned(),
        version: contracts::envelope::AggregateVersion::FIRST,
    };
    let token = token.to_string();
    let content_type = prop_oneof![
        9 => Just(Some("application/json".to_owned())),
        1 => text(&["text/plain", "application/json; charset=utf-8", "x"]).prop_map(Some),
        1 => Just(None)
    ]
    .prop_map(|value| value.map(|value| ("content-type", value)));
    let junk = prop_oneof!["[ -~]{0,20}", Just("x".repeat(100))].boxed();
    let others = (
        maybe("if-match", prop_oneof![tags, junk.clone()].boxed(), 0.2),
        maybe("read-after", prop_oneof![1 => Just(token), 1 => junk.clone()].boxed(), 0.15),
        maybe("x-correlation-id", prop_oneof![2 => Just("story".to_owned()), 1 => junk.clone()].boxed(), 0.15),
        maybe(
            "prefer",
            prop_oneof![2 => text(&["wait=1", "respond-async", "wait=1, respond-async"]), 1 => junk].boxed(),
            0.15,
        ),
    );
    (maybe("idempotency-key", key, 0.95), content_type, others)
        .prop_map(|(key, content_type, (tag, token, story, prefer))| {
            [key, content_type, tag, token, story, prefer].into_iter().flatten().collect()
        })
        .boxed()
}

fn requests(operations: &[Operation]) -> BoxedStrategy<Sent> {
    let ids = ["ada", "double", "b0", "nothing", "%20", "a%2Fb", "%ff", &"x".repeat(65)].map(str::to_owned).to_vec();
    let each = operations.iter().enumerate().map(|(operation, it)| {
        let own = OWN.iter().find(|(part, _)| it.path.contains(part)).map_or("", |(_, id)| id);
        // Once the account is closed, little can be done any more: another one is.
        let closes = it.path.ends_with("/close");
        let own = if closes { "eve" } else { own };
        let ids = ids.iter().filter(|id| !closes || *id != "ada").cloned().collect::<Vec<_>>();
        let id = prop_oneof![3 => Just(own.to_owned()), 1 => select(ids)];
        (id, headers(it.method == "post"), bodies(&it.described))
            .prop_map(move |(id, headers, body)| Sent { operation, id, headers, body })
            .boxed()
    });
    // Those that end something come seldom: what they leave is good for refusals only.
    let weighed = each.zip(operations).map(|(it, operation)| {
        let ends = operation.path.ends_with("/close")
            || operation.path.ends_with("/cancel")
            || operation.path.ends_with("/erase")
            || operation.path.ends_with("/disconnect");
        (if ends { 4 } else { 9 }, it)
    });
    prop::strategy::Union::new_weighted(weighed.collect()).boxed()
}

async fn answer(hotel: &Hotel, operation: &Operation, sent: &Sent) -> Answer {
    let request = hotel.service.request(&operation.method.to_uppercase(), &operation.path.replace("{id}", &sent.id));
    let request = sent.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    hotel.service.send(sent.body.iter().fold(request, |request, body| request.body(body.clone()))).await
}

/// Why the answer is not one that the document names, if it is not.
fn untrue(document: &Value, operation: &Operation, answer: &Answer) -> Result<(), String> {
    if answer.status >= 500 {
        return Err("the service failed".to_owned());
    }
    let described = &operation.described["responses"][answer.status.to_string()];
    if described.is_null() {
        return Err("the status is not named".to_owned());
    }
    for (name, header) in described["headers"].as_object().into_iter().flatten() {
        if header["required"] == true && !answer.headers.contains_key(&name.to_ascii_lowercase()) {
            return Err(format!("the header {name} is missing"));
        }
    }
    match (described["content"].as_object(), answer.headers.get("content-type")) {
        (None, None) if answer.bytes.is_empty() => Ok(()),
        (Some(content), Some(media_type)) => {
            let schema = &content.get(media_type).ok_or("the media type is not named")?["schema"];
            let validator = within(document, schema);
            validator.validate(&answer.body).map_err(|error| format!("the body is another: {error}"))
        }
        (named, found) => Err(format!("content {found:?} where the document names {named:?}")),
    }
}

/// A schema of the document, which may refer to the document's components.
fn within(document: &Value, schema: &Value) -> Validator {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    validator_for(&whole).unwrap()
}

async fn document(hotel: &Hotel) -> Value {
    let served = hotel.service.get("/openapi.json").await.expect(200);
    assert_eq!(served.header("content-type"), "application/json");
    served.body
}

#[test]
fn no_request_gets_an_answer_that_the_document_does_not_name() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hotel = runtime.block_on(hotel("openapi"));
    runtime.block_on(hotel.service.post("/accounts/accounts", &crate::fixture::account("eve"))).expect(201);
    let document = runtime.block_on(document(&hotel));
    let operations = operations(&document);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() });
    let seen = std::cell::RefCell::new(BTreeMap::<String, BTreeSet<u16>>::new());
    let checked = runner.run(&requests(&operations), |sent| {
        let operation = &operations[sent.operation];
        let answer = runtime.block_on(answer(&hotel, operation, &sent));
        let name = operation.described["operationId"].as_str().unwrap().to_owned();
        seen.borrow_mut().entry(name).or_default().insert(answer.status);
        untrue(&document, operation, &answer).map_err(|error| {
            TestCaseError::fail(format!("{error}: {} {} {answer:?}", operation.method, operation.path))
        })
    });
    checked.unwrap();
    // It was no vain effort: each operation was also done, and refused.
    let seen = seen.into_inner();
    assert_eq!(seen.len(), operations.len());
    for (name, statuses) in &seen {
        assert!(
            statuses.iter().any(|status| *status < 300) && statuses.iter().any(|status| *status >= 400),
            "{name}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn every_route_is_in_the_document_and_a_good_body_is_one_that_it_allows() {
    let hotel = hotel("openapi routes").await;
    let document = document(&hotel).await;
    assert_eq!(document["openapi"], "3.1.0");
    let paths: BTreeSet<_> = operations(&document).into_iter().map(|it| format!("{} {}", it.method, it.path)).collect();
    let expected = COMMANDS.iter().map(|(path, _)| {
        OWN.iter().fold(format!("post {path}"), |path, (_, id)| path.replace(&format!("/{id}/"), "/{id}/"))
    });
    let documents = [
        "get /accounts/accounts/{id}",
        "get /channel-manager/site-bookings/{id}",
        "get /channel-manager/site-bookings/{id}/outcome",
        "get /channel-manager/sites/{id}",
        "get /direct-booking/bookings/{id}",
        "get /direct-booking/bookings/{id}/outcome",
        "get /direct-booking/guests/{id}",
        "get /direct-booking/rate-plans/{id}",
        "get /direct-booking/room-types/{id}",
        "get /housekeeping/tasks/{id}",
        "get /payments/payments/{id}",
    ];
    assert_eq!(paths, expected.chain(documents.map(str::to_owned)).collect());
    assert!(operations(&document).iter().all(|it| METHODS.contains(&it.method.as_str())));

    // Those that make something new, so that it matters not what there was before.
    for (path, body) in COMMANDS.iter().filter(|(path, _)| !document["paths"][*path].is_null()) {
        let body = body();
        let schema = &document["paths"][*path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        let validator = validator_for(schema).unwrap();
        validator.validate(&body).unwrap();
        let made = hotel.service.post(path, &body).await;
        assert!([201, 202].contains(&made.status), "{path}: {made:?}");
        let mut surplus: Map<_, _> = body.as_object().unwrap().clone();
        surplus.insert("surplus".to_owned(), json!(1));
        assert!(!validator.is_valid(&surplus.into()));
        assert!(!validator.is_valid(&json!({})));
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let hotel = Hotel::open("docs").await;
    let page = hotel.service.get("/docs").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let text = String::from_utf8(page.bytes).unwrap();
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("src="), "{text}");
}

#[tokio::test]
async fn a_context_that_is_not_run_is_not_documented() {
    let hotel = Hotel::open_with("openapi subset", |mut settings| {
        settings.contexts.retain(|(context, _)| context.name == "accounts");
        settings
    })
    .await;
    let document = document(&hotel).await;
    assert!(document["paths"].as_object().unwrap().keys().all(|path| path.starts_with("/accounts/")));
}
