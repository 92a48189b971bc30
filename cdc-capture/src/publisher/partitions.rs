//! Where an event goes, and that the first one of a partition goes alone. Pure: no client, no clock.
//!
//! A broker takes a producer's batches in their order and refuses one that would leave a gap. But of a producer that it
//! does not know yet it takes any batch as the first: if the real first one is refused, another that is on its way behind
//! it would be taken, and its events would come before those of the refused one. So until the first event of a partition
//! is acknowledged, none is sent after it.

use std::collections::HashMap;

/// No event was sent to the partition yet.
const NONE: u64 = u64::MAX;
/// The seed that Kafka's clients use.
const SEED: u32 = 0x9747_b28c;

/// The partitions of the topics, and the number of the first event that was sent to each.
#[derive(Debug, Default)]
pub(super) struct Partitions(HashMap<String, Vec<u64>>);

/// Why an event cannot be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// How many partitions the topic has is not known.
    UnknownTopic,
    /// The partition's first event is on its way.
    First,
}

impl Partitions {
    /// A topic has so many; what is known of it stays.
    pub(super) fn topic_has(&mut self, topic: String, count: usize) {
        self.0.entry(topic).or_insert_with(|| vec![NONE; count]);
    }

    /// The partition of an event, once it may be sent; all events with a number below `acknowledged` are acknowledged.
    pub(super) fn of(&self, topic: &str, key: &str, acknowledged: u64) -> Result<i32, Wait> {
        let firsts = self.0.get(topic).filter(|firsts| !firsts.is_empty()).ok_or(Wait::UnknownTopic)?;
        let partition = index(key, firsts.len());
        match firsts[partition] {
            NONE => Ok(partition as i32),
            first if first < acknowledged => Ok(partition as i32),
            _ => Err(Wait::First),
        }
    }

    /// The event with this number was sent.
    pub(super) fn sent(&mut self, topic: &str, partition: i32, number: u64) {
        if let Some(first @ &mut NONE) = self.0.get_mut(topic).and_then(|firsts| firsts.get_mut(partition as usize)) {
            *first = number;
        }
    }
}

/// The partition of a key, as Java's producer has it.
fn index(key: &str, partitions: usize) -> usize {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) as usize % partitions
}

/// MurmurHash2, 32 bits, by Austin Appleby, as `org.apache.kafka.common.utils.Utils.murmur2` has it.
fn murmur2(bytes: &[u8]) -> u32 {
    const FACTOR: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let word = u32::from_le_bytes(*word).wrapping_mul(FACTOR);
        hash = hash.wrapping_mul(FACTOR) ^ (word ^ (word >> 24)).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(FACTOR);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tests of Kafka's own clients.
    #[test]
    fn a_key_has_the_hash_that_kafka_s_clients_give_it() {
        let known = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn the_first_event_of_a_partition_goes_alone() {
        let mut partitions = Partitions::default();
        assert_eq!(partitions.of("orders", "21", 0), Err(Wait::UnknownTopic));
        partitions.topic_has("orders".to_owned(), 2);
        let at = partitions.of("orders", "21", 0).unwrap();
        partitions.sent("orders", at, 7);
        assert_eq!(partitions.of("orders", "21", 7), Err(Wait::First));
        let others = (0..10).map(|n| partitions.of("orders", &n.to_string(), 7));
        assert!(
            others.clone().any(|other| other == Ok(1 - at)) && others.clone().any(|other| other == Err(Wait::First))
        );
        assert_eq!(partitions.of("orders", "21", 8), Ok(at));
        partitions.topic_has("orders".to_owned(), 2);
        partitions.sent("orders", at, 9);
        assert_eq!(partitions.of("orders", "21", 8), Ok(at), "only the first one");
    }
}
