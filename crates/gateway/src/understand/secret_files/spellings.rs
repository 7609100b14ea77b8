//! The same file in thousands of spellings, and thousands of texts that only look like one.

use std::collections::HashSet;

use base64::Engine as _;

use super::named_in;

const FILES: &[&str] = &[
    "/app/.env",
    "/home/app/.env.production",
    "/root/.aws/credentials",
    "/home/app/.config/gcloud/credentials.db",
    "/root/.kube/config",
    "/root/.ssh/id_rsa",
    "/etc/passwd",
    "/etc/shadow",
    "/proc/self/environ",
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "/root/.docker/config.json",
    "/models/small/config.pbtxt",
    "/root/.vault-token",
    "/root/.netrc",
    "/root/.cache/huggingface/token",
    "/srv/infra/terraform.tfstate",
    "/var/lib/keyward/keyward.db",
];

/// How a path is written: each takes the text and a number that says where or how.
type Spelling = (&'static str, fn(&str, usize) -> String);

/// Other paths to the same file.
const PATHS: &[Spelling] = &[
    ("as it is", |text, _| text.to_owned()),
    ("doubled slashes", |text, n| text.replace('/', &"/".repeat(2 + n % 3))),
    ("single dots", |text, n| text.replace('/', &format!("/{}", "./".repeat(1 + n % 2)))),
    ("there and back", |text, n| text.replace('/', &format!("/d{n}/../"))),
    ("through a root", |text, _| format!("/proc/self/root{text}")),
    ("upper case", |text, _| text.to_uppercase()),
    ("mixed case", |text, n| {
        each(text, |at, c| if at % 2 == n % 2 { c.to_ascii_uppercase() } else { c }.to_string())
    }),
    ("backslashes", |text, n| text.replace('/', ["\\", "\u{ff3c}"][n % 2])),
    ("other slashes", |text, n| text.replace('/', ["\u{2215}", "\u{2044}", "\u{ff0f}", "\u{29f8}"][n % 4])),
    ("other dots", |text, n| text.replace('.', ["\u{2024}", "\u{ff0e}", "\u{3002}", "\u{ff61}"][n % 4])),
    ("full width", |text, n| each(text, |at, c| if at % 3 == n % 3 { wide(c) } else { c }.to_string())),
    ("something invisible", |text, n| {
        insert(text, n, ["\u{200b}", "\u{ad}", "\u{2060}", "\u{feff}", "\u{202e}", "\u{fe0f}"][n % 6])
    }),
    ("letters in classes", |text, n| letter(text, n, |c| format!("[{c}]"))),
    ("a question mark", |text, n| letter(text, n, |_| "?".to_owned())),
    ("braces", |text, n| letter(text, n, |c| format!("{{{c},#}}").replace('#', "0"))),
];

/// How a path is wrapped.
const WRAPS: &[Spelling] =
    &[
        ("not", |text, _| text.to_owned()),
        ("every letter as %xx", |text, _| percent(text, |_| true)),
        ("some letters as %XX", |text, n| percent(text, |at| at % 4 == n % 4).to_uppercase()),
        ("%25 twice", |text, n| percent(&percent(text, |at| at % 3 == n % 3), |_| false).replace('%', "%25")),
        ("quotes inside", |text, n| insert(text, n, ["''", "\"\"", "'\"\"'"][n % 3])),
        ("a backslash before a letter", |text, n| {
            // `\n`, `\u41` and the like are other escapes.
            letter(text, n, |c| {
                if "0123456789abefnrtuxUN".contains(c) { format!("'{c}'") } else { format!("\\{c}") }
            })
        }),
        ("\\u", |text, n| each(text, |at, c| if at % 4 == n % 4 { units(c) } else { c.to_string() })),
        ("\\x in $''", |text, _| {
            format!("$'{}'", each(text, |_, c| bytes(&c.to_string(), |b| format!("\\x{b:02x}"))))
        }),
        ("references", |text, n| {
            each(text, |at, c| if at % 3 == n % 3 { format!("&#{};", u32::from(c)) } else { c.to_string() })
        }),
        ("an empty variable", |text, n| insert(text, n, ["$@", "${x}", "$()", "$*"][n % 4])),
        ("base64", |text, n| {
            base64::engine::general_purpose::STANDARD.encode(format!("{}{text}", " ".repeat(n % 3)))
        }),
        ("base64 for URLs", |text, _| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)),
        ("hexadecimal", |text, _| bytes(text, |b| format!("{b:02x}"))),
    ];

/// What it stands in.
const FRAMES: &[&str] = &[
    "#",
    "cat #",
    "file://#",
    "FILE:#",
    "cat<#",
    "x=#;ls",
    "cat$IFS#",
    "cat${IFS}#|sh",
    "{\"path\": \"#\"}",
    "open('#')",
    "file://localhost#",
    "a b, # c",
    "[\"#\"]",
    "`cat #`",
    "$(<#)",
];

fn each(text: &str, mut spell: impl FnMut(usize, char) -> String) -> String {
    text.chars().enumerate().map(|(at, c)| spell(at, c)).collect()
}

/// The place of a letter of the name, counted from its end.
fn place(text: &str, n: usize) -> usize {
    let letters: Vec<usize> =
        text.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()).map(|(at, _)| at).collect();
    letters.len().checked_sub(1 + n % 3.min(letters.len().max(1))).map_or(0, |at| letters[at])
}

fn letter(text: &str, n: usize, spell: impl Fn(char) -> String) -> String {
    let at = place(text, n);
    let Some(c) = text[at..].chars().next() else { return text.to_owned() };
    format!("{}{}{}", &text[..at], spell(c), &text[at + c.len_utf8()..])
}

fn insert(text: &str, n: usize, what: &str) -> String {
    let at = place(text, n);
    format!("{}{what}{}", &text[..at], &text[at..])
}

fn wide(c: char) -> char {
    if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c) } else { c }
}

fn percent(text: &str, encode: impl Fn(usize) -> bool) -> String {
    each(text, |at, c| {
        if encode(at) || !c.is_ascii() {
            bytes(&c.to_string(), |b| format!("%{b:02x}"))
        } else {
            c.to_string()
        }
    })
}

fn bytes(text: &str, spell: impl Fn(u8) -> String) -> String {
    text.bytes().map(spell).collect::<Vec<_>>().concat()
}

fn units(c: char) -> String {
    let mut buffer = [0; 2];
    c.encode_utf16(&mut buffer).iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
}

#[test]
fn every_spelling_of_a_secret_file_is_seen() {
    for file in FILES {
        let mut spellings: HashSet<String> = HashSet::new();
        let mut missed: Vec<String> = Vec::new();
        for (number, (path, by_path)) in PATHS.iter().enumerate() {
            for (wrap, around) in WRAPS {
                let encoded = wrap.starts_with("base64") || *wrap == "hexadecimal";
                for (at, frame) in FRAMES.iter().enumerate() {
                    // A backslash is either.
                    if *path == "backslashes" && (wrap.starts_with("a backslash") || *wrap == "\\u") {
                        continue;
                    }
                    // There it would be another word.
                    if encoded && ["$IFS#", "localhost#"].iter().any(|end| frame.contains(end)) {
                        continue;
                    }
                    let text = frame.replace('#', &around(&by_path(file, at + number), at + number));
                    if !named_in(&text) {
                        missed.push(format!("{path}, {wrap}: {text}"));
                    }
                    spellings.insert(text);
                }
            }
        }
        assert!(spellings.len() >= 2000, "{file}: {}", spellings.len());
        assert!(
            missed.is_empty(),
            "{file}: {} missed, as {:#?}",
            missed.len(),
            missed.iter().take(20).collect::<Vec<_>>()
        );
    }
}

#[test]
fn texts_that_only_look_like_a_secret_file_are_not() {
    const NAMES: &[&str] = &[
        "environment.ts",
        "env.md",
        ".envoy.yaml",
        "id_rsa.pub",
        ".env.example",
        "passwords.md",
        "config.json",
        "token.py",
        "credentials.md",
        "shadow.css",
        "environ.rs",
        "process.env",
        "kube.md",
        ".eslintrc",
        "netrc.c",
        "keys.ts",
        "cert.pem",
        "secrets.md",
        "history.md",
        "docker-compose.yml",
        "settings.py",
        "vault.md",
        "terraform.md",
        "master.md",
        "metadata.json",
    ];
    const PLACES: &[&str] = &[
        "",
        "/src/",
        "docs/",
        "./lib/",
        "~/work/",
        "https://example.com/docs/",
        "app/config/",
        "../other/",
        "C:\\code\\",
        "/var/www/",
    ];
    const FRAMES: &[&str] = &[
        "#",
        "cat #",
        "see # for more",
        "{\"path\": \"#\"}",
        "vim # && git add #",
        "open(\"#\")",
        "[docs](#)",
        "grep -rn \"password policy\" #",
        "path=#&mode=r",
        "1. # 2. #",
        "git diff HEAD~1 -- #",
    ];
    let mut texts: HashSet<String> = HashSet::new();
    for name in NAMES {
        for place in PLACES {
            texts.extend(FRAMES.iter().map(|frame| frame.replace('#', &format!("{place}{name}"))));
        }
    }
    assert!(texts.len() >= 2000, "{}", texts.len());
    let wrong: Vec<&String> = texts.iter().filter(|text| named_in(text)).collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), texts.len());
}
