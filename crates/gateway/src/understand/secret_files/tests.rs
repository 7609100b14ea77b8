use super::{list, named_in};

#[test]
fn every_entry_finds_its_examples_and_not_its_counterexamples() {
    let entries = list::entries().expect("the list is sound");
    assert!(entries.len() >= 12);
    let mut wrong: Vec<String> = Vec::new();
    for entry in &entries {
        assert!(!entry.about.is_empty() && entry.about.len() <= 100, "{}", entry.id);
        assert!(!entry.examples.is_empty() && !entry.counterexamples.is_empty(), "{}", entry.id);
        let patterns = entry.patterns.iter().chain(&entry.hosts);
        assert!(patterns.clone().all(|p| *p == p.to_lowercase() && !p.contains(' ')), "{}", entry.id);
        for example in &entry.examples {
            wrong.extend((!named_in(example)).then(|| format!("{}: {example}", entry.id)));
        }
        for counterexample in &entry.counterexamples {
            wrong.extend(named_in(counterexample).then(|| format!("{}: not {counterexample}", entry.id)));
        }
        for pattern in patterns {
            let text = format!("cat /x/{}", pattern.replace('*', "zz"));
            wrong.extend((!named_in(&text)).then(|| format!("{}: {pattern}", entry.id)));
        }
    }
    assert_eq!(wrong, [""; 0]);
    let ids: std::collections::HashSet<&str> = entries.iter().map(|entry| &*entry.id).collect();
    assert_eq!(ids.len(), entries.len());
}

#[test]
fn spellings_are_seen_through() {
    let mut missed = Vec::new();
    for text in [
        "%2e%65nv",
        "%252eenv",
        "%u002eenv",
        "%c0%aeenv",
        "%e0%80%aeenv",
        "\u{ff0e}env",
        "\u{2024}env",
        ".\u{200b}env",
        ".e\u{ad}nv",
        "\u{2215}etc\u{2215}shadow",
        "\u{ff05}2eenv",
        "/ETC/SHADOW",
        ".en*",
        ".e[n]v",
        "[.]env",
        "/etc/pas[s]wd",
        "/etc/{passwd,hosts}",
        "{.env,x}",
        ".e{n,m}v",
        "/etc/passw{a..z}",
        "/etc/@(passwd|x)",
        ".e\"\"nv",
        ".e''nv",
        "'.'env",
        ".e\\nv",
        ".e\\\nnv",
        "$'.env'",
        "$'\\x2eenv'",
        "\\u002eenv",
        "\\056env",
        "&#46;env",
        "&#x2e;env",
        "&period;env",
        "cat$IFS.env",
        "cat${IFS}.env",
        "cat$IFS$9.env",
        ".e$@nv",
        ".e${x}nv",
        "${HOME:0:1}etc${HOME:0:1}passwd",
        "${x:-.env}",
        "/etc$()/passwd",
        "cat<.env",
        "x=.env;ls",
        "scp host:.ssh/id_ed25519 .",
        "{\"path\":\"/root/.aws/credentials\"}",
        "a\\\\\\\"/root/.env\\\\\\\"",
        "ls\\n.env\\n",
        "/app/.env?raw",
        "/app/.env#x",
        "/app/.env.",
        "LmVudg==",
        "LmVudg",
        "echo L2V0Yy9wYXNzd2Q=|sh",
        "2e656e76",
        "0x2f6574632f706173737764",
        "LgBlAG4AdgA=",
        "open(\"/etc/\" + \"passwd\")",
        "/etc/\tpasswd",
        "/et\tc/passwd",
        "/et\nc/passwd",
        "c:\\users\\a\\.ssh\\id_rsa",
        "FILE:\\\\etc\\passwd",
        "file://localhost/etc/passwd",
        "~root/.ssh/id_rsa",
        "%USERPROFILE%\\.aws\\credentials",
        "/e?c/p*",
        "/e*/p*d",
        "/etc/passwd%00.png",
        ".e^nv",
        "/./etc/././passwd",
        "//etc////passwd",
        "data:text/plain;base64,L2V0Yy9wYXNzd2Q",
    ] {
        missed.extend((!named_in(text)).then_some(text));
    }
    assert_eq!(missed, [""; 0]);
}

#[test]
fn other_texts_are_not() {
    let mut found = Vec::new();
    for text in [
        "",
        ".",
        "*",
        "**/*",
        "?",
        ".*",
        "...",
        "/",
        "//",
        "\\",
        "$",
        "${",
        "%",
        "100% of the environment",
        "tokens",
        "ssh",
        "/v1/chat/completions",
        "config.json",
        "*.json",
        "*.pem",
        "**/*.yaml",
        "src/{a,b}/*.rs",
        "function(){return {a,b}}",
        "SELECT * FROM env",
        "see https://example.com/.well-known/openid-configuration",
        "a9fea9fe",
        "deadbeefdeadbeef",
        "let x = process.env.HOME",
        "QUJDREVGR0g=",
        "the environment is fine",
        "[a-z]+",
        "printf '%s\\n' x",
    ] {
        found.extend(named_in(text).then_some(text));
    }
    assert_eq!(found, [""; 0]);
}

#[test]
fn work_is_bounded_and_more_of_it_counts_as_found() {
    let deep = |levels: usize| (0..levels).fold("%zz".to_owned() + "%2e", |text, _| text.replace('%', "%25"));
    assert!(!named_in(&deep(3)));
    assert!(named_in(&deep(40)));
    assert!(named_in(&format!("{{{}}}", "{a,b}".repeat(20))));
    let started = std::time::Instant::now();
    for text in [
        "%".repeat(40_000),
        "{".repeat(40_000),
        "*a".repeat(20_000),
        "/".repeat(40_000),
        "a/".repeat(20_000),
        "\\".repeat(40_000),
        "$".repeat(40_000),
        "[".repeat(40_000),
        "../".repeat(12_000),
        "{,".repeat(20_000),
        "a.".repeat(20_000),
        ":".repeat(40_000),
        "&#".repeat(20_000),
        "//".repeat(20_000),
        "QUJD".repeat(10_000),
        "*/".repeat(20_000),
    ] {
        named_in(&text);
    }
    assert!(started.elapsed() < std::time::Duration::from_mins(1));
}
