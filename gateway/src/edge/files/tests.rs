use super::*;

fn budget(allowed: usize) -> (Arc<OpenFiles>, Arc<Drain>) {
    let drain = Arc::<Drain>::default();
    (OpenFiles::new(allowed, drain.clone()), drain)
}

/// As many as can be had at once.
fn all(share: &Arc<FileShare>) -> (Vec<OpenFile>, Lack) {
    let mut taken = Vec::new();
    loop {
        match share.take() {
            Ok(file) => taken.push(file),
            Err(lack) => return (taken, lack),
        }
    }
}

#[test]
fn some_are_kept_back_for_all_else() {
    for (allowed, kept) in [(16, 8), (64, 32), (256, 32), (1024, 64), (1 << 20, 1024)] {
        assert_eq!(kept_back(allowed), kept, "{allowed}");
    }
}

#[test]
fn no_app_takes_what_others_need() {
    let (files, _drain) = budget(132);
    let [greedy, other, third] = [(); 3].map(|()| FileShare::new(files.clone()));
    let (taken, lack) = all(&greedy);
    assert_eq!((taken.len(), lack), (50, Lack::Share), "half of 100");
    let (others, lack) = all(&other);
    assert_eq!((others.len(), lack), (25, Lack::Share));
    assert!(third.take().is_ok());
    drop(taken);
    assert_eq!(all(&greedy).0.len(), 38, "half of what is there again");
}

#[test]
fn clients_take_from_the_same() {
    let (files, drain) = budget(132);
    let share = FileShare::new(files);
    let clients: Vec<_> = (0..90).map(|_| drain.connect(90).unwrap()).collect();
    let (taken, lack) = all(&share);
    assert_eq!((taken.len(), lack), (5, Lack::Share));
    let more: Vec<_> = (0..10).map(|_| drain.connect(100).unwrap()).collect();
    assert_eq!(share.take().unwrap_err(), Lack::All);
    drop((clients, more));
    assert!(share.take().is_ok());
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_none_waits_for_one_and_no_longer() {
    let (files, _drain) = budget(36);
    let share = FileShare::new(files);
    let (mut taken, _) = all(&share);
    let second = Duration::from_secs(1);
    assert_eq!(share.take_within(second).await.unwrap_err(), Lack::Share);
    let waits = tokio::spawn({
        let share = share.clone();
        async move { share.take_within(second).await }
    });
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    taken.pop();
    let file = waits.await.unwrap().expect("one came free");
    assert_eq!(share.files.waiting.load(Ordering::SeqCst), 0);
    drop((taken, file));
    assert_eq!(share.files.used.load(Ordering::SeqCst), 0);
}
