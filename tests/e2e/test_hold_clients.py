"""Every client waits for a human: approved after 3 s, approved after 70 s, denied. What they see stands in docs/clients.md.

The programs in clients/ and node/ know nothing of Keyward but base URL and key. They run at once, against one gateway with
the holding settings that a new installation has, because most of what they do is wait.
"""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from kit import model
from kit.gateway import Api
from kit.process import PATIENCE, Background, clean_env

HERE = Path(__file__).parent
KEY = "sk-e2e-clients-0123456789abcdef"
WHY = "not before the review"
POLICY = """
apiVersion: keyward/v1
kind: Policy
metadata: {name: clients}
rules:
  - id: everything
    effect: approve
    when: 'true'
    reason: Somebody has to look
    approval: {approvers: ["group:model-owners"], min: 1, bind: request, ttl: 15m}
"""
# A wait that a call sits out in silence, and one that is longer than the gateway is silent.
SECONDS = {"late": 70, "soon": 3, "denied": 3}
# What a program ends with whose call is denied: its last words begin so, and hold the approver's.
DENIED = {
    ("openai-python", "whole"): "openai.PermissionDeniedError: Error code: 403",
    ("openai-python", "stream"): "openai.APIError: ",
    ("anthropic-python", "whole"): "anthropic.PermissionDeniedError: Error code: 403",
    ("anthropic-python", "stream"): "anthropic.APIStatusError: ",
    ("langchain", "whole"): "langchain_openai.chat_models.base.OpenAIPermissionDeniedError: Error code: 403",
    ("langchain", "stream"): "openai.APIError: ",
    ("openai-node", "whole"): "PermissionDeniedError: 403 ",
    ("openai-node", "stream"): "APIError: ",
    ("anthropic-node", "whole"): "PermissionDeniedError: 403 ",
    ("anthropic-node", "stream"): "APIError: ",
    ("requests", "whole"): "403 ",
    ("fetch", "whole"): "Error: 403 ",
    ("curl", "whole"): '403 {"error":',
}
PROGRAMS = {
    "openai-python": [sys.executable, "clients/openai_sdk.py"],
    "anthropic-python": [sys.executable, "clients/anthropic_sdk.py"],
    "langchain": [sys.executable, "clients/langchain_chat.py"],
    "openai-node": ["node", "node/openai.mjs"],
    "anthropic-node": ["node", "node/anthropic.mjs"],
    "requests": [sys.executable, "clients/requests_post.py"],
    "fetch": ["node", "node/fetch.mjs"],
    "curl": ["sh", "clients/curl.sh"],
}
# The long ones first: the others come and go while these wait.
CASES = [(client, how, fate) for fate in SECONDS for client, how in DENIED]
AT_ONCE = 6


@pytest.fixture(scope="module")
def upstream(upstream_of):
    return upstream_of(model.answer)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, gateway_of, issuer, upstream):
    policy = tmp_path_factory.mktemp("policy") / "clients.yaml"
    policy.write_text(POLICY)
    connections = [
        {"name": kind, "kind": kind, "upstream": upstream.url, "credential": {"secret": "keyward://key", "inject": inject}}
        for kind, inject in {"openai": "bearer", "anthropic": {"header": "x-api-key"}}.items()
    ]
    config = {"issuers": [issuer], "policies": [str(policy)], "connections": connections}
    return gateway_of(config, secrets={"key": KEY})


def decide_until(over: threading.Event, owner: Api) -> None:
    """Olivia decides over each call once it has waited for as long as its model's name says."""
    since: dict[str, float] = {}
    while not over.wait(0.1):
        for row in owner.approvals("pending"):
            fate = row["operation"]["model"].split(".")[-1]
            if time.monotonic() - since.setdefault(row["id"], time.monotonic()) >= SECONDS[fate]:
                owner.decide(row["id"], "deny" if fate == "denied" else "approve", WHY).raise_for_status()


@dataclass
class Ended:
    """How a program ended, and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def owner(demo, gateway):
    return gateway.api(demo.tokens["olivia"])


@pytest.fixture(scope="module")
def ended(demo, gateway, owner) -> dict[str, Ended]:
    """How the program of each case ended, by the name of its model."""
    token = demo.tokens["alice"]
    env = clean_env(
        OPENAI_BASE_URL=f"{gateway.data_url}/openai/v1", OPENAI_API_KEY=token,
        ANTHROPIC_BASE_URL=f"{gateway.data_url}/anthropic", ANTHROPIC_API_KEY=token,
    )  # fmt: skip

    def run(case: tuple) -> Ended:
        command = [*PROGRAMS[case[0]], ".".join(case), case[1]]
        patience = 2 * PATIENCE + max(SECONDS.values())
        done = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, timeout=patience, check=False)
        return Ended(done.returncode, done.stdout, done.stderr)

    over = threading.Event()
    decided = Background(decide_until, over, owner)
    try:
        with ThreadPoolExecutor(len(DENIED) + AT_ONCE) as pool:
            results = list(pool.map(run, CASES))
    finally:
        over.set()
    decided.result()
    return {".".join(case): result for case, result in zip(CASES, results)}


@pytest.mark.parametrize(("client", "how", "fate"), CASES, ids=map(".".join, CASES))
def test_a_client_waits(ended, owner, upstream, client, how, fate):
    case = f"{client}.{how}.{fate}"
    seen = ended[case]
    executed = sum(f'"{case}"'.encode() in asked.body for asked in list(upstream.asked))
    if fate == "denied":
        words = [line for line in seen.err.splitlines() if line.startswith(DENIED[client, how])]
        assert words and WHY in words[-1], seen
        assert seen.code != 0 and seen.out == "" and executed == 0
    else:
        assert seen.code == 0 and model.TEXT in seen.out, seen
        assert executed == 1
    # However often it was sent, it was one call to decide over.
    (row,) = [row for row in owner.approvals() if row["operation"]["model"] == case]
    assert row["state"] == ("denied" if fate == "denied" else "consumed")


def test_only_what_waited_longer_than_the_silence_was_sent_again(ended, owner):
    whole = sum(how == "whole" for _, how in DENIED)
    assert owner.metric('keyward_refusals_total{code="approval_pending"}') >= whole
