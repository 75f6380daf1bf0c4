//! What translation costs beside passing bytes through: of a chunk, of a whole answer, of a request.

mod cases;

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use cases::{Streamed, WAYS, answer, answer_body, request, request_body, title};

fn chunks(c: &mut Criterion) {
    let mut group = c.benchmark_group("how long does a chunk of a stream take");
    for way in WAYS {
        let mut stream = Streamed::new(way);
        assert!(stream.chunk() > 0, "something leaves");
        group.bench_function(format!("chunk_{}", title(way)), |b| b.iter(|| black_box(stream.chunk())));
    }
    group.finish();
}

fn answers(c: &mut Criterion) {
    let mut group = c.benchmark_group("how long does a whole answer take");
    for way in WAYS {
        let body = answer_body(way.1);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("answer_{}", title(way)), |b| b.iter(|| answer(way, black_box(&body))));
    }
    group.finish();
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("how long does a request of four kibibytes take");
    for way in WAYS {
        let body = request_body(way.0);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group
            .bench_function(format!("request_{}", title(way)), |b| b.iter(|| request(way, black_box(&body))));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = chunks, answers, requests
}
criterion_main!(benches);
