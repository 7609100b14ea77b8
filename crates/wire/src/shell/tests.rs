use super::*;

/// Every command's words, in the order of the list.
fn words(text: &str) -> Vec<String> {
    let script = Script::parse(text).expect(text);
    script
        .commands
        .iter()
        .map(|command| command.all_words().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn words_are_what_a_shell_would_pass() {
    let mut wrong = Vec::new();
    for (text, command) in [
        ("cat .env", "cat .env"),
        ("cat  '.e'\"n\"v", "cat .env"),
        ("cat .e\\nv", "cat .env"),
        ("cat .e\\\nnv", "cat .env"),
        ("c''at .env", "cat .env"),
        ("cat$IFS.env", "cat .env"),
        ("cat${IFS}.env", "cat .env"),
        ("{ cat .env; }", "cat .env"),
        ("(cd /; cat .env)", "cat .env"),
        ("ls; cat .env", "cat .env"),
        ("ls && cat .env || true", "cat .env"),
        ("ls | xargs cat .env", "xargs cat .env"),
        ("ls &\ncat .env", "cat .env"),
        ("a=.en; cat ${a}v", "cat .env"),
        ("a=.env cat $a", "cat .env a=.env"),
        (". /dev/stdin <<< 'cat .env'", "cat .env"),
        ("a=/etc b=passwd; cat $a/$b", "cat /etc/passwd"),
        ("export a=.en; cat \"${a}v\"", "cat .env"),
        ("cat ${x:-.env}", "cat .env"),
        ("cat ${HOME:0:1}etc${HOME:0:1}passwd", "cat /etc/passwd"),
        ("cat ${PATH%%u*}etc/passwd", "cat /etc/passwd"),
        ("cat $'\\x2eenv'", "cat .env"),
        ("cat $\"x\"", "cat x"),
        ("cat /etc/$(echo passwd)", "cat /etc/passwd"),
        ("cat /etc/`echo passwd`", "cat /etc/passwd"),
        ("cat $(printf '\\056env')", "cat .env"),
        ("cat $(printf '%s%s' .e nv)", "cat .env"),
        ("cat $(echo LmVudg== | base64 -d)", "cat .env"),
        ("cat $(echo 2e656e76 | xxd -r -p)", "cat .env"),
        ("cat $(echo vne. | rev)", "cat .env"),
        ("echo \"$(cat .env)\"", "cat .env"),
        ("echo \"`cat .env`\"", "cat .env"),
        ("diff <(cat .env) x", "cat .env"),
        ("cat < .env", "cat .env"),
        ("cat<.env", "cat .env"),
        ("cat 0<.env >out 2>&1", "cat .env out 1"),
        ("if true; then cat .env; fi", "cat .env"),
        ("for f in .env; do cat $f; done", "cat .env"),
        ("f() { cat .env; }; f", "cat .env"),
        ("case x in x) cat .env;; esac", "cat .env"),
        ("sh -c 'cat .env'", "cat .env"),
        ("/bin/bash -lc \"cat .env\"", "cat .env"),
        ("sudo -u root bash -c 'cat .env'", "cat .env"),
        ("env X=1 sh -c 'cat .env'", "cat .env"),
        ("eval cat .env", "cat .env"),
        ("eval \"c\"at .env", "cat .env"),
        ("echo cat .env | sh", "cat .env"),
        ("echo Y2F0IC5lbnY= | base64 -d | bash", "cat .env"),
        ("printf 'cat .env' | sh", "cat .env"),
        ("sh <<< 'cat .env'", "cat .env"),
        ("sh <<EOF\ncat .env\nEOF\n", "cat .env"),
        ("bash <<-'EOF'\n\tcat .env\n\tEOF", "cat .env"),
        ("cat <<EOF\n$(cat .env)\nEOF", "cat .env"),
        ("ssh host 'cat .env'", "cat .env"),
        ("sh -c \"sh -c 'cat .env'\"", "cat .env"),
        ("find . -exec sh -c 'cat .env' \\;", "cat .env"),
        ("cat .e{n,m}v", "cat .e{n,m}v"),
        ("ls @(a|.env)", "ls @(a|.env)"),
        ("echo $((1+2)) .env", "echo .env"),
        ("cat .env # comment's", "cat .env"),
        ("((cat .env); ls)", "cat .env"),
        ("echo $((cat .env); ls)", "cat .env"),
        ("(cat <<EOF); cat .env\nx\nEOF", "cat .env"),
        ("((1<<2))\ncat .e''nv", "cat .env"),
        ("(sh <<EOF)\ncat .e''nv\nEOF", "cat .env"),
        ("a=$(echo .env) && cat $a", "cat .env"),
        ("cat ${a//x/y} .env", "cat .env"),
        ("a=.xnv; cat ${a/x/e}", "cat .env"),
    ] {
        let all = words(text);
        if !all.iter().any(|found| found == command) {
            wrong.push(format!("{text}: {all:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn text_without_an_end_is_an_error() {
    for text in ["'", "\"", "`", "$(", "${", "echo \"$(", "(", "$((1)", "cat <(", "$'"] {
        assert_eq!(Script::parse(text), Err(ShellError::Unfinished), "{text}");
    }
    for text in [
        "", " ", ";", "|", "&&", "\n", ")", "#", "\\", "$", "<", "<<", "<<<", "a <<EOF", "{", "}", "case",
        "=",
    ] {
        assert!(Script::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn work_is_bounded() {
    for text in [
        "$(".repeat(100_000),
        "(".repeat(100_000),
        "`".repeat(100_001),
        "a=xx;".to_owned() + &"a=$a$a;".repeat(100),
        "x".repeat(SCRIPT_BYTES_MAX + 1),
        (0..DEPTH_MAX + 4).fold("ls".to_owned(), |inner, _| format!("$({inner})")),
        "${x:-".repeat(2000) + &"}".repeat(2000),
    ] {
        let result = Script::parse(&text);
        assert!(result == Err(ShellError::TooMuch) || text.starts_with('`'), "{}", &text[..20]);
    }
    assert!(
        Script::parse(&(0..DEPTH_MAX - 2).fold("ls".to_owned(), |inner, _| format!("$({inner})"))).is_ok()
    );
}

proptest::proptest! {
    #[test]
    fn quoting_a_word_never_changes_it(word in "[ -~]{1,20}") {
        let single = format!("cat '{}'", word.replace('\'', "'\\''"));
        let found = Script::parse(&single).unwrap();
        proptest::prop_assert_eq!(&found.commands[0].words[1], &word);
        let escaped: String = word.chars().flat_map(|c| ['\\', c]).collect();
        let found = Script::parse(&format!("cat {escaped}")).unwrap();
        proptest::prop_assert_eq!(&found.commands[0].words[1], &word);
    }
    #[test]
    fn nothing_panics(text in "[-a-z .$`\"'\\\\(){}<>|&;=#\n/:0-9]{0,80}") {
        drop(Script::parse(&text));
    }
}
