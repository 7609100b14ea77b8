//! What an answer took: bytes, and tokens as the model server reports them.
//!
//! The report stands at the beginning or the end of an answer in every dialect, so the first and last [`WINDOW_BYTES`] are
//! kept and searched. Where none stands there, a token is counted for every four bytes of what was sent and answered.

use std::sync::Arc;

use keyward_core::Measure;

use crate::budgets::{Budgets, Purse};

/// How much of an answer's beginning and end is searched, in bytes.
const WINDOW_BYTES: usize = 4 * 1024;
/// Bytes of text to a token, where nobody counted.
const BYTES_PER_TOKEN: u64 = 4;
/// Members that hold a whole count, then those that hold a part of it: in, then out.
const TOTAL: [&str; 2] = ["total_tokens", "totalTokenCount"];
const INTO: [&str; 4] = ["prompt_tokens", "input_tokens", "prompt_eval_count", "promptTokenCount"];
const OUT: [&str; 4] = ["completion_tokens", "output_tokens", "eval_count", "candidatesTokenCount"];

/// Counts an answer, and draws from budgets when it is dropped: however the answer ended, it was used.
pub(crate) struct Meter {
    budgets: Arc<Budgets>,
    purses: Vec<Purse>,
    sent: u64,
    answered: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Meter {
    /// For a request of this many bytes. None where nothing is to be counted.
    pub(crate) fn new(budgets: &Arc<Budgets>, purses: Vec<Purse>, sent: u64) -> Option<Self> {
        let purses: Vec<Purse> =
            purses.into_iter().filter(|purse| purse.measure() != Measure::Requests).collect();
        let (head, tail) = (Vec::new(), Vec::new());
        (!purses.is_empty()).then(|| Self {
            budgets: Arc::clone(budgets),
            purses,
            sent,
            answered: 0,
            head,
            tail,
        })
    }

    /// Counts more bytes of the request.
    pub(crate) fn sent(&mut self, more: u64) {
        self.sent += more;
    }

    /// Counts a piece of the answer.
    pub(crate) fn piece(&mut self, piece: &[u8]) {
        self.answered += piece.len() as u64;
        let room = WINDOW_BYTES - self.head.len().min(WINDOW_BYTES);
        let (first, rest) = piece.split_at(room.min(piece.len()));
        self.head.extend_from_slice(first);
        let rest = rest.get(rest.len().saturating_sub(WINDOW_BYTES)..).unwrap_or_default();
        let over = (self.tail.len() + rest.len()).saturating_sub(WINDOW_BYTES);
        self.tail.drain(..over.min(self.tail.len()));
        self.tail.extend_from_slice(rest);
    }

    fn tokens(&self) -> u64 {
        let text = [&*self.head, &*self.tail].concat();
        let last = |names: &[&str]| names.iter().filter_map(|name| last_number(&text, name)).max();
        if let Some(total) = last(&TOTAL) {
            return total;
        }
        match (last(&INTO), last(&OUT)) {
            (None, None) => (self.sent + self.answered) / BYTES_PER_TOKEN,
            (into, out) => into.unwrap_or(0) + out.unwrap_or(0),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        for purse in &self.purses {
            let amount = match purse.measure() {
                Measure::Tokens => self.tokens(),
                Measure::Bytes => self.sent + self.answered,
                Measure::Requests => continue,
            };
            self.budgets.draw(purse, amount);
        }
    }
}

/// The number of the last member of this name. In a text of JSON, quotes are escaped, so no text of a model is taken for it.
fn last_number(json: &[u8], name: &str) -> Option<u64> {
    let wanted = format!("\"{name}\"");
    let at = json.windows(wanted.len()).rposition(|window| window == wanted.as_bytes())?;
    let rest = json.get(at + wanted.len()..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(sent: u64, pieces: &[&str]) -> u64 {
        let mut meter = Meter {
            budgets: Arc::default(),
            purses: Vec::new(),
            sent,
            answered: 0,
            head: Vec::new(),
            tail: Vec::new(),
        };
        for piece in pieces {
            meter.piece(piece.as_bytes());
        }
        meter.tokens()
    }

    #[test]
    fn the_report_of_each_dialect_is_found_wherever_the_answer_is_cut() {
        let long = "x".repeat(3 * WINDOW_BYTES);
        for (before, after, wanted) in [
            ("", r#"{"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}"#, 7),
            (
                r#"{"type":"message_start","usage":{"input_tokens":11,"output_tokens":1}}"#,
                r#"{"usage":{"output_tokens":9}}"#,
                20,
            ),
            (
                "",
                r#"{"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":3,"totalTokenCount":5}}"#,
                5,
            ),
            ("", r#"{"done":true,"prompt_eval_count":6,"eval_count":2}"#, 8),
        ] {
            assert_eq!(tokens(0, &[before, &long, after]), wanted, "{after}");
            let whole = format!("{before}{long}{after}");
            let bytes: Vec<String> = whole.chars().map(String::from).collect();
            let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
            assert_eq!(tokens(0, &bytes), wanted, "{after}");
        }
    }

    #[test]
    fn without_a_report_four_bytes_are_a_token_and_texts_are_no_report() {
        assert_eq!(tokens(400, &[&"x".repeat(400)]), 200);
        assert_eq!(tokens(0, &[r#"{"content":"\"total_tokens\": 1"}"#]), 8);
    }
}
