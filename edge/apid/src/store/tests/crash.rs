//! What is on the disk after a crash at any instant, after damage, and after it was full.

use super::platter::{Act, Platter, apply};
use super::*;

const SECTOR: usize = 512;

/// A small generator of numbers, so that failures repeat.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// A run of commits: after each, how many acts the disk had seen and what is stored.
struct Run {
    platter: Platter,
    start: Vec<u8>,
    /// Number of acts when the commit was acknowledged, version, contents
    acknowledged: Vec<(usize, u64, BTreeMap<String, u64>)>,
    store: Store,
}

fn run(commits: u64) -> Run {
    let platter = Platter::default();
    let store = Store::create(Box::new(platter.clone()), std::iter::empty(), 0).unwrap();
    drop(store);
    let start = platter.inner().bytes.clone();
    platter.inner().acts.clear();
    let mut store = Store::load(Box::new(platter.clone())).unwrap().store;
    let mut dice = Dice(7);
    let (mut version, mut now) = (0, BTreeMap::new());
    let mut acknowledged = vec![(0, 0, now.clone())];
    for commit in 0..commits {
        let mut events = Vec::new();
        for _ in 0..=dice.roll(12) {
            version += 1;
            let name = format!("o{}", dice.roll(20));
            let size = dice.roll(if commit % 5 == 0 { 9000 } else { 600 });
            let kind = match now.contains_key(&name) {
                true if dice.roll(3) == 0 => EventKind::Deleted,
                _ => EventKind::Added,
            };
            match kind {
                EventKind::Deleted => now.remove(&name),
                _ => now.insert(name.clone(), version),
            };
            events.push(event(kind, &name, version, size as usize));
        }
        store.commit(&events).unwrap();
        acknowledged.push((platter.inner().acts.len(), version, now.clone()));
        if commit % 3 == 0 {
            store.seal().unwrap();
        }
    }
    Run {
        platter,
        start,
        acknowledged,
        store,
    }
}

/// Loses some of what was not synced: whole writes, or sectors of them.
fn tear(act: &Act, dice: &mut Dice, image: &mut Vec<u8>) {
    match act {
        Act::Write(offset, data) => {
            for (at, sector) in data.chunks(SECTOR).enumerate() {
                if dice.roll(2) == 0 {
                    let place = offset + (at * SECTOR) as u64;
                    apply(image, &Act::Write(place, sector.to_vec()));
                }
            }
        }
        other if dice.roll(2) == 0 => apply(image, other),
        _ => {}
    }
}

#[test]
fn a_crash_at_any_instant_keeps_what_was_acknowledged_and_nothing_half() {
    let run = run(14);
    let acts = run.platter.inner().acts.clone();
    let mut dice = Dice(99);
    let (mut durable, mut pending) = (run.start.clone(), Vec::new());
    for cut in 0..=acts.len() {
        let last = run.acknowledged.iter().rposition(|(at, ..)| *at <= cut);
        let last = last.unwrap();
        let mut images = vec![durable.clone(), durable.clone()];
        pending.iter().for_each(|act| apply(&mut images[1], act));
        for _ in 0..2 {
            let mut image = durable.clone();
            pending
                .iter()
                .for_each(|act| tear(act, &mut dice, &mut image));
            images.push(image);
        }
        for image in images {
            let loaded = Store::load(Box::new(Platter::holding(image)));
            let loaded = loaded.unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            let found = (loaded.version, contents(&loaded.state));
            let allowed = run.acknowledged[last..].iter().take(2);
            assert!(
                allowed
                    .clone()
                    .any(|(_, version, now)| found == (*version, now.clone())),
                "cut at {cut}: version {} is there, {last} was acknowledged",
                found.0
            );
        }
        match acts.get(cut) {
            Some(Act::Sync) => {
                pending.drain(..).for_each(|act| apply(&mut durable, &act));
            }
            Some(act) => pending.push(act.clone()),
            None => {}
        }
    }
    assert!(acts.len() > 100, "{}", acts.len());
    drop(run.store);
}

/// Loads a damaged image: all that was stored, or a refusal.
fn all_or_refused(image: Vec<u8>, wanted: &(u64, BTreeMap<String, u64>), about: &str) -> bool {
    match Store::load(Box::new(Platter::holding(image))) {
        Ok(loaded) => {
            let found = (loaded.version, contents(&loaded.state));
            assert_eq!(&found, wanted, "{about}");
            true
        }
        Err(error) => {
            assert!(error.to_string().contains("store.redb"), "{about}: {error}");
            false
        }
    }
}

#[test]
fn damage_is_refused_or_does_not_matter() {
    let mut run = run(14);
    run.store.seal().unwrap();
    let (_, version, now) = run.acknowledged.last().unwrap().clone();
    let wanted = (version, now);
    let killed = run.platter.inner().bytes.clone();
    drop(run.store);
    let closed = run.platter.inner().bytes.clone();
    let mut refused = 0;
    for image in [killed, closed] {
        assert!(all_or_refused(image.clone(), &wanted, "undamaged"));
        // Pages are of 4 KiB: both the heads, where counts and checksums stand, and the rest.
        let places = (0..image.len()).filter(|at| at % 4096 < 64 || at % 1021 == 0);
        for at in places.filter(|at| at % 7 == 0) {
            let mut broken = image.clone();
            broken[at] ^= 0x21;
            let fine = all_or_refused(broken, &wanted, &format!("byte {at}"));
            refused += usize::from(!fine);
        }
        for part in 1..16 {
            let cut = image[..image.len() * part / 16].to_vec();
            all_or_refused(cut, &wanted, &format!("cut to {part}/16"));
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let mut dice = Dice(5);
    let mut refused = 0;
    for attempt in 0..40 {
        let run = run(3);
        let (_, version, mut wanted) = run.acknowledged.last().unwrap().clone();
        let mut store = run.store;
        run.platter.inner().room = Some(dice.roll(300_000) as usize);
        let events: Vec<Event> = (1..=8)
            .map(|n| event(EventKind::Added, &format!("new{n}"), version + n, 5000))
            .collect();
        let done = store.commit(&events);
        if let Err(error) = &done {
            refused += 1;
            assert!(error.is_full(), "attempt {attempt}: {error}");
            assert!(!store.wants_seal(), "closed until it is opened again");
        }
        run.platter.inner().room = None;
        let found = store.reopen().unwrap();
        assert!(found == version + 8 || (done.is_err() && found == version));
        if found > version {
            let added = events.iter().map(|event| &event.object.meta);
            wanted.extend(added.map(|meta| (meta.name.to_string(), meta.resource_version)));
        }
        let later = event(EventKind::Added, "later", version + 9, 10);
        store.commit(&[later]).unwrap();
        wanted.insert("later".to_owned(), version + 9);
        drop(store);
        let loaded = Store::load(Box::new(run.platter.clone())).unwrap();
        assert_eq!(contents(&loaded.state), wanted, "attempt {attempt}");
    }
    assert!((10..40).contains(&refused), "{refused}");
}
