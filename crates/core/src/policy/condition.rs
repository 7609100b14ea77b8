//! Reads conditions: bounded text, parsed on a thread of its own with a large stack.
//!
//! **Promise.** No text of a condition can end the process: its length and nesting are bounded before the parser sees
//! it, the parser runs where a deep recursion has room, and its panic is an error of that condition.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::check::{Checked, Problem, check};

/// Longest condition, in bytes.
pub const CONDITION_BYTES_MAX: usize = 2048;
/// Deepest nesting of brackets, and longest run of prefix operators, that reaches the parser.
const NESTING_MAX: usize = 64;
/// Stack of the parsing thread; measured need for the deepest text let through is below a tenth of it.
const STACK_BYTES: usize = 64 << 20;

/// Compiles every condition, in order.
pub(super) fn compile_all(conditions: &[&str]) -> Vec<Result<Checked, Vec<Problem>>> {
    let failed = || {
        let problem = problem(0, "the conditions could not be read: no thread to read them on");
        conditions.iter().map(|_| Err(vec![problem.clone()])).collect()
    };
    std::thread::scope(|scope| {
        let work = || conditions.iter().map(|text| compile(text)).collect::<Vec<_>>();
        let builder = std::thread::Builder::new().name("conditions".to_owned()).stack_size(STACK_BYTES);
        match builder.spawn_scoped(scope, work) {
            Ok(thread) => thread.join().unwrap_or_else(|_| failed()),
            Err(_) => failed(),
        }
    })
}

fn problem(offset: usize, message: impl Into<String>) -> Problem {
    Problem { offset, message: message.into(), help: None }
}

fn compile(text: &str) -> Result<Checked, Vec<Problem>> {
    bounded(text)?;
    // No macros: `exists` and its like stay calls, which are checked and evaluated as such.
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        let environment = cel::Env::default().with_optional_support(false);
        environment.parser().parse_with_source_info(text)
    }));
    match parsed {
        Ok(Ok((expression, info))) => check(&expression, &info).map_err(|problems| {
            // The parser counts bytes, and people count characters.
            let characters = |offset| text.get(..offset).map_or(0, |before| before.chars().count());
            problems.into_iter().map(|p| Problem { offset: characters(p.offset), ..p }).collect()
        }),
        Ok(Err(errors)) => Err(errors
            .errors
            .iter()
            .map(|error| {
                problem(offset(text, error.pos), format!("not a CEL expression: {}", shown(&error.msg)))
            })
            .collect()),
        Err(_) => Err(vec![problem(0, "not a CEL expression")]),
    }
}

/// Refuses what is too long or too deep to be handed to the parser.
fn bounded(text: &str) -> Result<(), Vec<Problem>> {
    if text.len() > CONDITION_BYTES_MAX {
        let message =
            format!("the condition has {} bytes, and at most {CONDITION_BYTES_MAX} are read", text.len());
        return Err(vec![problem(0, message)]);
    }
    let (mut depth, mut run, mut choices) = (0_usize, 0_usize, 0_usize);
    for (offset, c) in text.chars().enumerate() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '?' => choices += 1,
            _ => {}
        }
        run = match c {
            '!' | '-' => run + 1,
            c if c.is_whitespace() => run,
            _ => 0,
        };
        if depth > NESTING_MAX || run > NESTING_MAX || choices > NESTING_MAX {
            return Err(vec![problem(
                offset,
                format!("the condition is nested more than {NESTING_MAX} deep"),
            )]);
        }
    }
    Ok(())
}

/// Characters before a position of line and column.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line.saturating_sub(1)).unwrap_or(0);
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
    let before: usize = text.split_inclusive('\n').take(line).map(|l| l.chars().count()).sum();
    (before + column).min(text.chars().count())
}

fn shown(message: &str) -> String {
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
