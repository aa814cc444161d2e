//! Every interleaving of small scenes: no wake-up is lost, no element is lost, nobody stays parked.
//!
//! A lost wake-up shows as loom's «deadlock» panic: all threads blocked, one of them parked.

use std::time::Duration;

use loom::thread;
use ring_model::ring::{Consumer, Producer, PushError, Sleeper, ring};

/// Checks all interleavings with up to three pre-emptions: the long scenes take minutes without a
/// bound, and a wake-up is lost by one pre-emption at the wrong place.
fn bounded(scene: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(scene);
}

/// Waits for room and pushes; the element comes back when the consumer is gone.
fn push_waiting<T>(sleeper: &mut Sleeper, producer: &mut Producer<T>, element: T) -> Option<T> {
    sleeper.sleep_until(|| !producer.is_full() || producer.is_abandoned());
    match producer.push(element) {
        Ok(()) => None,
        Err(PushError::Abandoned(element)) => Some(element),
        Err(PushError::Full(_)) => panic!("only the producer fills a ring"),
    }
}

/// Waits for an element; `None` when none will come.
fn pop_waiting<T>(sleeper: &mut Sleeper, consumer: &mut Consumer<T>) -> Option<T> {
    sleeper.sleep_until(|| !consumer.is_empty() || consumer.is_finished());
    consumer.pop()
}

#[test]
fn a_push_wakes_the_consumer_and_a_pop_the_producer() {
    loom::model(|| {
        let (mut here, mut there) = (Sleeper::new(), Sleeper::new());
        let (mut producer, mut consumer) = ring(1, here.waker(), there.waker());
        let taker = thread::spawn(move || {
            // The consumer stays alive to the end: only the pushes can wake this thread.
            for expected in 0..2 {
                there.sleep_until(|| !consumer.is_empty());
                assert_eq!(consumer.pop(), Some(expected));
            }
            consumer
        });
        for element in 0..2 {
            here.sleep_until(|| !producer.is_full());
            producer.push(element).expect("there is room");
        }
        drop(taker.join().expect("the taker ends"));
        assert!(producer.is_abandoned());
    });
}

/// Two places: the pop that makes room in a full ring wakes, and the other one need not.
#[test]
fn a_pop_from_a_full_ring_wakes_the_producer() {
    bounded(|| {
        let (mut here, mut there) = (Sleeper::new(), Sleeper::new());
        let (mut producer, mut consumer) = ring(2, here.waker(), there.waker());
        let giver = thread::spawn(move || {
            // The consumer stays alive to the end: only its pops can wake this thread.
            for element in 0..4 {
                here.sleep_until(|| !producer.is_full());
                producer.push(element).expect("there is room");
            }
        });
        let mut expected = 0;
        while let Some(element) = pop_waiting(&mut there, &mut consumer) {
            assert_eq!(element, expected);
            expected += 1;
        }
        assert_eq!(expected, 4);
        giver.join().expect("the giver ends");
    });
}

/// A consumer that dozes and then sleeps, as writers do. There is no clock here: a doze of no time
/// ends at its first look, which any push may come before or behind.
#[test]
fn a_push_is_seen_by_a_thread_that_dozes_first() {
    bounded(|| {
        let (mut here, mut there) = (Sleeper::new(), Sleeper::new());
        let (mut producer, mut consumer) = ring(1, here.waker(), there.waker());
        let taker = thread::spawn(move || {
            for expected in 0..2 {
                if !there.doze(Duration::ZERO, || !consumer.is_empty()) {
                    there.sleep_until(|| !consumer.is_empty());
                }
                assert_eq!(consumer.pop(), Some(expected));
            }
            consumer
        });
        for element in 0..2 {
            here.sleep_until(|| !producer.is_full());
            producer.push(element).expect("there is room");
        }
        drop(taker.join().expect("the taker ends"));
    });
}

/// Of a ring of three the second push wakes a thread whose doze nothing else ends.
#[test]
fn a_push_that_nearly_fills_the_ring_ends_a_doze() {
    bounded(|| {
        let mut there = Sleeper::new();
        let (mut producer, mut consumer) = ring(3, Sleeper::new().waker(), there.waker());
        let taker = thread::spawn(move || {
            assert!(there.doze(Duration::MAX, || consumer.len() == 2));
            assert_eq!((consumer.pop(), consumer.pop()), (Some(1), Some(2)));
            consumer
        });
        for element in 1..=2 {
            producer.push(element).expect("there is room");
        }
        drop(taker.join().expect("the taker ends"));
    });
}

/// The same where the ring has room: the push nudges only, and the doze ends by itself.
#[test]
fn a_nudge_during_a_doze_is_not_lost_by_the_sleep_that_follows() {
    bounded(|| {
        let mut there = Sleeper::new();
        let (mut producer, mut consumer) = ring(4, Sleeper::new().waker(), there.waker());
        let taker = thread::spawn(move || {
            if !there.doze(Duration::ZERO, || !consumer.is_empty()) {
                there.sleep_until(|| !consumer.is_empty());
            }
            assert_eq!(consumer.pop(), Some(7));
            consumer
        });
        producer.push(7).expect("there is room");
        drop(taker.join().expect("the taker ends"));
    });
}

#[test]
fn a_parked_consumer_learns_that_the_producer_is_gone() {
    loom::model(|| {
        let mut there = Sleeper::new();
        let (producer, mut consumer) = ring::<u8>(1, Sleeper::new().waker(), there.waker());
        let taker = thread::spawn(move || pop_waiting(&mut there, &mut consumer));
        drop(producer);
        assert_eq!(taker.join().expect("the taker ends"), None);
    });
}

#[test]
fn a_parked_producer_learns_that_the_consumer_is_gone() {
    loom::model(|| {
        let mut here = Sleeper::new();
        let (mut producer, consumer) = ring(1, here.waker(), Sleeper::new().waker());
        producer.push(1).expect("an empty ring has room");
        let leaver = thread::spawn(move || drop(consumer));
        assert_eq!(push_waiting(&mut here, &mut producer, 2), Some(2));
        leaver.join().expect("the leaver ends");
    });
}

#[test]
fn shutdown_drains_what_was_pushed() {
    bounded(|| {
        let (mut here, mut there) = (Sleeper::new(), Sleeper::new());
        let (mut producer, mut consumer) = ring(1, here.waker(), there.waker());
        let giver = thread::spawn(move || {
            for element in 0..2 {
                assert_eq!(push_waiting(&mut here, &mut producer, element), None);
            }
        });
        let mut taken = Vec::new();
        while let Some(element) = pop_waiting(&mut there, &mut consumer) {
            taken.push(element);
        }
        assert_eq!(taken, [0, 1]);
        assert!(consumer.is_finished());
        giver.join().expect("the giver ends");
    });
}

#[test]
fn finished_is_never_said_before_the_last_element() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(1, Sleeper::new().waker(), Sleeper::new().waker());
        let giver = thread::spawn(move || producer.push(7).expect("an empty ring has room"));
        if consumer.is_finished() {
            panic!("an element was pushed and not popped");
        }
        if consumer.is_abandoned() {
            assert_eq!(consumer.pop(), Some(7));
        }
        giver.join().expect("the giver ends");
    });
}

#[test]
fn one_sleeper_waits_on_two_rings() {
    bounded(|| {
        let mut sleeper = Sleeper::new();
        let mut consumers = Vec::new();
        let mut givers = Vec::new();
        for element in [1, 2] {
            let (mut producer, consumer) = ring(1, Sleeper::new().waker(), sleeper.waker());
            consumers.push(consumer);
            givers.push(thread::spawn(move || {
                producer.push(element).expect("an empty ring has room");
            }));
        }
        let mut sum = 0;
        while !consumers.iter().all(Consumer::is_finished) {
            sleeper.sleep_until(|| {
                consumers.iter().any(|consumer| !consumer.is_empty())
                    || consumers.iter().all(Consumer::is_finished)
            });
            sum += consumers.iter_mut().filter_map(Consumer::pop).sum::<i32>();
        }
        assert_eq!(sum, 3);
        for giver in givers {
            giver.join().expect("the giver ends");
        }
    });
}
