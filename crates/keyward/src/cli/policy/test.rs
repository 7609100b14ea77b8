//! `keyward policy test`: the tests that stand in documents, reported to people, to CI, and to programs.

use keyward_core::policy::{PolicySet, RulePlace, TestResult, TestRun};
use serde::Serialize;

use super::super::Session;
use crate::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TestArgs {
    /// Files, or shipped packs like builtin:base; without any, those of the configuration
    pub(super) files: Vec<String>,
    /// How the results are written as text
    #[arg(long, value_enum, default_value_t = TestFormat::Text, value_name = "FORMAT")]
    format: TestFormat,
    /// Fail where a rule is touched by no test
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TestFormat {
    /// A table for people
    Text,
    /// The Test Anything Protocol, version 14
    Tap,
    /// `JUnit` XML, as CI systems read it
    Junit,
}

#[derive(Serialize)]
struct Test<'r> {
    file: &'r str,
    line: u64,
    name: &'r str,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'r str>,
}

/// A rule whose condition holds in no test.
#[derive(Serialize)]
struct Untouched<'r> {
    file: &'r str,
    line: u64,
    rule: &'r str,
}

/// What programs read.
#[derive(Serialize)]
struct Results<'r> {
    tests: &'r [Test<'r>],
    untouched: &'r [Untouched<'r>],
}

const UNTOUCHED: &str = "no test touches this rule";

pub(super) fn run(set: &PolicySet, args: &TestArgs, session: &Session) -> Result<(), Failure> {
    let run = set.run_tests();
    if run.results.is_empty() {
        return Err(Failure::error("there is no test in these documents", "add a `tests:` section"));
    }
    if args.format != TestFormat::Text && !session.output.is_table() {
        return Err(Failure::usage(
            "--format says how text is written, and -o asks for data",
            "use one of them",
        ));
    }
    match args.format {
        TestFormat::Text => text(&run, session)?,
        TestFormat::Tap => session.output.bytes(tap(&run, args.strict).as_bytes())?,
        TestFormat::Junit => session.output.bytes(junit(&run, args.strict).as_bytes())?,
    }
    let failed = run.results.iter().filter(|test| !test.passed()).count();
    if failed > 0 {
        let message = format!("{failed} of {} policy tests failed", run.results.len());
        return Err(Failure::new(Exit::PolicyTestFailed, message, ""));
    }
    if args.strict && !run.untouched.is_empty() {
        let message = format!("{} rules are touched by no test", run.untouched.len());
        let help = "add a test whose facts make the rule's condition hold";
        return Err(Failure::new(Exit::PolicyTestFailed, message, help));
    }
    Ok(())
}

fn text(run: &TestRun, session: &Session) -> Result<(), Failure> {
    let tests: Vec<Test<'_>> = run.results.iter().map(shown).collect();
    let untouched: Vec<Untouched<'_>> = run.untouched.iter().map(place).collect();
    if session.output.is_json_lines() {
        session.output.rows(&tests, &[], |_| Vec::new())?;
        return session.output.rows(&untouched, &[], |_| Vec::new());
    }
    if !session.output.is_table() {
        return session.output.object(&Results { tests: &tests, untouched: &untouched }, String::new);
    }
    session.output.rows(&tests, &["RESULT", "TEST", "PLACE", "DIFFERENCE"], |test| {
        let result = if test.passed { "ok" } else { "FAILED" };
        let place = format!("{}:{}", test.file, test.line);
        vec![result.to_owned(), test.name.to_owned(), place, test.failure.unwrap_or_default().to_owned()]
    })?;
    if untouched.is_empty() {
        return Ok(());
    }
    session.output.bytes(b"\n")?;
    session.output.rows(&untouched, &["NO TEST TOUCHES", "PLACE"], |rule| {
        vec![rule.rule.to_owned(), format!("{}:{}", rule.file, rule.line)]
    })
}

fn shown(result: &TestResult) -> Test<'_> {
    Test {
        file: &result.file,
        line: result.line,
        name: &result.name,
        passed: result.passed(),
        failure: result.failure.as_deref(),
    }
}

fn place(rule: &RulePlace) -> Untouched<'_> {
    Untouched { file: &rule.file, line: rule.line, rule: &rule.rule }
}

/// A rule that no test touches is a test that was skipped, or with `--strict` one that failed.
fn tap(run: &TestRun, strict: bool) -> String {
    let mut lines =
        vec!["TAP version 14".to_owned(), format!("1..{}", run.results.len() + run.untouched.len())];
    let mut point = |good: bool, name: String, directive: &str, failure: Option<(&str, &str, u64)>| {
        let (result, number) = (if good { "ok" } else { "not ok" }, lines.len() - 1);
        let mut text = format!("{result} {number} - {name}{directive}");
        if let Some((message, file, line)) = failure {
            // A JSON text is a YAML scalar.
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            let (message, file) = (quoted(message), quoted(file));
            text.extend(["\n  ---\n  message: ", &message, "\n  at: {file: ", &file, ", line: "]);
            text.extend([&*line.to_string(), "}\n  ..."]);
        }
        lines.push(text);
    };
    for test in &run.results {
        let failure = test.failure.as_deref().map(|message| (message, test.file.as_str(), test.line));
        point(test.passed(), tap_name(&test.name), "", failure);
    }
    for rule in &run.untouched {
        let failure = strict.then_some((UNTOUCHED, &*rule.file, rule.line));
        let directive = if strict { "" } else { " # SKIP no test touches it" };
        point(!strict, format!("rule {}", rule.rule), directive, failure);
    }
    lines.join("\n") + "\n"
}

/// A description on one line in which nothing reads as a directive.
fn tap_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '#' | '\\') {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

fn junit(run: &TestRun, strict: bool) -> String {
    let failed = run.results.iter().filter(|test| !test.passed()).count();
    let untouched = run.untouched.len();
    let (failures, skipped) = if strict { (failed + untouched, 0) } else { (failed, untouched) };
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"keyward policy\" tests=\"{}\" \
         failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">\n",
        run.results.len() + untouched
    );
    let mut case = |file: &str, line: u64, name: &str, inner: Option<(&str, &str)>| {
        let (file, name) = (xml(file), xml(name));
        let head =
            format!("    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{line}\"");
        let rest = inner.map_or_else(
            || "/>".to_owned(),
            |(element, message)| {
                format!(">\n      <{element} message=\"{}\"/>\n    </testcase>", xml(message))
            },
        );
        out.extend([&head, &*rest, "\n"]);
    };
    for test in &run.results {
        case(&test.file, test.line, &test.name, test.failure.as_deref().map(|message| ("failure", message)));
    }
    let element = if strict { "failure" } else { "skipped" };
    for rule in &run.untouched {
        case(&rule.file, rule.line, &format!("rule {}", rule.rule), Some((element, UNTOUCHED)));
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Text as the value of an attribute; what XML 1.0 has no character for becomes U+FFFD.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> TestRun {
        let result = |name: &str, failure: Option<&str>| TestResult {
            file: "a & b.yaml".to_owned(),
            line: 7,
            name: name.to_owned(),
            failure: failure.map(str::to_owned),
        };
        let rule = RulePlace { rule: "idle".into(), file: "p.yaml".into(), line: 3 };
        TestRun {
            results: vec![result("plain", None), result("<\"x\"> # TODO \u{1}\n", Some("rule <a> & \"b\""))],
            untouched: vec![rule],
        }
    }

    #[test]
    fn tap_has_a_plan_and_nothing_reads_as_a_directive() {
        let want = "TAP version 14\n1..3\nok 1 - plain\nnot ok 2 - <\"x\"> \\# TODO   \n  ---\n  message: \"rule <a> & \
                    \\\"b\\\"\"\n  at: {file: \"a & b.yaml\", line: 7}\n  ...\nok 3 - rule idle # SKIP no test touches it\n";
        assert_eq!(tap(&example(), false), want);
        assert!(
            tap(&example(), true)
                .contains("\nnot ok 3 - rule idle\n  ---\n  message: \"no test touches this rule\"")
        );
    }

    #[test]
    fn junit_is_escaped_and_counts() {
        let lax = junit(&example(), false);
        assert!(lax.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{lax}");
        assert!(lax.contains("name=\"&lt;&quot;x&quot;&gt; # TODO \u{fffd}&#10;\""), "{lax}");
        assert!(lax.contains("<failure message=\"rule &lt;a&gt; &amp; &quot;b&quot;\"/>"), "{lax}");
        assert!(lax.contains("<skipped message=\"no test touches this rule\"/>"), "{lax}");
        let strict = junit(&example(), true);
        assert!(strict.contains("failures=\"2\" errors=\"0\" skipped=\"0\""), "{strict}");
        assert!(!strict.contains("skipped message"), "{strict}");
    }
}
