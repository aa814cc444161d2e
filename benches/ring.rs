//! The ring against a queue under a mutex: boxes from one thread to another.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastload::ring::{Sleeper, ring};

const ELEMENTS: usize = 50_000;
const CAPACITY: usize = 4;

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
            .push(vec![0_u8; 64].into_boxed_slice())
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
        let element = vec![0_u8; 64].into_boxed_slice();
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

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("ring");
    group.throughput(Throughput::Elements(ELEMENTS as u64));
    group.sample_size(10);
    for (name, through) in [("ring", through_ring as fn() -> usize), ("mutex", through_mutex)] {
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(through(), ELEMENTS, "boxes came out"));
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
