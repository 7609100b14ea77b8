use std::future::poll_fn;
use std::task::Poll;

use keyward_core::PrincipalKind;

use super::*;
use crate::refusal::RefusalKind;

const GRACE: Duration = Duration::from_mins(1);

fn who(subject: &str) -> PrincipalRef {
    keyward_core::Principal {
        issuer: "https://idp".into(),
        subject: subject.into(),
        kind: PrincipalKind::User,
        groups: Vec::new(),
        name: None,
        acting_for: Vec::new(),
    }
    .reference()
}

fn room() -> Arc<Room> {
    Moderation::default().room(ApprovalId::new(1), GRACE)
}

/// How the gate stands right now.
async fn stands(gate: &mut Gate) -> Poll<Result<(), RefusalKind>> {
    poll_fn(|cx| Poll::Ready(gate.poll(cx).map_err(|refusal| refusal.kind))).await
}

#[tokio::test(start_paused = true)]
async fn catalogue_117_the_gate_is_open_while_somebody_watches_and_shut_for_good_after_the_grace_time() {
    let room = room();
    let mut gate = Gate::new(&room);
    // Before it runs, nobody is awaited too long.
    tokio::time::advance(GRACE * 3).await;
    assert_eq!(stands(&mut gate).await, Poll::Pending);
    let (seat, notes) = room.join(who("olivia")).unwrap();
    assert_eq!(room.watchers(), [who("olivia")]);
    room.begin();
    assert_eq!(stands(&mut gate).await, Poll::Ready(Ok(())));
    drop(seat);
    assert_eq!(stands(&mut gate).await, Poll::Pending);
    tokio::time::advance(GRACE.saturating_sub(Duration::from_millis(1))).await;
    assert_eq!(stands(&mut gate).await, Poll::Pending);
    let (seat, _notes) = room.join(who("olivia")).unwrap();
    assert_eq!(stands(&mut gate).await, Poll::Ready(Ok(())), "back in time");
    drop((seat, notes));
    tokio::time::advance(GRACE).await;
    let (_seat, _notes) = room.join(who("olivia")).unwrap();
    let late = Poll::Ready(Err(RefusalKind::SessionEnded));
    assert_eq!(stands(&mut gate).await, late, "too late, whether or not anybody looked meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_gate_wakes_when_the_last_one_leaves_and_when_the_grace_time_is_over() {
    let room = room();
    let (seat, _notes) = room.join(who("olivia")).unwrap();
    let (other, _others) = room.join(who("oscar")).unwrap();
    room.begin();
    let mut gate = Gate::new(&room);
    let shut = tokio::spawn(async move {
        poll_fn(|cx| match gate.poll(cx) {
            Poll::Ready(Err(refusal)) => Poll::Ready(refusal),
            _ => Poll::Pending,
        })
        .await
    });
    tokio::task::yield_now().await;
    drop(seat);
    tokio::time::advance(GRACE * 2).await;
    assert!(!shut.is_finished(), "one is enough");
    drop(other);
    let refusal = shut.await.unwrap();
    assert!(refusal.public.contains("moderator left"), "{}", refusal.public);
}

#[tokio::test]
async fn who_does_not_keep_up_does_not_count_until_they_caught_up() {
    let room = room();
    let (_seat, mut notes) = room.join(who("olivia")).unwrap();
    room.begin();
    let piece = Note::Piece(Bytes::from_static(b"x"));
    let room_for = NOTES_MAX - NOTES_FREE_MIN;
    (0..room_for).for_each(|_| room.show(&piece));
    assert!(room.is_watched());
    (0..=NOTES_FREE_MIN).for_each(|_| room.show(&piece));
    assert!(!room.is_watched(), "nothing is let through that they do not see");
    for _ in 0..NOTES_MAX {
        assert!(matches!(notes.next().await, Seen::Note(Note::Piece(_))));
    }
    assert!(room.is_watched());
    room.show(&piece);
    let mut seen = Vec::new();
    while notes.has_notes() {
        if let Seen::Note(note) = notes.next().await {
            seen.push(note);
        }
    }
    assert!(matches!(seen.as_slice(), [Note::Missed, Note::Piece(_)]), "{seen:?}");
    drop(notes);
    assert!(!room.is_watched(), "nobody reads it any more");
}

#[test]
fn so_many_watch_at_once_and_an_empty_room_is_forgotten() {
    let moderation = Moderation::default();
    let room = moderation.room(ApprovalId::new(1), GRACE);
    assert!(Arc::ptr_eq(&room, &moderation.room(ApprovalId::new(1), GRACE)));
    let seats: Vec<_> = (0..WATCHERS_MAX).map(|_| room.join(who("o")).unwrap()).collect();
    assert!(room.join(who("o")).is_none());
    drop(seats);
    assert!(room.join(who("o")).is_some());
    drop(room);
    let _other = moderation.room(ApprovalId::new(2), GRACE);
    assert_eq!(moderation.rooms.lock().unwrap().len(), 1);
}
