//! What one call of a tool does: its class, and what it reaches for.
//!
//! Promise: the class follows from the tool's name and from what its arguments hold, the most dangerous where several
//! fit: shell text (a real reading of words, substitutions and scripts inside of scripts), SQL (parsed), files, URLs. A
//! shell tool is `shell.exec` whatever it runs; SQL that cannot be read is `sql.admin`; shell text beyond what is read
//! touches a secret file: *fails closed*. Without arguments (a stream names a tool before it sends them) only what the
//! name alone decides is said.
//!
//! Exceptions: a tool whose name and arguments say nothing of what it does is `tool.call`; what code in other languages
//! does is not followed, its texts are looked at.

#[cfg(test)]
mod tests;

use keyward_core::OperationClass;
use keyward_wire::shell::{Script, ShellError};
use keyward_wire::sql::{self, SqlIntent};

use super::arguments::{self, Argument};
use super::secret_files::{self, Pointer};

/// What one call of a tool does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The intent.
    pub class: OperationClass,
    /// The file or URL that it names first; empty where it names none.
    pub file: String,
    /// Whether its arguments reach for a file that commonly holds secrets.
    pub touches_secret_file: bool,
    /// Whether an argument is a URL or host that leads inside.
    pub fetches_private: bool,
}

/// What a call of a tool does, by the tool's name and its arguments: JSON, or free text.
pub fn tool_call(tool: &str, arguments: &str) -> Called {
    let raw = arguments;
    let arguments = arguments::read(raw);
    let words = words_of(tool);
    let kind = Kind::of(&words, &arguments);
    let touches = secret_files::named_in(tool)
        || secret_files::named_in(raw)
        || arguments.iter().any(|argument| {
            let text = &argument.text;
            reaches(text, kind == Kind::Shell || argument.is_named(COMMAND_NAMES))
        });
    let private = |argument: &Argument| secret_files::leads_inside(&argument.text, Pointer::Argument);
    let file = arguments.iter().find(|a| a.is_named(PATH_NAMES) || a.is_named(URL_NAMES));
    Called {
        class: kind.class(&words, &arguments),
        file: file.map(|argument| argument.text.clone()).unwrap_or_default(),
        touches_secret_file: touches,
        fetches_private: arguments.iter().any(private),
    }
}

/// Whether a text, as it stands or as a shell would read it, names a secret file. `script`: it is meant for a shell.
pub(super) fn reaches(text: &str, script: bool) -> bool {
    if secret_files::named_in(text) {
        return true;
    }
    // Without any of these a shell would find no other words than those that were looked at.
    if !text.contains(['$', '`', '|', '<', ';', '&', '\n', '=', ' ']) {
        return false;
    }
    match Script::parse(text) {
        Ok(script) => runs_into(&script),
        Err(ShellError::TooMuch) => script,
        Err(_) => false,
    }
}

/// Whether a word of a script, seen from the directory it changes to, is a secret file.
fn runs_into(script: &Script) -> bool {
    let mut directory = String::new();
    script.commands.iter().any(|command| {
        if matches!(command.name(), "cd" | "pushd")
            && let Some(to) = command.words.iter().skip(1).find(|word| !word.starts_with('-'))
        {
            let absolute = to.starts_with(['/', '~']) || directory.is_empty();
            directory = if absolute { to.clone() } else { format!("{directory}/{to}") };
            directory.truncate(directory.floor_char_boundary(DIRECTORY_BYTES_MAX));
        }
        command.all_words().any(|word| {
            secret_files::named_in(word)
                || (!directory.is_empty()
                    && word.len() < 256
                    && secret_files::named_in(&format!("{directory}/{word}")))
        })
    })
}

/// Longest directory that is followed.
const DIRECTORY_BYTES_MAX: usize = 512;

/// Names of arguments that hold shell text.
const COMMAND_NAMES: &[&str] =
    &["command", "commands", "cmd", "cmdline", "shell_command", "bash", "script", "argv"];
/// Names of arguments that may hold SQL.
const SQL_NAMES: &[&str] = &["sql", "query", "statement", "statements", "queries", "sql_query"];
/// Names of arguments that hold a path.
const PATH_NAMES: &[&str] = &[
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "file_path",
    "filepath",
    "file_name",
    "directory",
    "dir",
    "folder",
    "target_file",
    "source",
    "destination",
    "notebook_path",
    "relative_path",
    "absolute_path",
    "uri",
    "old_path",
    "new_path",
];
/// Names of arguments that hold a URL.
const URL_NAMES: &[&str] =
    &["url", "urls", "uri", "link", "href", "endpoint", "server_url", "webhook", "address"];
/// Names of arguments that hold what is written.
const CONTENT_NAMES: &[&str] = &[
    "content",
    "contents",
    "new_str",
    "new_string",
    "file_text",
    "patch",
    "diff",
    "insert_text",
    "text",
    "edits",
];

const SHELL_WORDS: &[&str] = &[
    "bash",
    "sh",
    "zsh",
    "shell",
    "terminal",
    "powershell",
    "pwsh",
    "cmd",
    "command",
    "commands",
    "console",
    "subprocess",
    "python",
    "ipython",
    "interpreter",
    "jupyter",
    "repl",
    "ssh",
];
const FILE_WORDS: &[&str] = &[
    "file",
    "files",
    "filesystem",
    "directory",
    "dir",
    "folder",
    "editor",
    "edit",
    "patch",
    "notebook",
    "grep",
    "glob",
    "ls",
];
const READ_WORDS: &[&str] = &[
    "read", "view", "cat", "open", "get", "list", "ls", "glob", "grep", "search", "find", "head", "tail",
    "stat", "show", "load", "download",
];
const WRITE_WORDS: &[&str] = &[
    "write", "edit", "create", "update", "delete", "remove", "move", "rename", "copy", "append", "insert",
    "replace", "patch", "save", "put", "upload", "mkdir", "touch", "chmod", "editor", "apply", "modify",
    "set",
];
const WEB_WORDS: &[&str] = &[
    "fetch", "http", "https", "url", "browse", "browser", "web", "webfetch", "curl", "wget", "request",
    "requests", "scrape", "navigate", "crawl",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shell,
    Sql,
    File,
    Web,
    Other,
}

impl Kind {
    fn of(words: &[String], arguments: &[Argument]) -> Self {
        let says = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
        let given = |names: &[&str]| arguments.iter().any(|argument| argument.is_named(names));
        let runs_code =
            says(&["run", "execute", "exec", "eval"]) && says(&["code", "script", "program", "process"]);
        let sql = says(&["sql", "postgres", "mysql", "sqlite", "psql", "duckdb", "bigquery", "snowflake"])
            || given(&["sql", "sql_query"])
            || arguments.iter().any(|argument| argument.is_named(SQL_NAMES) && is_sql(&argument.text));
        if says(SHELL_WORDS) || runs_code || words.join(" ") == "code execution" {
            Self::Shell
        } else if sql {
            Self::Sql
        } else if says(FILE_WORDS) {
            Self::File
        } else if given(COMMAND_NAMES) {
            Self::Shell
        } else if given(PATH_NAMES) && (says(READ_WORDS) || says(WRITE_WORDS)) {
            Self::File
        } else if (says(WEB_WORDS) || says(READ_WORDS) || says(WRITE_WORDS)) && given(URL_NAMES) {
            Self::Web
        } else if arguments.iter().any(|argument| argument.name.is_empty() && is_sql(&argument.text)) {
            Self::Sql
        } else {
            Self::Other
        }
    }

    fn class(self, words: &[String], arguments: &[Argument]) -> OperationClass {
        match self {
            Self::Shell => OperationClass::ShellExec,
            Self::Sql => sql_class(arguments),
            Self::File => file_class(words, arguments),
            Self::Web => web_class(words, arguments),
            Self::Other => OperationClass::ToolCall,
        }
    }
}

fn sql_class(arguments: &[Argument]) -> OperationClass {
    let named = arguments.iter().filter(|argument| argument.is_named(SQL_NAMES));
    let mut texts: Vec<&str> = named.map(|argument| &*argument.text).collect();
    if texts.is_empty() {
        // Which of the texts is the statement nobody knows.
        let several = arguments.len() > 1;
        texts = arguments.iter().map(|a| &*a.text).filter(|text| !several || is_sql(text)).collect();
    }
    match texts.into_iter().map(sql::intent).max() {
        None if arguments.is_empty() => OperationClass::ToolCall,
        None | Some(SqlIntent::Read) => OperationClass::SqlRead,
        Some(SqlIntent::Write) => OperationClass::SqlWrite,
        Some(SqlIntent::Ddl) => OperationClass::SqlDdl,
        Some(SqlIntent::Admin) => OperationClass::SqlAdmin,
    }
}

/// Whether a text looks like SQL: it begins as a statement does and goes on like one, or parses.
fn is_sql(text: &str) -> bool {
    let upper: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .take(200)
        .map(str::to_ascii_uppercase)
        .collect();
    let has = |wanted: &[&str]| upper.iter().skip(1).any(|word| wanted.contains(&word.as_str()));
    let second = upper.get(1).map(String::as_str).unwrap_or_default();
    let shaped = match upper.first().map(String::as_str).unwrap_or_default() {
        "SELECT" | "WITH" | "DELETE" | "COPY" | "REVOKE" | "EXPLAIN" => has(&["FROM", "TO", "SELECT", "FOR"]),
        "INSERT" | "MERGE" | "REPLACE" => second == "INTO",
        "UPDATE" => has(&["SET"]),
        "DROP" | "CREATE" | "ALTER" | "TRUNCATE" => {
            let what = [
                "TABLE",
                "DATABASE",
                "SCHEMA",
                "INDEX",
                "VIEW",
                "USER",
                "ROLE",
                "SYSTEM",
                "EXTENSION",
                "FUNCTION",
                "OR",
                "UNIQUE",
                "TEMP",
            ];
            what.contains(&second)
        }
        "GRANT" => has(&["TO"]),
        "EXEC" | "EXECUTE" | "CALL" | "ATTACH" | "PRAGMA" | "VACUUM" | "DECLARE" | "BEGIN" | "SET" | "DO"
        | "LOAD" => {
            return sql::parses(text);
        }
        _ => return false,
    };
    // An attempt that no parser reads is SQL as well where it has the shape.
    shaped || sql::parses(text)
}

fn file_class(words: &[String], arguments: &[Argument]) -> OperationClass {
    let says = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    // Editors say in an argument what they do.
    let verb = arguments.iter().find(|a| a.is_named(&["command", "action", "operation", "mode", "type"]));
    if let Some(verb) = verb {
        let verb = words_of(&verb.text);
        let reads = verb.iter().any(|word| READ_WORDS.contains(&word.as_str()) || word == "r");
        let content = arguments.iter().any(|argument| argument.is_named(CONTENT_NAMES));
        return if reads && !content { OperationClass::FileRead } else { OperationClass::FileWrite };
    }
    let content = arguments.iter().any(|argument| argument.is_named(CONTENT_NAMES));
    if says(WRITE_WORDS) || (content && !says(READ_WORDS)) {
        OperationClass::FileWrite
    } else {
        OperationClass::FileRead
    }
}

fn web_class(words: &[String], arguments: &[Argument]) -> OperationClass {
    let says = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    let method = arguments.iter().find(|a| a.is_named(&["method", "verb", "http_method"]));
    let reads = |method: &Argument| matches!(&*method.text.to_ascii_uppercase(), "GET" | "HEAD" | "OPTIONS");
    let sends = arguments.iter().any(|a| a.is_named(&["body", "data", "json", "payload", "form"]));
    let writes =
        says(&["post", "put", "delete", "patch", "upload", "send", "submit", "write", "create", "update"]);
    match method {
        Some(method) if !reads(method) => OperationClass::HttpWrite,
        None if writes || sends => OperationClass::HttpWrite,
        _ => OperationClass::HttpRead,
    }
}

/// The words of a name (`readFile`, `read_file`, `mcp__fs__read-file`), in lower case.
fn words_of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = '_';
    for c in name.chars().take(256) {
        if c.is_alphanumeric() {
            let begins = !before.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase());
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        before = c;
    }
    words
}
