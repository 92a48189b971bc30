//! The book alone: stories, and any order of wishes under few keys.

use proptest::prelude::*;

use super::*;
use crate::answer::Answer;

fn key(name: &str) -> Key {
    name.to_owned().try_into().unwrap()
}

fn charge(token: &str, amount: u64) -> Wish {
    Wish::Charge(Charge {
        card_token: token.to_owned().try_into().unwrap(),
        amount_minor: amount.try_into().unwrap(),
        currency: "EUR".to_owned().try_into().unwrap(),
        reference: "booking-1".to_owned().try_into().unwrap(),
    })
}

fn refund(charge: &str, amount: u64, currency: &str) -> Wish {
    Wish::Refund(Refund {
        charge_key: key(charge),
        amount_minor: amount.try_into().unwrap(),
        currency: currency.to_owned().try_into().unwrap(),
    })
}

impl Book {
    fn ask(&mut self, name: &str, wish: &Wish) -> Decision {
        self.decide(&key(name), wish, false, Stamp { id: Uuid::now_v7(), at: Utc::now() })
    }

    /// What a client gets who waits until nobody else is before it.
    fn entry(&mut self, name: &str, wish: &Wish) -> Arc<Entry> {
        match self.ask(name, wish) {
            Decision::New(entry, _) | Decision::Again(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(&mut self, name: &str, wish: &Wish) -> Refusal {
        match self.ask(name, wish) {
            Decision::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn who_repeats_a_request_gets_the_same_entry() {
    let mut book = Book::default();
    let first = book.entry("a", &charge("tok_visa", 7500));
    assert_eq!(book.entry("a", &charge("tok_visa", 7500)), first);
    assert!(matches!(book.ask("a", &charge("tok_visa", 7501)), Decision::OtherWish));
    assert!(matches!(book.ask("a", &refund("a", 7500, "EUR")), Decision::OtherWish));
    assert_ne!(book.entry("b", &charge("tok_visa", 7500)).id, first.id);
    assert_eq!(book.entries().len(), 2);
}

#[test]
fn until_the_first_is_answered_the_others_wait() {
    let mut book = Book::default();
    let Decision::New(entry, ticket) = book.ask("a", &charge("tok_visa", 1)) else { panic!("it is not new") };
    assert!(matches!(book.ask("a", &charge("tok_visa", 1)), Decision::UnderWay));
    drop(ticket);
    assert_eq!(book.entry("a", &charge("tok_visa", 1)), entry);
}

#[test]
fn a_token_may_say_how_its_charge_turns_out() {
    let mut book = Book::default();
    for (token, code) in [
        ("tok_declined", Some(DeclineCode::CardDeclined)),
        ("tok_declined_again", Some(DeclineCode::CardDeclined)),
        ("tok_insufficient", Some(DeclineCode::InsufficientFunds)),
        ("tok_visa", None),
    ] {
        assert_eq!(book.entry(token, &charge(token, 1)).decline_code, code, "{token}");
    }
}

#[test]
fn who_declines_everything_does_not_go_back_on_what_was_decided() {
    let mut book = Book::default();
    let first = book.entry("a", &charge("tok_visa", 1));
    let stamp = Stamp { id: Uuid::now_v7(), at: Utc::now() };
    let Decision::Again(again) = book.decide(&key("a"), &charge("tok_visa", 1), true, stamp) else { panic!() };
    assert_eq!(first, again);
    let Decision::New(declined, _) = book.decide(&key("b"), &charge("tok_visa", 1), true, stamp) else { panic!() };
    assert_eq!(declined.decline_code, Some(DeclineCode::CardDeclined));
}

#[test]
fn a_charge_is_refunded_once_and_never_more_than_it_was() {
    let mut book = Book::default();
    book.entry("paid", &charge("tok_visa", 100));
    book.entry("declined", &charge("tok_declined", 100));
    assert_eq!(book.refusal("r", &refund("nothing", 1, "EUR")), Refusal::NoSuchCharge);
    assert_eq!(book.refusal("r", &refund("declined", 1, "EUR")), Refusal::NoSuchCharge);
    assert_eq!(book.refusal("r", &refund("paid", 101, "EUR")), Refusal::MoreThanCharged);
    assert_eq!(book.refusal("r", &refund("paid", 100, "USD")), Refusal::OtherCurrency);
    // A refusal has not used up the key.
    let first = book.entry("r", &refund("paid", 60, "EUR"));
    assert_eq!((first.reference.as_str(), first.status), ("booking-1", Status::Succeeded));
    assert_eq!(book.entry("r", &refund("paid", 60, "EUR")), first);
    assert_eq!(book.refusal("s", &refund("paid", 40, "EUR")), Refusal::AlreadyRefunded);
    assert_eq!(book.refusal("s", &refund("r", 1, "EUR")), Refusal::NoSuchCharge);
}

#[test]
fn what_contradicts_itself_is_not_restored() {
    let mut book = Book::default();
    let paid = book.entry("paid", &charge("tok_visa", 100));
    let refund = book.entry("r", &refund("paid", 60, "EUR"));
    let declined = Entry { key: key("d"), status: Status::Declined, ..Entry::clone(&paid) };
    let refund_again = Entry { key: key("s"), ..Entry::clone(&refund) };
    let mut restored = Book::default();
    restored.restore(Entry::clone(&paid)).unwrap();
    restored.restore(Entry::clone(&refund)).unwrap();
    assert_eq!(restored.restore(Entry::clone(&paid)), Err(Contradiction::SameKey));
    assert_eq!(restored.restore(declined), Err(Contradiction::Fields));
    assert_eq!(restored.restore(refund_again), Err(Contradiction::Refund));
    assert_eq!(Book::default().restore(Entry::clone(&refund)), Err(Contradiction::Refund));
}

/// One step of many clients: a wish under one of a few keys, whose asker is answered at once or only later.
#[derive(Clone, Debug)]
struct Step {
    key: String,
    wish: Wish,
    decline: bool,
    keeps_waiting: bool,
    answers_oldest: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    let wish = prop_oneof![
        (prop::sample::select(vec!["tok_visa", "tok_declined", "tok_insufficient"]), 1..3_u64)
            .prop_map(|(token, amount)| charge(token, amount)),
        (name(), 1..4_u64, prop::sample::select(vec!["EUR", "EUR", "USD"]))
            .prop_map(|(charge, amount, currency)| refund(charge, amount, currency)),
    ];
    (name(), wish, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(key, wish, decline, keeps_waiting, answers_oldest)| Step {
            key: key.to_owned(),
            wish,
            decline,
            keeps_waiting,
            answers_oldest,
        },
    )
}

proptest! {
    #[test]
    fn in_any_order_a_key_has_one_entry_and_one_answer(steps in prop::collection::vec(step(), 1..60)) {
        let mut book = Book::default();
        let mut waiting: Vec<(Key, Ticket)> = Vec::new();
        let mut answers: HashMap<Key, (Wish, Answer)> = HashMap::new();
        for step in &steps {
            let name = key(&step.key);
            let before = book.entries().len();
            let stamp = Stamp { id: Uuid::now_v7(), at: Utc::now() };
            let decision = book.decide(&name, &step.wish, step.decline, stamp);
            prop_assert_eq!(book.entries().len() - before, usize::from(matches!(decision, Decision::New(..))));
            match decision {
                Decision::New(entry, ticket) => {
                    let answer = (step.wish.clone(), Answer::of(&entry));
                    prop_assert!(answers.insert(name.clone(), answer).is_none(), "a second entry");
                    if step.keeps_waiting {
                        waiting.push((name, ticket));
                    }
                }
                Decision::Again(entry) => {
                    prop_assert_eq!(&answers[&name], &(step.wish.clone(), Answer::of(&entry)));
                    prop_assert!(waiting.iter().all(|(key, _)| *key != name));
                }
                Decision::UnderWay => {
                    prop_assert_eq!(&answers[&name].0, &step.wish);
                    prop_assert!(waiting.iter().any(|(key, _)| *key == name));
                }
                Decision::OtherWish => prop_assert_ne!(&answers[&name].0, &step.wish),
                Decision::Refused(_) => prop_assert!(!answers.contains_key(&name)),
            }
            if step.answers_oldest && !waiting.is_empty() {
                waiting.remove(0);
            }
        }
        // What was written makes the same book, which answers the same.
        let mut restored = Book::default();
        for entry in book.entries() {
            let line = serde_json::to_vec(&**entry).unwrap();
            restored.restore(serde_json::from_slice(&line).unwrap()).unwrap();
        }
        for (name, (wish, answer)) in &answers {
            let Decision::Again(entry) = restored.ask(name.as_str(), wish) else { panic!("{name} is not known") };
            prop_assert_eq!(&Answer::of(&entry), answer);
        }
        for charge in book.entries().iter().filter(|entry| entry.kind == Kind::Charge) {
            let back = book.entries().iter().filter(|entry| entry.charge_key.as_ref() == Some(&charge.key));
            let back: Vec<_> = back.collect();
            prop_assert!(back.len() <= 1);
            let taken = if charge.status == Status::Succeeded { charge.amount_minor.get() } else { 0 };
            prop_assert!(back.iter().all(|entry| entry.amount_minor.get() <= taken));
        }
    }
}
