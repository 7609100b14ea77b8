//! Logs: text on a terminal, one JSON object a line otherwise, always on stderr.
//!
//! Promise: at any level, events of other people's crates appear only from `info` up: at `debug` and `trace` HTTP, TLS
//! and database libraries print headers, bodies and statements, and with them secrets. Ours never carry one, because
//! the types that hold secrets cannot be printed. Beneath both, what is written goes through the masker: a credential
//! that a text of somebody else's carried here does not leave, and a line that cannot be masked is left out (*fails
//! closed*). Exceptions: none; a directive for a dependency is capped too.

use std::io::{IsTerminal as _, Write};
use std::sync::{Arc, LazyLock};

use keyward_core::Confidence;
use keyward_mask::walk::{BodyFormat, BodyMasker};
use keyward_mask::{Detectors, Profile};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::config::document::{Log, LogFormat, LogLevel};

/// Overrides the configured level: a level, or directives such as `keyward_gateway=debug,info`.
pub const VARIABLE: &str = "KEYWARD_LOG";

/// What cannot be understood in [`VARIABLE`]; logging then goes by the configuration.
#[derive(Debug, thiserror::Error)]
#[error(
    "{VARIABLE} is neither a level (error, warn, info, debug, trace) nor directives such as keyward_gateway=debug,info"
)]
pub struct DirectiveError;

/// Starts logging for the rest of the process. Only the first call has an effect.
///
/// # Errors
/// When [`VARIABLE`] cannot be understood; logging is on nevertheless.
pub fn start(log: Log) -> Result<(), DirectiveError> {
    let directives = std::env::var(VARIABLE).ok();
    let (filter, result) = match targets(log.level, directives.as_deref()) {
        Ok(filter) => (filter, Ok(())),
        Err(error) => (configured(log.level), Err(error)),
    };
    let style = match log.format {
        LogFormat::Text => Style::Text,
        LogFormat::Auto if std::io::stderr().is_terminal() => Style::Text,
        LogFormat::Json | LogFormat::Auto => Style::Json,
    };
    let color =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = subscriber(filter, style, color, move || Masked { inner: std::io::stderr(), style });
    // A second start, in a test or an embedding program, keeps the first one's settings.
    _ = tracing::subscriber::set_global_default(subscriber);
    result
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Text,
    Json,
}

fn subscriber<W>(targets: Targets, style: Style, color: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = targets.and(filter_fn(may_appear));
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match style {
        Style::Text => {
            Box::new(tracing_subscriber::registry().with(layer.with_ansi(color).with_filter(filter)))
        }
        Style::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(true).with_span_list(false);
            Box::new(tracing_subscriber::registry().with(layer.with_filter(filter)))
        }
    }
}

/// What logs are masked with: every credential that is more than a guess. Built for the first line.
static MASK: LazyLock<Option<Arc<Profile>>> = LazyLock::new(|| {
    let detectors = Detectors::builtin();
    let sure =
        detectors.iter().filter(|d| d.group() == "credentials" && d.confidence() >= Confidence::Medium);
    let names: Vec<String> = sure.map(|detector| detector.id().to_owned()).collect();
    Profile::builder().detectors(detectors, &names).build().ok().map(Arc::new)
});

/// Stands for a line that cannot be masked.
const LEFT_OUT: &[u8] =
    b"{\"level\":\"WARN\",\"message\":\"a line of the log could not be masked and was left out\"}\n";

/// Masks what is written; a line comes in one piece.
struct Masked<W> {
    inner: W,
    style: Style,
}

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let format = match self.style {
            Style::Text => BodyFormat::Text,
            Style::Json => BodyFormat::Json,
        };
        let mut out = Vec::with_capacity(line.len());
        let masked = MASK.as_ref().is_some_and(|profile| {
            let mut masker = BodyMasker::new(Arc::clone(profile), format);
            masker.push(line, &mut out).and_then(|()| masker.finish(&mut out)).is_ok()
        });
        self.inner.write_all(if masked { &out } else { LEFT_OUT })?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Our own crates at any level, everything else from `info` up.
fn may_appear(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let ours = target == "keyward" || target.starts_with("keyward::") || target.starts_with("keyward_");
    ours || *metadata.level() <= Level::INFO
}

fn configured(level: LogLevel) -> Targets {
    Targets::new().with_default(match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    })
}

fn targets(level: LogLevel, directives: Option<&str>) -> Result<Targets, DirectiveError> {
    match directives.map(str::trim) {
        None | Some("") => Ok(configured(level)),
        Some(text) => text.parse().map_err(|_| DirectiveError),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(directives: Option<&str>, style: Style, events: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let filter = targets(LogLevel::Trace, directives).unwrap();
        let writer = move || Masked { inner: writer.clone(), style };
        tracing::subscriber::with_default(subscriber(filter, style, false, writer), events);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn events() {
        tracing::trace!(target: "keyward_gateway::forward", "ours at trace");
        tracing::info!(target: "hyper::proto", "theirs at info");
        tracing::debug!(target: "hyper::proto", "theirs at debug");
        tracing::trace!(target: "keywardx", "theirs at trace");
    }

    #[test]
    fn dependencies_are_capped_at_every_setting() {
        for directives in [None, Some("trace"), Some("hyper=trace,keyward_gateway=trace,keywardx=trace")] {
            let text = logged(directives, Style::Text, events);
            assert!(
                text.contains("ours at trace") && text.contains("theirs at info"),
                "{directives:?}: {text}"
            );
            assert!(
                !text.contains("theirs at debug") && !text.contains("theirs at trace"),
                "{directives:?}: {text}"
            );
        }
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text =
            logged(Some("info"), Style::Json, || tracing::info!(target: "keyward", answer = 42, "hello"));
        let value: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(
            (&value["message"], &value["answer"], &value["level"]),
            (&"hello".into(), &42.into(), &"INFO".into())
        );
    }

    #[test]
    fn a_credential_in_somebody_else_s_words_is_masked() {
        // Parts of no real key.
        let key = ["ghp_", "k3Jx9QmZ2pLw8Rt5Vb7Nc1Yd6Hs4Gf0LAnCC"].concat();
        for style in [Style::Text, Style::Json] {
            let events = || tracing::warn!(target: "keyward", error = %format!("\"{key}\" is no host"), "refused: {key}");
            let text = logged(None, style, events);
            assert_eq!(text.matches("[REDACTED:github_pat]").count(), 2, "{text}");
            assert!(!text.contains(&key) && text.ends_with('\n'), "{text}");
            if style == Style::Json {
                serde_json::from_str::<serde_json::Value>(text.trim_end()).unwrap();
            }
        }
    }

    #[test]
    fn directives_are_understood_or_refused() {
        assert!(targets(LogLevel::Info, Some("debug")).is_ok());
        assert!(targets(LogLevel::Info, Some(" ")).is_ok());
        assert!(targets(LogLevel::Info, Some("keyward=verbose")).is_err());
    }
}
