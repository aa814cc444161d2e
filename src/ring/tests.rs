use super::*;

fn lonely<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    ring(capacity, Sleeper::new().waker(), Sleeper::new().waker())
}

#[test]
fn gives_the_element_back_when_full() {
    let (mut producer, mut consumer) = lonely(2);
    assert_eq!(producer.capacity(), 2);
    assert_eq!(producer.push('a'), Ok(()));
    assert_eq!(producer.push('b'), Ok(()));
    assert!(producer.is_full());
    assert_eq!(producer.push('c'), Err(PushError::Full('c')));
    assert_eq!(consumer.len(), 2);
    assert_eq!(consumer.pop(), Some('a'));
    assert_eq!(producer.push('c'), Ok(()));
    assert_eq!(consumer.pop(), Some('b'));
    assert_eq!(consumer.pop(), Some('c'));
    assert_eq!(consumer.pop(), None);
    assert!(consumer.is_empty() && producer.is_empty());
}

#[test]
fn drains_after_the_producer_is_gone() {
    let (mut producer, mut consumer) = lonely(2);
    assert!(!consumer.is_abandoned());
    producer.push(1).expect("room");
    drop(producer);
    assert!(consumer.is_abandoned());
    assert!(!consumer.is_finished());
    assert_eq!(consumer.pop(), Some(1));
    assert!(consumer.is_finished());
    assert_eq!(consumer.pop(), None);
}

#[test]
fn gives_the_element_back_when_abandoned() {
    let (mut producer, consumer) = lonely(1);
    producer.push(1).expect("room");
    drop(consumer);
    assert!(producer.is_abandoned());
    assert_eq!(producer.push(2), Err(PushError::Abandoned(2)));
}

#[test]
fn drops_what_was_left_behind() {
    let element = Arc::new(());
    let (mut producer, consumer) = lonely(1);
    producer.push(Arc::clone(&element)).expect("room");
    drop(consumer);
    drop(producer);
    assert_eq!(Arc::strong_count(&element), 1);
}

#[test]
#[should_panic(expected = "capacity must be non-zero")]
fn a_ring_without_room_is_a_bug() {
    drop(lonely::<()>(0));
}

#[test]
fn a_timeout_ends_a_sleep_that_nobody_ends() {
    let mut sleeper = Sleeper::new();
    assert!(!sleeper.sleep_until_or_timeout(Duration::from_millis(1), || false));
    assert!(sleeper.sleep_until_or_timeout(Duration::ZERO, || true));
    assert!(sleeper.sleep_until_or_timeout(Duration::MAX, || true));
}

/// Pushes that leave room let a dozing thread be; the third of four places wakes it.
#[test]
fn a_ring_that_is_nearly_full_ends_a_doze() {
    let mut taker = Sleeper::new();
    let (mut producer, consumer) = ring(4, Sleeper::new().waker(), taker.waker());
    let dozing = thread::spawn(move || {
        // The consumer stays alive: only the push can end the doze.
        (taker.doze(Duration::MAX, || consumer.len() == 3), consumer)
    });
    while producer.consumer_waker.bed.depth.load(Ordering::Acquire) != DOZING {
        thread::yield_now();
    }
    producer.push('a').expect("room");
    producer.push('b').expect("room");
    assert_eq!(producer.consumer_waker.bed.depth.load(Ordering::Acquire), DOZING);
    producer.push('c').expect("room");
    let (woken, _consumer) = dozing.join().expect("it does not panic");
    assert!(woken);
}

#[test]
fn a_doze_ends_by_itself() {
    let mut taker = Sleeper::new();
    let (mut producer, consumer) = ring(3, Sleeper::new().waker(), taker.waker());
    producer.push('a').expect("room");
    assert!(!taker.doze(Duration::from_millis(1), || consumer.len() > 1));
    assert!(taker.doze(Duration::from_millis(1), || !consumer.is_empty()));
}

#[test]
fn a_sleeper_stays_with_its_thread() {
    let mut sleeper = Sleeper::new();
    assert!(!sleeper.sleep_until_or_timeout(Duration::from_nanos(1), || false));
    let elsewhere =
        thread::spawn(move || sleeper.sleep_until_or_timeout(Duration::from_nanos(1), || false));
    assert!(elsewhere.join().is_err());
}

#[test]
fn two_rings_and_a_return_path_lose_nothing() {
    const ELEMENTS: u64 = 20_000;
    let mut taker = Sleeper::new();
    let mut ends = Vec::new();
    let mut givers = Vec::new();
    for _ in 0..2 {
        let mut giver = Sleeper::new();
        let (mut full, full_out) = ring(2, giver.waker(), taker.waker());
        let (free_in, mut free) = ring(2, taker.waker(), giver.waker());
        ends.push((full_out, free_in, 0));
        givers.push(thread::spawn(move || {
            let mut boxes = vec![Box::new(0), Box::new(0)];
            for number in 1..=ELEMENTS {
                let mut element = boxes.pop().unwrap_or_else(|| {
                    giver.sleep_until(|| !free.is_empty());
                    free.pop().expect("it said so")
                });
                *element = number;
                full.push(element).expect("no more boxes than room");
            }
        }));
    }
    loop {
        taker.sleep_until(|| {
            ends.iter().any(|(full, ..)| !full.is_empty())
                || ends.iter().all(|(full, ..)| full.is_finished())
        });
        if ends.iter().all(|(full, ..)| full.is_finished()) {
            break;
        }
        for (full, free, last) in &mut ends {
            while let Some(element) = full.pop() {
                assert_eq!(*element, *last + 1);
                *last = *element;
                match free.push(element) {
                    Ok(()) | Err(PushError::Abandoned(_)) => {}
                    Err(PushError::Full(_)) => panic!("no more boxes than room"),
                }
            }
        }
    }
    assert!(ends.iter().all(|&(.., last)| last == ELEMENTS));
    for giver in givers {
        giver.join().expect("it does not panic");
    }
}
