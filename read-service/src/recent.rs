//! A cache of bounded size that forgets what has not been used for long.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    mem,
    sync::{Mutex, PoisonError},
};

/// What was used lately, by key. Each entry has a weight; twice the limit is kept at most.
///
/// There are two generations: what is used goes into the young one, and when that has reached the limit it becomes the old one,
/// and the old one is forgotten.
pub(crate) struct Recent<K, V> {
    limit: usize,
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    weight: usize,
    old: HashMap<K, (V, usize)>,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        let generations = Generations { young: HashMap::new(), weight: 0, old: HashMap::new() };
        Self { limit, generations: Mutex::new(generations) }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((value, _)) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (key, (value, weight)) = generations.old.remove_entry(key)?;
        generations.put(key, value.clone(), weight, self.limit);
        Some(value)
    }

    pub(crate) fn insert(&self, key: K, value: V, weight: usize) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.put(key, value, weight, self.limit);
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.old.remove(key);
        if let Some((_, weight)) = generations.young.remove(key) {
            generations.weight -= weight;
        }
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn put(&mut self, key: K, value: V, weight: usize, limit: usize) {
        if self.weight + weight > limit {
            self.old = mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        if let Some((_, before)) = self.young.insert(key, (value, weight)) {
            self.weight -= before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let recent = Recent::new(10);
        recent.insert("kept", 0, 1);
        for number in 0..100 {
            recent.insert(Box::leak(number.to_string().into_boxed_str()) as &str, number, 1);
            assert_eq!(recent.get("kept"), Some(0));
        }
        assert_eq!((recent.get("0"), recent.get("99")), (None, Some(99)));
        let generations = recent.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 20);
    }

    #[test]
    fn what_is_removed_is_gone() {
        let recent = Recent::new(10);
        recent.insert("a", 1, 4);
        recent.remove("a");
        assert_eq!((recent.get("a"), recent.generations.lock().unwrap().weight), (None, 0));
    }
}
