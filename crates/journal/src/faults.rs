//! Faults to put under the files of a journal in tests. Outside tests there are none, and this is nothing.

#[cfg(not(test))]
pub(crate) use none::Faults;
#[cfg(test)]
pub(crate) use some::Faults;

#[cfg(not(test))]
mod none {
    use std::io;

    /// No faults.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Faults(());

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same face as in tests")]
    impl Faults {
        pub(crate) fn room(&self, wanted: usize) -> usize {
            wanted
        }

        pub(crate) fn cut(&self) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod some {
    use std::io;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    /// Faults shared by all files of one journal.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Faults {
        room: Arc<Mutex<Option<usize>>>,
        cut: Arc<AtomicBool>,
        sync: Arc<AtomicBool>,
        syncs: Arc<AtomicUsize>,
    }

    impl Faults {
        /// The disk is full after so many more bytes; none for a healthy disk.
        pub(crate) fn set_room(&self, room: Option<usize>) {
            *self.room.lock().unwrap() = room;
        }

        /// Files cannot be cut.
        pub(crate) fn set_cut_fails(&self, fails: bool) {
            self.cut.store(fails, Ordering::SeqCst);
        }

        /// Files cannot be synced.
        pub(crate) fn set_sync_fails(&self, fails: bool) {
            self.sync.store(fails, Ordering::SeqCst);
        }

        /// How often a sync was tried.
        pub(crate) fn syncs(&self) -> usize {
            self.syncs.load(Ordering::SeqCst)
        }

        pub(crate) fn room(&self, wanted: usize) -> usize {
            match self.room.lock().unwrap().as_mut() {
                None => wanted,
                Some(room) => {
                    let fits = wanted.min(*room);
                    *room -= fits;
                    fits
                }
            }
        }

        pub(crate) fn cut(&self) -> io::Result<()> {
            if self.cut.load(Ordering::SeqCst) { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        }

        pub(crate) fn sync(&self) -> io::Result<()> {
            self.syncs.fetch_add(1, Ordering::SeqCst);
            if self.sync.load(Ordering::SeqCst) { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        }
    }
}
