//! One content coding at work.

use std::io::Write as _;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as Unzstd, Operation as _};

use super::{BARREN_BYTES_MAX, CREDIT_BYTES_MAX, CREDIT_BYTES_START, Coding, CodingError, RATIO_MAX};

/// Binary logarithm of [`super::WINDOW_BYTES_MAX`].
pub(super) const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// How much is decoded before it is handed over.
const OUTPUT_BYTES: usize = 32 * 1024;

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

enum Engine {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// The first bytes, which tell whether there is a frame of zlib.
    DeflateHead(Vec<u8>),
    Deflate(Decompress),
    Brotli(Box<Brotli>),
    Zstd(Box<Unzstd<'static>>),
}

/// What an engine did in one go.
struct Progress {
    used: usize,
    made: usize,
    ended: bool,
}

pub(super) struct Layer {
    engine: Engine,
    output: Vec<u8>,
    /// The coding's own end was seen, or nothing came yet. Gzip says so itself.
    ended: bool,
    fed: bool,
    /// Decoded bytes that are believed yet.
    credit: u64,
    /// Encoded bytes since the last decoded one.
    barren: u64,
}

impl Layer {
    pub(super) fn new(coding: Coding) -> Result<Self, CodingError> {
        let engine = match coding {
            Coding::Gzip => Engine::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Coding::Deflate => Engine::DeflateHead(Vec::new()),
            Coding::Brotli => {
                let alloc = StandardAlloc::default;
                Engine::Brotli(Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())))
            }
            Coding::Zstd => {
                let mut decoder = Unzstd::new().map_err(|_| CodingError::Unknown)?;
                decoder
                    .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
                    .map_err(|_| CodingError::Unknown)?;
                Engine::Zstd(Box::new(decoder))
            }
        };
        let output = if coding == Coding::Gzip { Vec::new() } else { vec![0; OUTPUT_BYTES] };
        Ok(Self { engine, output, ended: false, fed: false, credit: CREDIT_BYTES_START, barren: 0 })
    }

    /// So many more bytes of the body came.
    pub(super) fn believe(&mut self, encoded: usize) {
        let more = (encoded as u64).saturating_mul(RATIO_MAX);
        self.credit = self.credit.saturating_add(more).min(CREDIT_BYTES_MAX);
    }

    pub(super) fn decode<E: From<CodingError>>(
        &mut self,
        input: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.fed |= !input.is_empty();
        self.barren = self.barren.saturating_add(input.len() as u64);
        match &mut self.engine {
            Engine::Gzip(decoder) => {
                decoder.write_all(input).and_then(|()| decoder.flush()).map_err(|_| CodingError::Invalid)?;
                let mut made = std::mem::take(decoder.get_mut());
                self.hand_over(&made, sink)?;
                made.clear();
                if let Engine::Gzip(decoder) = &mut self.engine {
                    *decoder.get_mut() = made;
                }
            }
            Engine::DeflateHead(head) => {
                head.extend_from_slice(input);
                if head.len() >= 2 {
                    self.begin_deflate(sink)?;
                }
            }
            _ => self.run(input, sink)?,
        }
        if self.barren > BARREN_BYTES_MAX { Err(CodingError::Bomb.into()) } else { Ok(()) }
    }

    pub(super) fn finish<E: From<CodingError>>(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.fed {
            return Ok(());
        }
        if let Engine::DeflateHead(_) = &self.engine {
            self.begin_deflate(sink)?;
        }
        if let Engine::Gzip(decoder) = &mut self.engine {
            decoder.try_finish().map_err(|_| CodingError::CutOff)?;
            let made = std::mem::take(decoder.get_mut());
            return self.hand_over(&made, sink);
        }
        if self.ended { Ok(()) } else { Err(CodingError::CutOff.into()) }
    }

    fn hand_over<E: From<CodingError>>(
        &mut self,
        made: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if made.is_empty() {
            return Ok(());
        }
        self.barren = 0;
        self.credit = self.credit.checked_sub(made.len() as u64).ok_or(CodingError::Bomb)?;
        sink(made)
    }

    /// Browsers take deflate with and without the frame of zlib, so servers send both. The frame shows by its check
    /// bits (RFC 1950, section 2.2).
    fn begin_deflate<E: From<CodingError>>(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Engine::DeflateHead(head) = &mut self.engine else { return Ok(()) };
        let head = std::mem::take(head);
        let framed = match head.as_slice() {
            [method, flags, ..] => {
                method & 15 == 8 && (u32::from(*method) * 256 + u32::from(*flags)).is_multiple_of(31)
            }
            _ => false,
        };
        self.engine = Engine::Deflate(Decompress::new(framed));
        self.run(&head, sink)
    }

    fn run<E: From<CodingError>>(
        &mut self,
        input: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = input;
        loop {
            let behind_end = self.ended && !matches!(self.engine, Engine::Zstd(_));
            if behind_end {
                return if rest.is_empty() { Ok(()) } else { Err(CodingError::Invalid.into()) };
            }
            let Progress { used, made, ended } = self.engine.go(rest, &mut self.output)?;
            self.ended = ended;
            rest = rest.get(used..).unwrap_or_default();
            let output = std::mem::take(&mut self.output);
            self.hand_over(output.get(..made).unwrap_or_default(), sink)?;
            let full = made == output.len();
            self.output = output;
            if !full && (rest.is_empty() || (used == 0 && made == 0)) {
                return if rest.is_empty() { Ok(()) } else { Err(CodingError::Invalid.into()) };
            }
            if ended && rest.is_empty() {
                return Ok(());
            }
        }
    }
}

impl Engine {
    fn go(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, CodingError> {
        match self {
            Self::Deflate(inflate) => {
                let (read, written) = (inflate.total_in(), inflate.total_out());
                let status = inflate
                    .decompress(input, output, FlushDecompress::None)
                    .map_err(|_| CodingError::Invalid)?;
                let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or_default();
                Ok(Progress {
                    used: count(inflate.total_in(), read),
                    made: count(inflate.total_out(), written),
                    ended: status == Status::StreamEnd,
                })
            }
            Self::Brotli(state) => {
                let (mut left, mut used, mut room, mut made, mut total) =
                    (input.len(), 0, output.len(), 0, 0);
                let result = BrotliDecompressStream(
                    &mut left, &mut used, input, &mut room, &mut made, output, &mut total, state,
                );
                match result {
                    BrotliResult::ResultFailure => Err(CodingError::Invalid),
                    BrotliResult::ResultSuccess => Ok(Progress { used, made, ended: true }),
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {
                        Ok(Progress { used, made, ended: false })
                    }
                }
            }
            Self::Zstd(decoder) => {
                let status = decoder.run_on_buffers(input, output).map_err(|_| CodingError::Invalid)?;
                Ok(Progress {
                    used: status.bytes_read,
                    made: status.bytes_written,
                    ended: status.remaining == 0,
                })
            }
            Self::Gzip(_) | Self::DeflateHead(_) => Err(CodingError::Invalid),
        }
    }
}
