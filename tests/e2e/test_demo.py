"""`keyward demo`: the story, the facts for scripts, what it prints to paste, and how it stops."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import httpx
import openai
import pytest
from kit.gateway import Demo
from kit.leaks import assert_clean
from kit.process import Child, binary, clean_env, keyward

STEPS = ["call", "leaks", "block", "hold", "not oneself", "approve", "replay", "who used", "verify", "at rest"]


def test_the_story_holds(tmp_path):
    done = keyward("demo", "--check", env={"TMPDIR": str(tmp_path)})
    told = done.stderr.decode() + done.stdout.decode()
    assert done.returncode == 0, told
    seen = re.findall(r"^ +ok +(.{12}) (.+)$", told, re.MULTILINE)
    assert [name.strip() for name, _ in seen] == STEPS
    assert all(what.strip() for _, what in seen)
    assert list(tmp_path.iterdir()) == [], "something was left behind"


def test_the_facts_are_one_object(demo):
    facts = json.loads(demo.child.stdout)
    assert {"data_url", "admin_url", "issuer", "tokens", "connections", "data_dir"} <= facts.keys()
    assert facts["tokens"].keys() == {"alice", "olivia", "ci-bot"}
    assert facts["connections"].keys() == {"openai", "anthropic"}
    assert os.path.isdir(facts["data_dir"])
    assert "for trying out only" in demo.child.stderr.decode()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_second_demo_moves_aside_and_stops_cleanly(demo, tmp_path, by):
    second = Demo(TMPDIR=str(tmp_path))
    addresses = [d.facts[name] for d in (demo, second) for name in ("data_url", "admin_url", "issuer", "model_server")]
    assert len(set(addresses)) == len(addresses)
    for one in (demo, second):
        assert httpx.get(f"{one.admin_url}/readyz").status_code == 200
    # Tokens of one mean nothing to the other.
    with openai.OpenAI(base_url=second.base_url("openai"), api_key=demo.tokens["alice"]) as stranger:
        with pytest.raises(openai.AuthenticationError):
            stranger.models.list()
    assert list(tmp_path.iterdir()) != []
    assert second.child.stop(by) == 0
    assert json.loads(second.child.stdout) == second.facts, "more than one object was printed"
    assert list(tmp_path.iterdir()) == [], "something was left behind"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{second.facts['model_server']}/v1/models")


def test_ctrl_c_in_the_middle_of_a_stream(tmp_path):
    demo = Demo(TMPDIR=str(tmp_path))
    client = openai.OpenAI(base_url=demo.base_url("openai"), api_key=demo.tokens["alice"])
    stream = client.chat.completions.create(
        model="demo-slow", messages=[{"role": "user", "content": "slowly"}], stream=True
    )
    next(iter(stream))
    assert demo.child.stop(signal.SIGINT) == 0, demo.child.tail()
    assert list(tmp_path.iterdir()) == []


def section(printed: str, title: str) -> str:
    """The indented lines below a title, without their indentation."""
    (block,) = re.findall(rf"^{re.escape(title)}.*\n((?:  .*\n)+)", printed, re.MULTILINE)
    return textwrap.dedent(block)


def test_what_is_printed_to_paste_works(tmp_path):
    child = Child([binary(), "demo"], clean_env(TMPDIR=str(tmp_path)))
    child.line("stdout", lambda line: "Ctrl-C stops the demo" in line)
    printed = child.stdout.decode()
    exports = section(printed, "Tokens")

    curl = section(printed, "Ask for something that leaks")
    done = subprocess.run(["bash", "-ec", exports + curl], capture_output=True, env=clean_env(), check=False)
    assert done.returncode == 0 and b"data: [DONE]" in done.stdout, done
    assert_clean(done.stdout.decode())
    assert b"[REDACTED:aws_access_key]" in done.stdout

    tokens = dict(re.findall(r"^export (\w+)=(\S+)$", exports, re.MULTILINE))
    python = section(printed, "The same in Python")
    done = subprocess.run([sys.executable, "-c", python], capture_output=True, env=clean_env(**tokens), check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"[REDACTED:secret:openai]" in done.stdout
    assert child.stop(signal.SIGINT) == 0
