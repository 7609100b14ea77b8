"""What README.md says to type, typed. Only names that a reader has to replace are replaced."""

import json
import os
import re
import signal
import subprocess
import sys

import openai
import pytest
from kit.process import Child, binary, clean_env, keyward
from kit.upstream import Answer

HELLO = [{"role": "user", "content": "hello"}]
SECRET = "sk-e2e-readme-0123456789abcdef"


@pytest.fixture(scope="module")
def readme(repository):
    return (repository / "README.md").read_text()


def block(readme: str, language: str, holds: str) -> str:
    (found,) = [text for text in re.findall(rf"^```{language}\n(.*?)^```", readme, re.S | re.M) if holds in text]
    return found


@pytest.fixture
def shell(tmp_path):
    """The environment of a reader who has `keyward` on the path."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "keyward").symlink_to(binary())
    (tmp_path / "home").mkdir()
    return tmp_path / "home", clean_env(PATH=f"{tmp_path}/bin:{os.environ['PATH']}")


def test_run_it(readme, shell, demo, upstream_of):
    choice = {"index": 0, "message": {"role": "assistant", "content": "Served."}, "finish_reason": "stop"}
    chat = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    upstream = upstream_of(lambda _: Answer(json.dumps(chat).encode()))
    home, env = shell
    script = block(readme, "sh", "master.key")
    replaced = {
        "https://idp.example.com": demo.facts["issuer"],
        "https://api.openai.com": upstream.url,
        "data_dir: data\n": "data_dir: data\nlisten: {data: {address: '127.0.0.1:0'}, admin: {address: '127.0.0.1:0'}}\n",
    }
    for theirs, ours in replaced.items():
        assert script.count(theirs) == 1, theirs
        script = script.replace(theirs, ours)
    *prepare, serve = script.strip().splitlines()
    assert serve.startswith("keyward serve ")

    done = subprocess.run(
        ["bash", "-euc", "\n".join(prepare)], input=SECRET.encode(), capture_output=True, env=env, cwd=home, check=False
    )
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, said
    assert "is valid: 1 issuer, 2 connections, 1 policy document" in said
    assert "keyward://openai, version 1" in said
    assert SECRET not in said

    child = Child(["bash", "-euc", f"exec {serve}"], env, cwd=home)
    ready = json.loads(child.line("stderr", lambda line: '"keyward serves"' in line))
    with openai.OpenAI(base_url=f"http://{ready['data']}/openai/v1", api_key=demo.tokens["alice"]) as sdk:
        assert sdk.chat.completions.create(model="m", messages=HELLO).choices[0].message.content == "Served."
    assert upstream.asked[-1].header("authorization") == [f"Bearer {SECRET}"]
    assert child.stop(signal.SIGTERM) == 0
    proof = keyward("verify", "--config", str(home / "keyward.yaml"))
    assert proof.returncode == 0, proof.stderr
    assert SECRET.encode() not in child.stderr + child.stdout + proof.stdout


def test_connect_a_client(readme, demo):
    python = block(readme, "python", "anthropic.Anthropic(").replace("http://127.0.0.1:8700", demo.data_url)
    openai_client, anthropic_client = [line for line in python.splitlines() if line.startswith("client = ")]
    program = f"""
import os, openai, anthropic
token, hello = os.environ["TOKEN"], {HELLO}
{openai_client}
print(client.chat.completions.create(model="m", messages=hello).choices[0].message.content)
{anthropic_client}
print(client.messages.create(model="m", max_tokens=9, messages=hello).content[0].text)
"""
    curl = block(readme, "sh", "curl http").replace("http://127.0.0.1:8700", demo.data_url)
    env = clean_env(TOKEN=demo.tokens["alice"])
    for command, greetings in [([sys.executable, "-c", program], 2), (["bash", "-euc", curl], 1)]:
        done = subprocess.run(command, capture_output=True, env=env, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout.decode().count("Hello! I am the demo's model.") == greetings


def test_every_command_that_it_names_exists(readme):
    named = set(re.findall(r"(?:^\$ |^|`)keyward ((?:[a-z]+[- ]?)+[a-z]+|[a-z]+)", readme, re.M))
    assert len(named) > 8, named
    for words in named:
        words = words.split()
        done = keyward(*words[:2], "--help")
        if done.returncode != 0:  # the second word is an argument
            done = keyward(words[0], "--help")
        assert done.returncode == 0, f"keyward {' '.join(words)}"
