//! What a booking's room needs, and what becomes of each task. Pure: no I/O.
//!
//! The tasks follow from the state that a booking is in, and not from how it came there: states that were left out, or are
//! told again, make no difference. A task that has ended stays as it is, and is not scheduled again.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    direct_booking::BookingStatus,
    envelope::AggregateVersion,
    housekeeping::{TaskEvent, TaskKind, TaskStatus},
    id::{BookingId, RoomTypeId, TaskId},
};

/// What this context knows of a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) booking_id: BookingId,
    pub(crate) version: AggregateVersion,
    pub(crate) status: BookingStatus,
    pub(crate) room_type_id: RoomTypeId,
    /// The room, once the guest has one.
    pub(crate) room: Option<String>,
    pub(crate) arrival: NaiveDate,
    /// As it was booked; once the guest has left, the day of that.
    pub(crate) departure: NaiveDate,
}

/// Something that has to be done for a booking's room on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) version: AggregateVersion,
    pub(crate) kind: TaskKind,
    pub(crate) status: TaskStatus,
    pub(crate) booking_id: BookingId,
    pub(crate) room_type_id: RoomTypeId,
    pub(crate) room: Option<String>,
    pub(crate) day: NaiveDate,
    pub(crate) completed_at: Option<DateTime<Utc>>,
}

/// Why a task cannot be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is done.
    #[error("the task is completed")]
    AlreadyCompleted,
    /// It need not be done any more.
    #[error("the task is cancelled")]
    Cancelled,
}

impl Stay {
    /// What has to change among its tasks; `tasks` are all that it ever had.
    pub(crate) fn changes(&self, tasks: &[Task]) -> Vec<(Task, TaskEvent)> {
        let open = tasks.iter().filter(|task| task.status == TaskStatus::Scheduled);
        let mut changes: Vec<_> = open.filter_map(|task| self.change(task)).collect();
        for kind in [TaskKind::Preparation, TaskKind::DepartureCleaning] {
            if tasks.iter().all(|task| task.kind != kind) {
                changes.extend(self.day_of(kind).map(|day| self.schedule(kind, day)));
            }
        }
        changes
    }

    /// The daily cleaning of a day; none where the guest is not in the house on it, or comes or leaves on it.
    pub(crate) fn daily_cleaning(&self, day: NaiveDate) -> Option<(Task, TaskEvent)> {
        self.is_cleaned_on(day).then(|| self.schedule(TaskKind::DailyCleaning, day))
    }

    /// The day of what is done once for a booking; none where it need not be done.
    fn day_of(&self, kind: TaskKind) -> Option<NaiveDate> {
        use BookingStatus::{CheckedIn, CheckedOut, Confirmed};
        match (kind, self.status) {
            (TaskKind::Preparation, Confirmed | CheckedIn) => Some(self.arrival),
            (TaskKind::DepartureCleaning, Confirmed | CheckedIn | CheckedOut) => Some(self.departure),
            _ => None,
        }
    }

    fn is_cleaned_on(&self, day: NaiveDate) -> bool {
        self.status == BookingStatus::CheckedIn && self.arrival < day && day < self.departure
    }

    fn schedule(&self, kind: TaskKind, day: NaiveDate) -> (Task, TaskEvent) {
        let task = Task {
            id: TaskId::generate(),
            version: AggregateVersion::FIRST,
            kind,
            status: TaskStatus::Scheduled,
            booking_id: self.booking_id.clone(),
            room_type_id: self.room_type_id.clone(),
            room: self.room.clone(),
            day,
            completed_at: None,
        };
        (task, TaskEvent::TaskScheduled)
    }

    /// What becomes of one that is open; none where it is as it should be.
    fn change(&self, task: &Task) -> Option<(Task, TaskEvent)> {
        let day = match task.kind {
            TaskKind::DailyCleaning => self.is_cleaned_on(task.day).then_some(task.day),
            once => self.day_of(once),
        };
        let Some(day) = day else {
            let after = Task { status: TaskStatus::Cancelled, ..task.next() };
            return Some((after, TaskEvent::TaskCancelled));
        };
        let is_so = (&task.room_type_id, &task.room, task.day) == (&self.room_type_id, &self.room, day);
        (!is_so).then(|| {
            let (room_type_id, room) = (self.room_type_id.clone(), self.room.clone());
            (Task { room_type_id, room, day, ..task.next() }, TaskEvent::TaskChanged)
        })
    }
}

impl Task {
    /// It is done.
    pub(crate) fn complete(&self, now: DateTime<Utc>) -> Result<(Self, TaskEvent), Refusal> {
        match self.status {
            TaskStatus::Completed => Err(Refusal::AlreadyCompleted),
            TaskStatus::Cancelled => Err(Refusal::Cancelled),
            TaskStatus::Scheduled => {
                let after = Self { status: TaskStatus::Completed, completed_at: Some(now), ..self.next() };
                Ok((after, TaskEvent::TaskCompleted))
            }
        }
    }

    fn next(&self) -> Self {
        Self { version: self.version.next(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::Days;
    use proptest::{collection::vec, option, prelude::*, sample::select};

    use super::*;

    /// All of one booking: what is known of it, its tasks, and from which day on its cleaning has been thought of.
    #[derive(Default)]
    struct House {
        stay: Option<Stay>,
        tasks: BTreeMap<TaskId, Task>,
        next_cleaning: Option<NaiveDate>,
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// A booking's document comes in.
        Told(Stay),
        /// A worker looks on this day.
        Day(NaiveDate),
        /// One of the tasks is completed.
        Done(prop::sample::Index),
    }

    fn day(number: u64) -> NaiveDate {
        "2026-03-01".parse::<NaiveDate>().unwrap() + Days::new(number)
    }

    fn stay(version: i64, status: BookingStatus, arrival: u64, nights: u64) -> Stay {
        Stay {
            booking_id: "b".parse().unwrap(),
            version: version.try_into().unwrap(),
            status,
            room_type_id: "double".parse().unwrap(),
            room: None,
            arrival: day(arrival),
            departure: day(arrival + nights),
        }
    }

    impl House {
        fn keep(&mut self, changes: impl IntoIterator<Item = (Task, TaskEvent)>) {
            for (task, event) in changes {
                let before = self.tasks.get(&task.id);
                assert_eq!(before.is_none(), event == TaskEvent::TaskScheduled, "{event:?} {before:?}");
                assert_eq!(task.version.get(), before.map_or(1, |before| before.version.get() + 1));
                let was_open = before.is_none_or(|before| before.status == TaskStatus::Scheduled);
                assert!(was_open, "what has ended changes: {before:?} {task:?}");
                self.tasks.insert(task.id.clone(), task);
            }
        }

        fn told(&mut self, stay: Stay) {
            if self.stay.as_ref().is_some_and(|known| known.version >= stay.version) {
                return;
            }
            let tasks: Vec<Task> = self.tasks.values().cloned().collect();
            self.keep(stay.changes(&tasks));
            self.next_cleaning.get_or_insert(stay.arrival + Days::new(1));
            self.stay = Some(stay);
        }

        fn look(&mut self, today: NaiveDate) {
            if let (Some(stay), Some(next)) = (self.stay.clone(), self.next_cleaning)
                && next <= today
            {
                self.keep(stay.daily_cleaning(today));
                self.next_cleaning = Some(today + Days::new(1));
            }
        }

        fn of(&self, kind: TaskKind) -> Vec<&Task> {
            self.tasks.values().filter(|task| task.kind == kind).collect()
        }

        fn take(&mut self, step: Step) {
            match step {
                Step::Told(stay) => self.told(stay),
                Step::Day(today) => self.look(today),
                Step::Done(_) if self.tasks.is_empty() => {}
                Step::Done(which) => {
                    let all: Vec<Task> = self.tasks.values().cloned().collect();
                    let task = which.get(&all);
                    match task.complete(day(0).and_hms_opt(12, 0, 0).unwrap().and_utc()) {
                        Ok(change) => self.keep([change]),
                        Err(refusal) => assert_eq!(
                            refusal == Refusal::Cancelled,
                            task.status == TaskStatus::Cancelled,
                            "{refusal} {task:?}"
                        ),
                    }
                }
            }
        }

        /// What has to hold at any time.
        fn check(&self) {
            let places: BTreeSet<_> = self.tasks.values().map(|task| (task.kind, task.day)).collect();
            assert_eq!(places.len(), self.tasks.len(), "scheduled twice: {:?}", self.tasks);
            for kind in [TaskKind::Preparation, TaskKind::DepartureCleaning] {
                assert!(self.of(kind).len() <= 1, "{:?}", self.tasks);
            }
            let Some(stay) = &self.stay else { return };
            for task in self.tasks.values().filter(|task| task.status == TaskStatus::Scheduled) {
                assert_eq!((&task.room, &task.room_type_id), (&stay.room, &stay.room_type_id));
                let is_right = match (task.kind, stay.status) {
                    (TaskKind::Preparation, BookingStatus::Confirmed | BookingStatus::CheckedIn) => {
                        task.day == stay.arrival
                    }
                    (
                        TaskKind::DepartureCleaning,
                        BookingStatus::Confirmed | BookingStatus::CheckedIn | BookingStatus::CheckedOut,
                    ) => task.day == stay.departure,
                    (TaskKind::DailyCleaning, BookingStatus::CheckedIn) => {
                        stay.arrival < task.day && task.day < stay.departure
                    }
                    _ => false,
                };
                assert!(is_right, "{task:?} of {stay:?}");
            }
            let is_coming = [BookingStatus::Confirmed, BookingStatus::CheckedIn].contains(&stay.status);
            assert!(!is_coming || self.tasks.len() >= 2, "{:?}", self.tasks);
        }
    }

    fn any_stay() -> impl Strategy<Value = Stay> {
        (1i64..12, select(BookingStatus::ALL), 0u64..4, 0u64..6, option::of("[1-3]")).prop_map(
            |(version, status, arrival, nights, room)| Stay { room, ..stay(version, status, arrival, nights) },
        )
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any_stay().prop_map(Step::Told),
            3 => (0u64..12).prop_map(|number| Step::Day(day(number))),
            2 => any::<prop::sample::Index>().prop_map(Step::Done),
        ]
    }

    proptest! {
        #[test]
        fn whatever_comes_in_whatever_order_nothing_is_scheduled_twice_or_left_open(steps in vec(any_step(), 0..30)) {
            let mut house = House::default();
            for step in steps {
                house.take(step);
                house.check();
            }
        }

        #[test]
        fn what_is_told_again_changes_nothing(told in vec(any_stay(), 1..12), again in vec(any::<prop::sample::Index>(), 1..12)) {
            let mut house = House::default();
            told.iter().cloned().for_each(|stay| house.told(stay));
            let before = house.tasks.clone();
            again.iter().for_each(|which| house.told(which.get(&told).clone()));
            prop_assert_eq!(house.tasks, before);
        }

        #[test]
        fn states_that_were_left_out_make_no_difference_to_what_is_open(left_out in vec(any::<bool>(), 3), ends in 0usize..4) {
            use BookingStatus::{Cancelled, CheckedIn, CheckedOut, Confirmed, Pending};
            let last = [Confirmed, Cancelled, CheckedIn, CheckedOut][ends];
            let life = [Pending, Confirmed, CheckedIn].into_iter().zip([1, 2, 3]);
            let open = |states: Vec<(BookingStatus, i64)>| {
                let mut house = House::default();
                states.into_iter().for_each(|(status, version)| house.told(stay(version, status, 1, 3)));
                house.told(stay(9, last, 1, 3));
                let open = house.tasks.into_values().filter(|task| task.status == TaskStatus::Scheduled);
                open.map(|task| (task.kind, task.day)).collect::<BTreeSet<_>>()
            };
            let heard = life.clone().zip(&left_out).filter(|(_, left_out)| !**left_out).map(|(state, _)| state);
            prop_assert_eq!(open(heard.collect()), open(life.collect()));
        }

        #[test]
        fn each_day_between_is_cleaned_once_however_often_it_is_looked(nights in 0u64..9, looks in vec(0u64..14, 0..40)) {
            let mut house = House::default();
            house.told(stay(1, BookingStatus::CheckedIn, 1, nights));
            let mut looked = BTreeSet::new();
            for number in looks {
                house.look(day(number));
                looked.insert(day(number));
            }
            let cleaned: BTreeSet<_> = house.of(TaskKind::DailyCleaning).iter().map(|task| task.day).collect();
            prop_assert_eq!(cleaned.len(), house.of(TaskKind::DailyCleaning).len());
            prop_assert!(cleaned.iter().all(|on| day(1) < *on && *on < day(1 + nights) && looked.contains(on)));
        }
    }

    #[test]
    fn a_worker_that_was_away_schedules_todays_cleaning_alone() {
        let mut house = House::default();
        house.told(stay(1, BookingStatus::CheckedIn, 0, 9));
        house.look(day(5));
        house.look(day(5));
        house.look(day(4));
        house.look(day(6));
        let days: Vec<_> = house.of(TaskKind::DailyCleaning).iter().map(|task| task.day).collect();
        assert_eq!(days, [day(5), day(6)]);
    }

    #[test]
    fn who_leaves_early_has_the_room_cleaned_on_that_day() {
        let mut house = House::default();
        house.told(stay(1, BookingStatus::Confirmed, 0, 5));
        house.told(Stay { room: Some("7".to_owned()), ..stay(2, BookingStatus::CheckedIn, 0, 5) });
        house.look(day(2));
        house.told(Stay { room: Some("7".to_owned()), ..stay(3, BookingStatus::CheckedOut, 0, 2) });
        let open: Vec<_> = house.tasks.values().filter(|task| task.status == TaskStatus::Scheduled).collect();
        assert_eq!(open.len(), 1);
        assert_eq!((open[0].kind, open[0].day), (TaskKind::DepartureCleaning, day(2)));
        assert_eq!(open[0].room.as_deref(), Some("7"));
    }
}
