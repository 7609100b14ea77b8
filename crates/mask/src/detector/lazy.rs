//! What is built from a pattern when it is first needed: of hundreds of detectors a text asks for a few.

use std::sync::OnceLock;

/// Builds one from a pattern.
type Builder<T> = fn(&str) -> Result<T, String>;

/// Something built from a pattern, now or at its first use.
pub(super) struct Lazy<T> {
    pattern: Box<str>,
    build: Builder<T>,
    built: OnceLock<T>,
}

impl<T> Lazy<T> {
    /// Nothing is built yet. Only for patterns that are known to build: the shipped ones.
    pub(super) fn new(pattern: &str, build: Builder<T>) -> Self {
        Self { pattern: pattern.into(), build, built: OnceLock::new() }
    }

    /// Builds at once.
    ///
    /// # Errors
    /// The builder's.
    pub(super) fn built(pattern: &str, build: Builder<T>) -> Result<Self, String> {
        let ready = OnceLock::from(build(pattern)?);
        Ok(Self { pattern: Box::default(), build, built: ready })
    }

    /// Builds it at the first call.
    ///
    /// # Panics
    /// Never in a build whose tests passed: what is not built at once is part of the program.
    #[expect(
        clippy::panic,
        reason = "a shipped pattern that does not build is a broken build, caught by the tests"
    )]
    pub(super) fn get(&self) -> &T {
        self.built.get_or_init(|| match (self.build)(&self.pattern) {
            Ok(built) => built,
            Err(error) => panic!("a shipped pattern is broken: {error}"),
        })
    }
}
