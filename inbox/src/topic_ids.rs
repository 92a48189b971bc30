//! What a broker tells of topics: their ids, since a topic that was deleted and made anew has the same name and another id
//! (KIP-516), and how many partitions they have now. The client can ask for them, but rdkafka has no words for that yet.

use std::{
    collections::BTreeMap,
    ffi::{CStr, CString},
    ptr,
    time::Duration,
};

use rdkafka::{
    bindings::{
        rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_broker,
        rd_kafka_AdminOptions_set_request_timeout, rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics,
        rd_kafka_TopicCollection_destroy, rd_kafka_TopicCollection_of_topic_names, rd_kafka_TopicDescription_error,
        rd_kafka_TopicDescription_name, rd_kafka_TopicDescription_partitions, rd_kafka_TopicDescription_t,
        rd_kafka_TopicDescription_topic_id, rd_kafka_Uuid_base64str, rd_kafka_Uuid_least_significant_bits,
        rd_kafka_Uuid_most_significant_bits, rd_kafka_admin_op_t, rd_kafka_error_code,
        rd_kafka_event_DescribeTopics_result, rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_queue_destroy,
        rd_kafka_queue_new, rd_kafka_queue_poll,
    },
    error::{KafkaError, KafkaResult},
    types::{RDKafka, RDKafkaErrorCode, RDKafkaRespErr},
};

/// A topic as a broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    /// Its id, as Kafka writes it; none where the brokers keep none.
    pub(crate) id: Option<String>,
    /// How many it has.
    pub(crate) partitions: usize,
}

/// What a broker tells of each topic, or why it tells nothing of it, which is no word about its id.
pub(crate) type Told = BTreeMap<String, Result<Described, RDKafkaErrorCode>>;

/// Asks the broker with this number. Brokers that know nothing of ids tell of no topic. Blocks for at most `patience`.
///
/// # Errors
/// When no broker answers.
pub(crate) fn ask(client: *mut RDKafka, broker: i32, names: &[&str], patience: Duration) -> KafkaResult<Told> {
    // No topic's name has a zero byte in it.
    let names: Vec<CString> = names.iter().filter_map(|name| CString::new(*name).ok()).collect();
    match describe(client, broker, &names, patience) {
        Err(RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion) => Ok(Told::new()),
        Err(code) => Err(KafkaError::AdminOp(code)),
        Ok(told) => Ok(told),
    }
}

#[allow(
    unsafe_code,
    reason = "the client is borrowed by the caller; what is made here is destroyed here, and copied before"
)]
fn describe(
    client: *mut RDKafka,
    broker: i32,
    names: &[CString],
    patience: Duration,
) -> Result<Told, RDKafkaErrorCode> {
    let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let operation = rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    unsafe {
        let topics = Owned(
            rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()),
            rd_kafka_TopicCollection_destroy,
        );
        let options = Owned(rd_kafka_AdminOptions_new(client, operation), rd_kafka_AdminOptions_destroy);
        // Neither is refused: both are numbers in their range.
        rd_kafka_AdminOptions_set_request_timeout(options.0, patience, ptr::null_mut(), 0);
        rd_kafka_AdminOptions_set_broker(options.0, broker, ptr::null_mut(), 0);
        let queue = Owned(rd_kafka_queue_new(client), rd_kafka_queue_destroy);
        rd_kafka_DescribeTopics(client, topics.0, options.0, queue.0);
        let event = Owned(rd_kafka_queue_poll(queue.0, patience), rd_kafka_event_destroy);
        if event.0.is_null() {
            return Err(RDKafkaErrorCode::OperationTimedOut);
        }
        let error = rd_kafka_event_error(event.0);
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        let mut count = 0;
        let found =
            rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event.0), &raw mut count);
        Ok((0..count).filter_map(|place| told(*found.add(place))).collect())
    }
}

/// A topic's name, and what is told of it.
#[allow(unsafe_code, reason = "called while the answer that holds the description is there")]
unsafe fn told(topic: *const rd_kafka_TopicDescription_t) -> Option<(String, Result<Described, RDKafkaErrorCode>)> {
    let text = |pointer| unsafe { CStr::from_ptr(pointer) }.to_str().map(str::to_owned).ok();
    unsafe {
        let name = text(rd_kafka_TopicDescription_name(topic))?;
        let error = rd_kafka_error_code(rd_kafka_TopicDescription_error(topic));
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Some((name, Err(error.into())));
        }
        let mut partitions = 0;
        rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let id = rd_kafka_TopicDescription_topic_id(topic);
        // All zeros: the brokers keep none.
        let is_none = rd_kafka_Uuid_most_significant_bits(id) == 0 && rd_kafka_Uuid_least_significant_bits(id) == 0;
        let id = if is_none { None } else { text(rd_kafka_Uuid_base64str(id)) };
        Some((name, Ok(Described { id, partitions })))
    }
}

/// Something of the client's that is destroyed when it is dropped.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Owned<T> {
    #[allow(unsafe_code, reason = "it is dropped once, and all of these may be null")]
    fn drop(&mut self) {
        if !self.0.is_null() {
            unsafe { (self.1)(self.0) }
        }
    }
}
