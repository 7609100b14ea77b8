//! What happens: a call comes in, is identified, understood, decided on, perhaps held, and forwarded with the real
//! credential; its answer is masked and recorded while it streams. [`exchange`] is the whole way on one page.
//! In suggested reading order:

pub mod exchange;
pub mod settings;
pub mod snapshot;

pub mod admit;
pub mod call;
pub mod edge;
pub mod forward;
pub mod grants;
pub mod hold;
pub mod identify;
pub mod inject;
pub mod moderate;
pub mod notify;
pub mod recall;
pub mod record;
pub mod refusal;
pub mod requests;
pub mod respond;
pub mod risk;
pub mod route;
pub mod session;
pub mod sessions;
pub mod understand;
pub mod websocket;

pub mod admin;
pub mod anonymous;
pub mod body;
pub mod budgets;
pub mod caller_body;
pub mod clock;
pub mod consult;
pub mod fetch;
pub mod life;
mod listen;
pub mod locks;
pub mod metrics;
pub mod server;
pub mod start;
pub mod tokens;
