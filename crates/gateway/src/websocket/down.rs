//! Messages of the upstream: tool calls in them are judged, then they are masked, then they are the caller's.

use bytes::Bytes;
use keyward_core::Finding;
use keyward_mask::walk::WebSocketMasker;
use keyward_wire::websocket::{Item, Messages, Side};

use super::ending::{Ending, Who};
use super::up::line;
use crate::respond::MessageGuard;

/// Looks into what the upstream says.
pub(super) struct Down {
    guard: Option<MessageGuard>,
    masker: Option<WebSocketMasker>,
    /// Reads what the caller gets, for the record.
    told: Messages,
}

/// What may leave.
#[derive(Default)]
pub(super) struct Passed {
    /// Whole frames, as a server sends them.
    pub(super) frames: Vec<u8>,
    /// The messages in them, as they are kept.
    pub(super) shown: Vec<Bytes>,
    /// What was masked.
    pub(super) masked: Vec<Finding>,
}

impl Down {
    pub(super) fn new(guard: Option<MessageGuard>, masker: Option<WebSocketMasker>) -> Self {
        Self { guard, masker, told: Messages::new(Side::Server) }
    }

    /// A message, and the frames it came in.
    pub(super) fn message(&mut self, payload: &[u8], raw: &[u8]) -> Result<Passed, Ending> {
        let Some(guard) = &mut self.guard else { return self.mask(raw) };
        let mut passes = Vec::new();
        guard.message(payload, raw, &mut passes).map_err(Ending::refused)?;
        self.mask(&passes)
    }

    /// The close frame: what was withheld or held back goes before it.
    pub(super) fn close(&mut self, raw: &[u8]) -> Result<Passed, Ending> {
        let mut passes = Vec::new();
        if let Some(guard) = &mut self.guard {
            guard.finish(&mut passes).map_err(Ending::refused)?;
        }
        passes.extend_from_slice(raw);
        self.mask(&passes)
    }

    fn mask(&mut self, frames: &[u8]) -> Result<Passed, Ending> {
        let mut passed = Passed::default();
        match &mut self.masker {
            None => passed.frames.extend_from_slice(frames),
            Some(masker) => {
                masker.push(frames, &mut passed.frames).map_err(Ending::unmasked)?;
                passed.masked = masker.take_findings();
            }
        }
        let mut rest = &*passed.frames;
        while let Some(item) =
            self.told.next(&mut rest).map_err(|error| Ending::breach(Who::Upstream, error))?
        {
            if let Item::Message { kind, payload, .. } = item {
                passed.shown.push(line(kind, payload));
            }
        }
        Ok(passed)
    }
}
