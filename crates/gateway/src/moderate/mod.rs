//! Calls that run only while somebody watches them (catalogue 117).
//!
//! Promise: of a moderated call no byte goes up, and none of its answer comes down, unless a person who may decide over its
//! approval watches at that moment and keeps up with what is shown. What is shown is what the caller gets: masked, and handed
//! to those who watch before it leaves. Whoever watches is looked at anew all the time; when the last of them goes, the
//! call stands still, and after the grace time it is ended: *fails closed*. Who comes back after that is too late.
//!
//! Exceptions: what was handed to the network before the last of them went is on its way. A watcher whose machine falls silent
//! without a word counts until the kernel notices, about five seconds later (`UNHEARD_MAX` of the admin listener), or until
//! [`NOTES_MAX`] pieces wait for them, whichever is first. Break-glass runs unwatched, as it runs unapproved.

mod attended;
mod gate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use keyward_core::{ApprovalId, PrincipalRef};
use keyward_journal::record::End;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub(crate) use attended::{Attended, Went};
pub use gate::Gate;

/// Most people who watch one call at once.
pub const WATCHERS_MAX: usize = 32;
/// Most pieces that wait for one of them.
pub const NOTES_MAX: usize = 64;
/// Who has less room left than that for pieces is behind, and does not count until they caught up.
const NOTES_FREE_MIN: usize = 4;

/// The rooms that somebody is in: a call, or who watches it.
#[derive(Default)]
pub struct Moderation {
    rooms: Mutex<HashMap<ApprovalId, Weak<Room>>>,
}

/// Where the call of one approval and those who watch it meet.
pub(crate) struct Room {
    /// How long nobody may watch while it runs.
    grace: Duration,
    seats: Mutex<Seats>,
    view: watch::Sender<View>,
    /// One reference more than calls that wait or run here.
    calls: Arc<()>,
}

#[derive(Default)]
struct Seats {
    taken: Vec<Taken>,
    next: u64,
}

/// One who watches.
struct Taken {
    number: u64,
    who: PrincipalRef,
    notes: mpsc::Sender<Note>,
    /// Something did not find room.
    missed: bool,
}

/// How it stands with a moderated call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    /// How far the call is.
    pub(crate) phase: Phase,
    /// Whether somebody watches.
    pub(crate) presence: Presence,
    /// How many do, those who are behind too.
    pub(crate) watchers: usize,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing was sent yet.
    Waiting,
    /// Its approval was used up for it.
    Running,
    /// It is over.
    Ended(End),
}

/// Whether somebody watches who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Yes.
    Here,
    /// Nobody, since then.
    Gone(Instant),
    /// Nobody did for longer than the grace time while it ran; that does not heal.
    Over,
}

/// What those who watch are shown.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    /// The answer begins.
    Head {
        /// Its status.
        status: u16,
        /// Its media type, as the caller gets it.
        content_type: Option<String>,
    },
    /// A masked piece of its body.
    Piece(Bytes),
    /// Pieces are missing here.
    Missed,
}

/// A place among those who watch; left when it is dropped.
pub(crate) struct Seat {
    room: Arc<Room>,
    number: u64,
}

/// What one who watches is shown.
pub(crate) struct Notes {
    room: Arc<Room>,
    shown: mpsc::Receiver<Note>,
    view: watch::Receiver<View>,
}

/// The next thing to see.
pub(crate) enum Seen {
    /// Something of the call.
    Note(Note),
    /// It stands otherwise now.
    View,
}

impl Moderation {
    /// The room of an approval.
    pub(crate) fn room(&self, id: ApprovalId, grace: Duration) -> Arc<Room> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get(&id).and_then(Weak::upgrade) {
            return room;
        }
        rooms.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Room::new(grace));
        rooms.insert(id, Arc::downgrade(&room));
        room
    }
}

impl Room {
    fn new(grace: Duration) -> Self {
        let view = View { phase: Phase::Waiting, presence: Presence::Gone(Instant::now()), watchers: 0 };
        Self { grace, seats: Mutex::default(), view: watch::Sender::new(view), calls: Arc::default() }
    }

    /// Begins to watch; none where [`WATCHERS_MAX`] do already.
    pub(crate) fn join(self: &Arc<Self>, who: PrincipalRef) -> Option<(Seat, Notes)> {
        let (notes, shown) = mpsc::channel(NOTES_MAX);
        let mut seats = self.seats();
        if seats.taken.len() >= WATCHERS_MAX {
            return None;
        }
        let number = seats.next;
        seats.next += 1;
        seats.taken.push(Taken { number, who, notes, missed: false });
        self.look_again(&seats);
        let seat = Seat { room: Arc::clone(self), number };
        Some((seat, Notes { room: Arc::clone(self), shown, view: self.view.subscribe() }))
    }

    /// Waits until somebody watches.
    pub(crate) async fn somebody(&self) {
        // The sender is here, so there is no other end than that.
        _ = self.view.subscribe().wait_for(|view| view.presence == Presence::Here).await;
    }

    /// Whether somebody watches right now.
    pub(crate) fn is_watched(&self) -> bool {
        self.view.borrow().presence == Presence::Here
    }

    /// Whether nobody is there, not even somebody who is behind.
    fn is_empty(&self) -> bool {
        self.view.borrow().watchers == 0
    }

    /// Whether a call waits or runs here.
    pub(crate) fn has_calls(&self) -> bool {
        Arc::strong_count(&self.calls) > 1
    }

    /// A call that waits or runs here, until this is dropped.
    pub(crate) fn call(&self) -> Arc<()> {
        Arc::clone(&self.calls)
    }

    /// Who watches and keeps up.
    fn watchers(&self) -> Vec<PrincipalRef> {
        let seats = self.seats();
        seats.taken.iter().filter(|seat| seat.keeps_up()).map(|seat| seat.who.clone()).collect()
    }

    /// Its approval was used up: from now on the grace time counts.
    fn begin(&self) {
        self.view.send_modify(|view| {
            view.phase = Phase::Running;
            if let Presence::Gone(since) = &mut view.presence {
                *since = Instant::now();
            }
        });
    }

    fn end(&self, end: End) {
        self.view.send_modify(|view| view.phase = Phase::Ended(end));
    }

    /// Hands something to everybody who watches.
    fn show(&self, note: &Note) {
        let mut seats = self.seats();
        for seat in &mut seats.taken {
            if seat.missed && seat.notes.try_send(Note::Missed).is_ok() {
                seat.missed = false;
            }
            if seat.missed || seat.notes.try_send(note.clone()).is_err() {
                seat.missed = true;
            }
        }
        self.look_again(&seats);
    }

    /// Somebody left, came, fell behind or caught up.
    fn look_again(&self, seats: &Seats) {
        let here = seats.taken.iter().any(Taken::keeps_up);
        self.view.send_if_modified(|view| {
            let before = *view;
            view.watchers = seats.taken.len();
            view.presence = match view.presence {
                Presence::Over => Presence::Over,
                _ if view.is_over(self.grace) => Presence::Over,
                _ if here => Presence::Here,
                // Who was behind has left: the grace time is theirs to come back in.
                Presence::Gone(_) if seats.taken.is_empty() && before.watchers > 0 => {
                    Presence::Gone(Instant::now())
                }
                Presence::Gone(since) => Presence::Gone(since),
                Presence::Here => Presence::Gone(Instant::now()),
            };
            *view != before
        });
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn keeps_up(&self) -> bool {
        self.notes.capacity() >= NOTES_FREE_MIN && !self.notes.is_closed()
    }
}

impl View {
    /// Whether it ran unwatched for so long that it has to end.
    fn is_over(&self, grace: Duration) -> bool {
        match self.presence {
            Presence::Over => true,
            Presence::Here => false,
            Presence::Gone(since) => self.phase == Phase::Running && since.elapsed() >= grace,
        }
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        self.shown.close(); // nobody looks any more, whoever keeps the seat
        let seats = self.room.seats();
        self.room.look_again(&seats);
    }
}

impl Seat {
    /// Whether the call that is watched runs.
    pub(crate) fn runs(&self) -> bool {
        self.room.view.borrow().phase == Phase::Running
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.room.seats();
        seats.taken.retain(|seat| seat.number != self.number);
        self.room.look_again(&seats);
    }
}

impl Notes {
    /// The next thing to see: all that was shown of the call, then how it stands.
    pub(crate) async fn next(&mut self) -> Seen {
        tokio::select! {
            biased;
            Some(note) = self.shown.recv() => {
                let seats = self.room.seats();
                self.room.look_again(&seats); // there is room again
                Seen::Note(note)
            }
            _ = self.view.changed() => Seen::View,
        }
    }

    /// How it stands now.
    pub(crate) fn view(&mut self) -> View {
        *self.view.borrow_and_update()
    }

    /// Whether something was shown that they did not see yet.
    pub(crate) fn has_notes(&self) -> bool {
        !self.shown.is_empty()
    }

    /// Whether a call waits or runs.
    pub(crate) fn has_calls(&self) -> bool {
        self.room.has_calls()
    }
}

#[cfg(test)]
mod tests;
