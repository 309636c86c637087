//! The decisions as tables.

use super::*;

const GIB: u64 = 1 << 30;

fn amount(memory: u64, disk: u64, pids: u64) -> Amount {
    Amount { memory, disk, pids }
}

fn machine() -> Measured {
    Measured {
        total: amount(8 * GIB, 100 * GIB, 32_000),
        free: amount(6 * GIB, 50 * GIB, 30_000),
        cpus: 2,
        load: 0.5,
        memory_stall: 0.0,
    }
}

fn rules() -> Rules {
    Rules { places: 3, reserve: amount(GIB, 2 * GIB, 1000) }
}

fn wish() -> Amount {
    amount(GIB, GIB, 300)
}

/// One that uses all that it was promised.
fn grown() -> Held {
    Held { expected: wish(), used: wish(), ..Held::default() }
}

/// One that has just come up.
fn small() -> Held {
    Held { expected: wish(), used: amount(GIB / 32, GIB / 32, 100), ..Held::default() }
}

#[track_caller]
fn check(what: &str, change: impl FnOnce(&mut Measured, &mut Vec<Held>, &mut Amount, &mut Rules), expected: Decision) {
    let (mut measured, mut held, mut wish, mut rules) = (machine(), Vec::new(), wish(), rules());
    change(&mut measured, &mut held, &mut wish, &mut rules);
    assert_eq!(plan(&measured, &held, wish, &rules), expected, "{what}");
}

#[test]
fn wishes() {
    use Decision::{Accept, Never, Queue};
    check("an empty machine", |_, _, _, _| {}, Accept);
    check("some have a place", |_, held, _, _| held.extend([grown(), grown()]), Accept);
    check("all places are taken", |_, held, _, _| held.extend([grown(); 3]), Queue(WaitsFor::Places));
    check("warm ones take no place", |_, held, _, _| held.extend([Held { warm: true, ..grown() }; 3]), Accept);
    check("no places at all", |_, _, _, rules| rules.places = 0, Never(WaitsFor::Places));
    check("memory is short", |it, _, _, _| it.free.memory = 2 * GIB - 1, Queue(WaitsFor::Memory));
    check("memory just does", |it, _, _, _| it.free.memory = 2 * GIB, Accept);
    check(
        "memory was promised",
        |it, held, _, _| {
            it.free.memory = 3 * GIB;
            held.extend([small(), small()]);
        },
        Queue(WaitsFor::Memory),
    );
    check(
        "the same when they have grown",
        |it, held, _, _| {
            it.free.memory = 3 * GIB;
            held.extend([grown(), grown()]);
        },
        Accept,
    );
    check(
        "warm ones were promised to somebody, too",
        |it, held, _, _| {
            it.free.memory = 3 * GIB;
            held.extend([Held { warm: true, ..small() }; 2]);
        },
        Queue(WaitsFor::Memory),
    );
    check("the disk is short", |it, _, _, _| it.free.disk = 3 * GIB - 1, Queue(WaitsFor::Disk));
    check("processes are short", |it, _, _, _| it.free.pids = 1299, Queue(WaitsFor::Processes));
    check("larger than the machine", |_, _, wish, _| wish.memory = 8 * GIB, Never(WaitsFor::Memory));
    check("larger than its disk", |_, _, wish, _| wish.disk = 99 * GIB, Never(WaitsFor::Disk));
    check("more than its processes", |_, _, wish, _| wish.pids = 31_500, Never(WaitsFor::Processes));
    check("nothing free at all", |it, _, _, _| it.free = Amount::default(), Queue(WaitsFor::Memory));
    check("thrashing", |it, _, _, _| it.memory_stall = 30.0, Queue(WaitsFor::Memory));
    let starting = Held { starting: true, ..grown() };
    check("one starts", |_, held, _, _| held.push(starting), Accept);
    check("two start on two CPUs", |_, held, _, _| held.extend([starting; 2]), Queue(WaitsFor::Turn));
    check(
        "warm starts count",
        |_, held, _, _| held.extend([Held { warm: true, ..starting }; 2]),
        Queue(WaitsFor::Turn),
    );
    check(
        "a busy machine starts one after the other",
        |it, held, _, _| {
            it.load = 17.0;
            held.push(starting);
        },
        Queue(WaitsFor::Turn),
    );
    check("but it does start one", |it, _, _, _| it.load = 99.0, Accept);
}

#[test]
fn larger_sessions_are_expected_to_need_more() {
    let (small, large) = (Amount::expected(0), Amount::expected(20));
    assert!(large.memory > 5 * small.memory && large.pids > 5 * small.pids && large.disk > 5 * small.disk);
    assert_eq!(Amount::expected(2).memory, 184 << 20);
}

#[test]
fn waits() {
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let nothing = Taught::default();
    let stay = Taught { stay: Some(minutes(30)), ..nothing };
    let all = Taught { pace: Some(minutes(4)), start: Some(Duration::from_secs(1)), ..stay };
    let ends = [minutes(20), minutes(10)];
    for (position, waits_for, ends, taught, expected) in [
        (1, WaitsFor::Places, &ends[..], nothing, Some(minutes(10))),
        (2, WaitsFor::Places, &ends, nothing, Some(minutes(20))),
        (3, WaitsFor::Memory, &ends, stay, Some(minutes(40))),
        (4, WaitsFor::Memory, &ends, nothing, Some(minutes(40))),
        (1, WaitsFor::Places, &ends, all, Some(minutes(7))),
        (3, WaitsFor::Places, &[], all, Some(minutes(12))),
        (3, WaitsFor::Places, &[], stay, None),
        (3, WaitsFor::Turn, &ends, all, Some(Duration::from_secs(3))),
        (2, WaitsFor::Turn, &[], nothing, Some(START * 2)),
    ] {
        assert_eq!(expected_wait(position, waits_for, ends, &taught), expected, "{position} {waits_for:?} {taught:?}");
    }
    assert_eq!(remaining(minutes(10), minutes(50), &nothing), minutes(50));
    assert_eq!(remaining(minutes(10), minutes(50), &stay), minutes(20));
    assert_eq!(remaining(minutes(10), minutes(5), &stay), minutes(5), "nobody stays longer than allowed");
    assert_eq!(remaining(minutes(40), minutes(20), &stay), minutes(10));
}

#[test]
fn reliefs() {
    let rules = rules();
    let mut measured = machine();
    assert_eq!(relieve(&measured, &rules, 5, 5), None);
    measured.free.memory = GIB / 2 - 1;
    assert_eq!(relieve(&measured, &rules, 1, 1), Some(Relief::Warm), "what is nobody's goes first");
    assert_eq!(relieve(&measured, &rules, 0, 1), Some(Relief::Sleeper(WaitsFor::Memory)));
    assert_eq!(relieve(&measured, &rules, 0, 0), None, "who works is left in peace");
    measured.free.memory = GIB;
    measured.free.disk = GIB - 1;
    assert_eq!(relieve(&measured, &rules, 0, 2), Some(Relief::Sleeper(WaitsFor::Disk)));
}

#[test]
fn how_many_sessions_one_person_may_have() {
    use Role::{Instructor, Learner, Operator};
    for (open, each, role, expected) in [
        (0, 3, Learner, true),
        (2, 3, Learner, true),
        (3, 3, Learner, false),
        // The limit was lowered meanwhile.
        (5, 3, Learner, false),
        (1, 1, Learner, false),
        (500, 0, Learner, true),
        (3, 3, Instructor, true),
        (30, 3, Operator, true),
    ] {
        assert_eq!(one_more(open, each, role), expected, "{open} of {each}, {role:?}");
    }
}
