//! Scripts inside of scripts: what a command hands to a shell.

use super::parse::Parser;
use super::{Command, ShellError, output};

const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox"];
/// Programs that run the rest of their words.
const RUNNERS: &[&str] = &[
    "sudo", "doas", "env", "nohup", "exec", "command", "builtin", "xargs", "nice", "timeout", "setsid",
    "stdbuf", "time", "watch", "chroot", "unshare", "strace", "find", "parallel",
];

/// Reads a script and everything in it that is one.
pub(super) fn parse_all(
    text: &str,
    depth: usize,
    budget: &mut usize,
    all: &mut Vec<Command>,
) -> Result<(), ShellError> {
    let mut parser = Parser::new(text, depth, budget)?;
    let list = parser.whole()?;
    let inner = std::mem::take(&mut parser.inner);
    for commands in [list, inner] {
        for (at, command) in commands.iter().enumerate() {
            for script in scripts(&commands, at, command) {
                // What is no script by itself was seen as a word.
                if parse_all(&script, depth + 1, budget, all) == Err(ShellError::TooMuch) {
                    return Err(ShellError::TooMuch);
                }
            }
        }
        all.extend(commands);
    }
    Ok(())
}

/// The scripts that a command runs.
fn scripts(list: &[Command], at: usize, command: &Command) -> Vec<String> {
    let mut scripts = Vec::new();
    let mut words = &*command.words;
    // `sudo -u root env X=1 sh -c …`: wherever a shell's name stands behind such a program.
    if RUNNERS.contains(&command.name()) {
        let shell =
            words.iter().skip(1).position(|word| SHELLS.contains(&base(word)) || base(word) == "eval");
        words = shell.and_then(|shell| words.get(shell + 1..)).unwrap_or(words);
    }
    let Some((name, arguments)) = words.split_first() else { return scripts };
    let name = base(name);
    if name == "eval" {
        scripts.push(arguments.join(" "));
    } else if SHELLS.contains(&name) || matches!(name, "su" | "source" | ".") {
        let behind = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('c');
        if let Some(flag) = arguments.iter().position(behind) {
            scripts.extend(arguments.get(flag + 1).cloned());
        } else {
            scripts.extend((!command.input.is_empty()).then(|| command.input.clone()));
            scripts.extend(piped_into(list, at));
        }
    } else if matches!(name, "ssh" | "kubectl" | "docker" | "podman" | "nsenter" | "trap") {
        // The last word, or all from the command on, goes to a shell at the other end.
        scripts.extend(arguments.last().filter(|word| word.contains(' ')).cloned());
    }
    scripts
}

/// What the commands before this one write into it.
fn piped_into(list: &[Command], at: usize) -> Option<String> {
    list.get(at).filter(|command| command.piped)?;
    let first = (0..at).rev().find(|before| list.get(*before).is_some_and(|command| !command.piped))?;
    output::of(list.get(first..at)?)
}

fn base(word: &str) -> &str {
    word.rsplit(['/', '\\']).next().unwrap_or(word)
}
