//! Streams of events: text is masked per logical channel across events, everything else within its event.
//!
//! **Channels.** Chat completions: `choices[i].delta.` content, reasoning, refusal, tool-call and function arguments,
//! audio transcript; `choices[i].text`. Responses: `delta` of every `….delta` event, per output and part. Messages:
//! text, thinking and partial JSON per block. Gemini, TGI, Cohere, Bedrock Converse, Ollama, llama.cpp and the models
//! behind Bedrock as `paths` lists them. The members that say where a piece belongs (`index`, `output_index`, `item_id`,
//! …) count, wherever in the event they stand.
//!
//! **What goes out when.** Every event goes out at once, with its id, name, comments and members as they were. A piece
//! that is undecided leaves its event (which then has less text, or `""`) and stands before the next piece of its
//! channel. When an event ends a channel (`finish_reason`, `content_block_stop`, `….done`, `message_stop`,
//! `response.completed`, `[DONE]`, the end of the stream), the channel's rest goes to the end of its piece in that very
//! event, where it has one; else into one more event before it, made after the last one that the text had (`shape`).
//!
//! **Everything else**: every other string (also the full text that `….done` and `response.completed` repeat), key,
//! comment and field value is a text of its own. Log probabilities as in `logprobs`. Data that looks like JSON and is
//! none is one plain text. An event beyond [`sse::FRAME_BYTES_MAX`], beyond [`event::STRINGS_MAX`] strings, or one
//! channel beyond [`CHANNELS_MAX`] ends the body (*fails closed*).
//!
//! In suggested reading order: `documents` (what happens to one event's data), `event` and `channel` (what it holds, whose
//! text it continues), `shape`, then the framings `sse`, `lines`, `array`, `aws`,
//! `websocket`.

mod array;
mod aws;
mod channel;
mod documents;
mod edits;
mod event;
mod lines;
mod recent;
mod shape;
mod sse;
mod template;
mod websocket;

pub use array::ELEMENT_BYTES_MAX;
pub(super) use array::JsonBody;
pub(super) use aws::AwsEvents;
pub use channel::CHANNELS_MAX;
pub use lines::LINE_BYTES_MAX;
pub(super) use lines::Lines;
pub(super) use sse::Events;
pub use websocket::WebSocketMasker;
