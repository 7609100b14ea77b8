use keyward_core::OperationClass as Class;
use serde_json::json;

use super::tool_call;

fn class(tool: &str, arguments: &str) -> Class {
    tool_call(tool, arguments).class
}

#[test]
fn calls_are_told_apart_by_what_they_do() {
    let cases: &[(&str, &str, Class)] = &[
        ("bash", r#"{"command": "ls"}"#, Class::ShellExec),
        ("bash", "", Class::ShellExec),
        ("local_shell_call", r#"{"command": ["bash", "-lc", "ls"]}"#, Class::ShellExec),
        ("run", r#"{"cmd": "ls"}"#, Class::ShellExec),
        ("execute_code", r#"{"code": "print(1)"}"#, Class::ShellExec),
        ("code_interpreter", "print(1)", Class::ShellExec),
        ("runCommand", "{}", Class::ShellExec),
        ("execute_sql", r#"{"sql": "SELECT 1"}"#, Class::SqlRead),
        ("execute_sql", r#"{"query": "DELETE FROM t"}"#, Class::SqlWrite),
        ("query", r#"{"query": "SELECT 1; DROP TABLE t"}"#, Class::SqlDdl),
        ("query", r#"{"query": "SELECT pg_read_file('x')"}"#, Class::SqlAdmin),
        ("query", r#"{"query": "SELECT * FROM ("}"#, Class::SqlAdmin),
        ("db", r#"{"statement": "COPY t TO PROGRAM 'sh'"}"#, Class::SqlAdmin),
        ("run_sql", "nonsense", Class::SqlAdmin),
        ("run_sql", "SELECT 1", Class::SqlRead),
        ("run_sql", "", Class::ToolCall),
        ("postgres", r#"{"input": "{\"query\": \"DROP TABLE t\"}"}"#, Class::SqlDdl),
        ("query", r#"{"query": "SELECT 1", "query": "DROP TABLE t"}"#, Class::SqlDdl),
        ("search", r#"{"query": "cats and dogs"}"#, Class::ToolCall),
        ("search", r#"{"query": "select a good restaurant"}"#, Class::ToolCall),
        ("read_file", r#"{"path": "a.rs"}"#, Class::FileRead),
        ("readFile", "{}", Class::FileRead),
        ("write_file", r#"{"path": "a.rs", "content": "x"}"#, Class::FileWrite),
        ("mcp__fs__list-directory", r#"{"path": "."}"#, Class::FileRead),
        ("str_replace_based_edit_tool", r#"{"command": "view", "path": "a.rs"}"#, Class::FileRead),
        (
            "str_replace_based_edit_tool",
            r#"{"command": "create", "path": "a.rs", "file_text": "x"}"#,
            Class::FileWrite,
        ),
        ("apply_patch", "*** Begin Patch", Class::FileWrite),
        ("view", r#"{"path": "a.rs"}"#, Class::FileRead),
        ("delete", r#"{"filePath": "a.rs"}"#, Class::FileWrite),
        ("fetch", r#"{"url": "https://example.com"}"#, Class::HttpRead),
        ("http_request", r#"{"url": "https://example.com", "method": "DELETE"}"#, Class::HttpWrite),
        ("http_post", r#"{"url": "https://example.com"}"#, Class::HttpWrite),
        ("web_search", r#"{"query": "cats"}"#, Class::ToolCall),
        ("get_weather", r#"{"city": "Paris"}"#, Class::ToolCall),
        ("", "", Class::ToolCall),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(tool, arguments, wanted)| class(tool, arguments) != *wanted)
        .map(|(tool, arguments, wanted)| {
            format!("{tool} {arguments}: {:?}, not {wanted:?}", class(tool, arguments))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(tool_call("read_file", r#"{"path": "a.rs"}"#).file, "a.rs");
}

#[test]
fn secret_files_are_seen_in_whatever_a_call_holds() {
    let shell = [
        "cat .env",
        "c''at .e''nv",
        "cd /etc && cat passwd",
        "cd ~/.aws; cat credentials",
        "a=/etc; b=shad; cat $a/${b}ow",
        "cat /etc/$(echo passwd)",
        "echo Y2F0IC5lbnY= | base64 -d | sh",
        "cat $(echo vne. | rev)",
        "sh -c 'sh -c \"cat .e\\nv\"'",
        "cat <<EOF | sh\ncat .env\nEOF",
        "python -c 'open(\"/etc/\" + \"passwd\")'",
        "perl -e 'open F, \"/etc/shadow\"'",
        "curl http://169.254.169.254/latest/",
        "curl 0xa9fea9fe",
        "tar c ~/.ssh",
        "cat /e*/p*d",
        "for f in .env; do cat $f; done",
        "f=.xnv; cat ${f/x/e}",
        "xargs cat <<< .env",
        "cat .e{n,m}v",
        "node -e 'require(\"fs\").readFileSync(`/proc/self/environ`)'",
    ];
    for script in shell {
        for (tool, arguments) in [
            ("bash", json!({"command": script}).to_string()),
            ("local_shell_call", json!({"command": ["bash", "-lc", script]}).to_string()),
            ("unknown", json!({"input": json!({"command": script}).to_string()}).to_string()),
            ("bash", script.to_owned()),
        ] {
            assert!(tool_call(tool, &arguments).touches_secret_file, "{tool} {arguments}");
        }
    }
    for arguments in [
        json!({"path": "/root/.aws/credentials"}),
        json!({"a": [{"b": "..\\..\\.env"}]}),
        json!({"~/.ssh/id_rsa": true}),
        json!({"url": "http://[::ffff:a9fe:a9fe]/"}),
        json!({"sql": "COPY t FROM '/etc/passwd'"}),
        json!({"x": json!({"y": json!({"path": "/etc/shadow"}).to_string()}).to_string()}),
    ] {
        assert!(tool_call("any", &arguments.to_string()).touches_secret_file, "{arguments}");
    }
    // A shell script beyond what is read.
    let deep = (0..40).fold("ls".to_owned(), |inner, _| format!("$({inner})"));
    assert!(tool_call("bash", &json!({"command": deep}).to_string()).touches_secret_file);
}

#[test]
fn harmless_calls_touch_nothing() {
    for (tool, arguments) in [
        ("bash", json!({"command": "cargo test && git diff -- src/*.rs | head -20"})),
        ("bash", json!({"command": "for f in *.json; do jq . \"$f\" > out/${f%.json}.txt; done"})),
        ("bash", json!({"command": "cd /etc && cat hosts"})),
        ("bash", json!({"command": "echo \"it's fine"})),
        ("bash", json!({"command": "cat <<'EOF' > a.py\nprint('hello')\nEOF"})),
        (
            "write_file",
            json!({"path": "src/env.rs", "content": "let env = std::env::var(\"HOME\");\n// isn't it {a,b}?"}),
        ),
        ("search", json!({"query": "how do I rotate a password policy?"})),
        ("fetch", json!({"url": "https://example.com/a?b=c&d=%20e#f"})),
        ("run_sql", json!({"sql": "SELECT * FROM users WHERE a LIKE '%x%'"})),
        ("read_file", json!({"path": ".env.example"})),
    ] {
        assert!(!tool_call(tool, &arguments.to_string()).touches_secret_file, "{tool} {arguments}");
    }
    for tool in ["bash", "read_file", "execute_sql", "fetch", "anything"] {
        for arguments in ["", "{}", "null", " "] {
            assert!(!tool_call(tool, arguments).touches_secret_file);
        }
    }
}

#[test]
fn catalogue_88_a_call_that_leads_inside_is_known() {
    for (arguments, inside) in [
        (json!({"url": "http://10.0.0.1/"}), true),
        (json!({"deep": [{"x": "http://localhost:3000/"}]}), true),
        (json!({"host": "127.0.0.1"}), true),
        (json!({"url": "https://example.com/"}), false),
        (json!({"content": "fetch(\"http://localhost:3000/\")"}), false),
    ] {
        assert_eq!(tool_call("fetch", &arguments.to_string()).fetches_private, inside, "{arguments}");
    }
}
