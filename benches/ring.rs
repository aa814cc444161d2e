//! The ring against other bounded queues: boxes from one thread to another.
//!
//! The ring and the queue under a mutex put a thread to sleep that has to wait. The two lock-free
//! queues alone cannot: their waiting threads yield, and would use up a core while a database
//! works. What the ring takes beyond the array queue, of which it is made, is what sleeping costs.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_queue::ArrayQueue;
use fastload::ring::{Sleeper, ring};

const ELEMENTS: usize = 50_000;
const CAPACITY: usize = 4;
const ELEMENT_BYTES: usize = 64;

/// Moves the boxes through a ring; returns how many came out.
fn through_ring() -> usize {
    let (mut here, mut there) = (Sleeper::new(), Sleeper::new());
    let (mut producer, mut consumer) = ring(CAPACITY, here.waker(), there.waker());
    let taker = thread::spawn(move || {
        let mut count = 0;
        loop {
            there.sleep_until(|| !consumer.is_empty() || consumer.is_finished());
            let Some(element) = consumer.pop() else {
                return count;
            };
            black_box::<Box<[u8]>>(element);
            count += 1;
        }
    });
    for _ in 0..ELEMENTS {
        here.sleep_until(|| !producer.is_full());
        producer
            .push(vec![0_u8; ELEMENT_BYTES].into_boxed_slice())
            .expect("there is room, and the taker stays until the end");
    }
    drop(producer);
    taker.join().expect("the taker does not panic")
}

/// Moves the boxes through a bounded queue under a mutex with two condition variables.
fn through_mutex() -> usize {
    type Queue = (Mutex<(VecDeque<Box<[u8]>>, bool)>, Condvar, Condvar);
    let shared: Arc<Queue> = Arc::default();
    let taker = thread::spawn({
        let shared = Arc::clone(&shared);
        move || {
            let (state, filled, drained) = &*shared;
            let mut count = 0;
            loop {
                let mut guard = filled
                    .wait_while(state.lock().expect("not poisoned"), |(queue, closed)| {
                        queue.is_empty() && !*closed
                    })
                    .expect("not poisoned");
                let Some(element) = guard.0.pop_front() else {
                    return count;
                };
                drop(guard);
                drained.notify_one();
                black_box(element);
                count += 1;
            }
        }
    });
    let (state, filled, drained) = &*shared;
    for _ in 0..ELEMENTS {
        let element = vec![0_u8; ELEMENT_BYTES].into_boxed_slice();
        let mut guard = drained
            .wait_while(state.lock().expect("not poisoned"), |(queue, _)| queue.len() == CAPACITY)
            .expect("not poisoned");
        guard.0.push_back(element);
        drop(guard);
        filled.notify_one();
    }
    state.lock().expect("not poisoned").1 = true;
    filled.notify_one();
    taker.join().expect("the taker does not panic")
}

/// Calls `attempt` until it gives something, letting others run between.
fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        thread::yield_now();
    }
}

/// Moves the boxes through the array queue of crossbeam, which any number of threads may use.
fn through_array_queue() -> usize {
    let queue = Arc::new(ArrayQueue::new(CAPACITY));
    let taker = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            let mut bytes = 0;
            for _ in 0..ELEMENTS {
                bytes += black_box::<Box<[u8]>>(until(|| queue.pop())).len();
            }
            bytes / ELEMENT_BYTES
        }
    });
    for _ in 0..ELEMENTS {
        let mut element = Some(vec![0_u8; ELEMENT_BYTES].into_boxed_slice());
        until(|| match queue.push(element.take().expect("there until it is taken")) {
            Ok(()) => Some(()),
            Err(back) => {
                element = Some(back);
                None
            }
        });
    }
    taker.join().expect("the taker does not panic")
}

/// Moves the boxes through rtrb, a ring for one thread at either end.
fn through_rtrb() -> usize {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<Box<[u8]>>::new(CAPACITY);
    let taker = thread::spawn(move || {
        let mut bytes = 0;
        for _ in 0..ELEMENTS {
            bytes += black_box(until(|| consumer.pop().ok())).len();
        }
        bytes / ELEMENT_BYTES
    });
    for _ in 0..ELEMENTS {
        until(|| (!producer.is_full()).then_some(()));
        producer.push(vec![0_u8; ELEMENT_BYTES].into_boxed_slice()).expect("there is room");
    }
    taker.join().expect("the taker does not panic")
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("ring");
    group.throughput(Throughput::Elements(ELEMENTS as u64));
    group.sample_size(10);
    for (name, through) in [
        ("ring", through_ring as fn() -> usize),
        ("array queue", through_array_queue),
        ("rtrb", through_rtrb),
        ("deque under a mutex", through_mutex),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(through(), ELEMENTS, "boxes came out"));
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
