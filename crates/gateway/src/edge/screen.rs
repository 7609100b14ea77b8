//! Between the socket and hyper: requests of HTTP/1.1 that two parsers could read in two ways never reach hyper.
//!
//! Promise: hyper reads only what a [`Screen`] lets through. In the place of a request whose head has a fault it reads a
//! harmless one, and the service is told the fault with it, so that the refusal comes in its turn, after the answers to the
//! requests before it, and is worded and recorded like any other. Nothing is read from that connection any more. A fault
//! in a body ends the body with an error, so it is never taken for complete.
//! Once the connection has left HTTP ([`Handover`]) bytes pass as they come; what was held before as the beginning of a
//! request ends it, since nobody may go on in another protocol before that was agreed.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::Request;
use http::header::UPGRADE;
use hyper::body::Incoming;
use hyper::service::Service;
use keyward_wire::http1::{Fault, Limits, Screen, Stop};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::handover::Handover;
use super::opening::Begun;

/// What hyper reads in the place of a request that is refused; the service answers it with the fault, whatever it asks.
const IN_ITS_PLACE: &[u8] = b"GET /refused HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// Bytes that are read away after a fault, so that the peer can read the refusal.
const UNREAD_BYTES_MAX: usize = 256 * 1024;

/// The fault of one connection, once there is one: which request it stands for, counted from 0, and what it is.
type Found = Arc<OnceLock<(u64, Fault)>>;

/// Puts a screen before a stream, and the faults that it finds before a service.
pub(crate) fn screened<S, T>(
    stream: Begun<S>,
    service: T,
    limits: Limits,
) -> (Screened<S>, Told<T>, Handover) {
    let (found, handover) = (Found::default(), Handover::default());
    let screened = Screened {
        stream,
        screen: Screen::new(limits),
        held: Vec::new(),
        ready: 0,
        given: 0,
        end: None,
        found: Arc::clone(&found),
        handover: handover.clone(),
    };
    let told = Told { service, found, calls: AtomicU64::new(0), handover: handover.clone() };
    (screened, told, handover)
}

/// A stream of which only sound requests are read.
pub(crate) struct Screened<S> {
    stream: Begun<S>,
    screen: Screen,
    /// What is ready to be read, then the beginning of a head that is unfinished.
    held: Vec<u8>,
    ready: usize,
    /// Bytes of what is ready that were read.
    given: usize,
    end: Option<End>,
    found: Found,
    handover: Handover,
}

/// How a connection with a fault goes on.
enum End {
    /// Its service refuses; what still comes is dropped.
    Refused { unread: usize },
    /// Its body breaks off.
    Broken(Fault),
}

impl<S> Screened<S> {
    fn stop(&mut self, fault: Fault) {
        if fault.is_in_body() {
            self.end = Some(End::Broken(fault));
            return;
        }
        if self.found.set((self.screen.heads(), fault)).is_ok() {
            self.held.extend_from_slice(IN_ITS_PLACE);
            self.ready = self.held.len();
        }
        self.end = Some(End::Refused { unread: UNREAD_BYTES_MAX });
    }

    /// Hands out what is ready.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let ready = self.held.get(self.given..self.ready).unwrap_or_default();
        let Some(part) = ready.get(..ready.len().min(buffer.remaining())).filter(|part| !part.is_empty())
        else {
            return false;
        };
        buffer.put_slice(part);
        self.given += part.len();
        if self.given == self.ready {
            self.held.drain(..self.ready);
            (self.ready, self.given) = (0, 0);
        }
        true
    }

    /// Reads on once HTTP was left.
    fn poll_beyond(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>>
    where
        S: AsyncRead + Unpin,
    {
        if self.end.is_some() || !self.held.is_empty() {
            let early = "bytes came before the change of protocol was agreed";
            return Poll::Ready(Err(std::io::Error::new(std::io::ErrorKind::InvalidData, early)));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }

    /// Looks at what was read into the buffer from `before` on; what may not pass yet is held.
    fn look(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let new = buffer.filled().get(before..).unwrap_or_default();
        // Most requests are there whole, and pass where they are.
        let straight = self.held.is_empty();
        let next = if straight {
            self.screen.next(new)
        } else {
            self.held.extend_from_slice(new);
            self.screen.next(&self.held)
        };
        let (passes, fault) = match next {
            Ok(passes) => (passes, None),
            Err(Stop { passes, fault }) => (passes, Some(fault)),
        };
        if straight {
            if fault.is_none() {
                self.held.extend_from_slice(new.get(passes..).unwrap_or_default());
            }
            buffer.set_filled(before + passes);
        } else {
            if fault.is_some() {
                self.held.truncate(passes);
            }
            self.ready = passes;
            buffer.set_filled(before);
        }
        if let Some(fault) = fault {
            self.stop(fault);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Screened<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if this.handover.has_left() {
            return this.poll_beyond(cx, buffer);
        }
        let before = buffer.filled().len();
        loop {
            if buffer.remaining() == 0 || this.give(buffer) || buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            match &mut this.end {
                None => {
                    std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
                    if buffer.filled().len() == before {
                        return Poll::Ready(Ok(()));
                    }
                    this.look(buffer, before);
                }
                Some(End::Broken(fault)) => {
                    return Poll::Ready(Err(std::io::Error::new(std::io::ErrorKind::InvalidData, *fault)));
                }
                // Writing the refusal ends the connection. An end of the stream here would end it before.
                Some(End::Refused { unread: 0 }) => return Poll::Pending,
                Some(End::Refused { unread }) => {
                    let mut dropped = [0; 4096];
                    let mut dropped = ReadBuf::new(&mut dropped);
                    std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, &mut dropped))?;
                    let length = dropped.filled().len();
                    *unread = if length == 0 { 0 } else { unread.saturating_sub(length) };
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Screened<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream.stream).poll_shutdown(cx)
    }
}

/// A service that is told the fault of a request, among the request's extensions. Whoever answers asks for it first:
/// [`fault`].
pub(crate) struct Told<T> {
    service: T,
    found: Found,
    /// hyper calls a service once for each request of a connection of HTTP/1.1, in their order.
    calls: AtomicU64,
    handover: Handover,
}

impl<T: Service<Request<Incoming>>> Service<Request<Incoming>> for Told<T> {
    type Response = T::Response;
    type Error = T::Error;
    type Future = T::Future;

    fn call(&self, mut request: Request<Incoming>) -> T::Future {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some((at, fault)) = self.found.get()
            && call >= *at
        {
            request.extensions_mut().insert(*fault);
        }
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(self.handover.clone());
        }
        self.service.call(request)
    }
}

/// The fault of a request, if it stands for one that was refused.
pub(crate) fn fault(extensions: &http::Extensions) -> Option<Fault> {
    extensions.get().copied()
}

/// The fault that broke a body off, if one did.
pub(crate) fn fault_behind(error: &(dyn std::error::Error + 'static)) -> Option<Fault> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.get_ref()?.downcast_ref().copied();
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LIMITS: Limits = Limits { head_bytes: 1024, headers: 10 };

    /// What is read of an input that comes in such pieces, and the fault.
    async fn read(input: &[u8], piece: usize, room: usize) -> (Vec<u8>, Option<Fault>) {
        let (mut peer, ours) = tokio::io::duplex(piece);
        let reading = async {
            let (mut screened, told, _) = screened(Begun::of(ours).await.unwrap(), (), LIMITS);
            let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
            loop {
                // Time stands still but where nothing more comes.
                match tokio::time::timeout(Duration::from_secs(1), screened.read(&mut buffer)).await {
                    Err(_) | Ok(Ok(0)) => return (all, told.found.get().map(|found| found.1)),
                    Ok(Ok(length)) => all.extend_from_slice(&buffer[..length]),
                    Ok(Err(error)) => return (all, fault_behind(&error)),
                }
            }
        };
        let writing = async {
            peer.write_all(input).await.ok();
            drop(peer);
        };
        tokio::join!(reading, writing).0
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sound_is_read_as_it_is() {
        let input = b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nhost: h\r\n\r\n\
            POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for (piece, room) in [(1, 1), (1, 64), (7, 3), (500, 500), (30, 1000), (500, 10)] {
            assert_eq!(read(input, piece, room).await, (input.to_vec(), None), "{piece} {room}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_with_a_fault_is_not_read_and_a_harmless_one_is() {
        let sound = b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
        let smuggling =
            b"POST /b HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabcdef";
        let input = [&sound[..], smuggling].concat();
        let expected = [&sound[..], IN_ITS_PLACE].concat();
        for (piece, room) in [(1, 1), (1, 64), (7, 3), (500, 500), (30, 1000), (500, 10)] {
            assert_eq!(
                read(&input, piece, room).await,
                (expected.clone(), Some(Fault::TwoFramings)),
                "{piece} {room}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_with_a_fault_breaks_off() {
        let input = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n";
        let (all, fault) = read(input, 500, 500).await;
        assert_eq!((all.last(), fault), (Some(&b'c'), Some(Fault::Chunk)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_a_fault_is_dropped() {
        let input = [&b"bad\r\n\r\n"[..], &vec![b'x'; 100_000]].concat();
        assert_eq!(read(&input, 5000, 5000).await, (IN_ITS_PLACE.to_vec(), Some(Fault::RequestLine)));
    }
}
