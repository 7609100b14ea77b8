"""What Keyward decided on is what nginx and Envoy read behind it: the same path, the same host, in every spelling.

Both are real and normalise what they get (nginx always, Envoy by `normalize_path` and `merge_slashes`). A target passes
when neither changes anything in it; one that they would change is refused by Keyward."""

import json
import os
import pathlib
import random
import shutil
import socket
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from kit.process import Child, clean_env, eventually

RULES = """apiVersion: keyward/v1
kind: Policy
metadata: {name: differential}
rules:
  - {id: all, effect: allow, when: 'true'}
"""
NGINX = """daemon off; master_process off; pid PID; error_log stderr error;
events {}
http {
  access_log off; client_body_temp_path DIR; proxy_temp_path DIR; fastcgi_temp_path DIR; uwsgi_temp_path DIR; scgi_temp_path DIR;
  large_client_header_buffers 4 32k;
  server {
    listen 127.0.0.1:PORT; server_name _;
    location / {
      add_header x-line "$request_method $request_uri" always; add_header x-path "[$uri]" always; add_header x-host "$http_host" always;
      return 200 "ok";
    }
  }
}
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    """nginx that answers with what it read; its port."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert program, "nginx is not installed: make kit"
    directory, port = tmp_path_factory.mktemp("nginx"), free_port()
    config = directory / "nginx.conf"
    text = NGINX.replace("DIR", str(directory)).replace("PID", str(directory / "pid")).replace("PORT", str(port))
    config.write_text(text)
    child = Child([program, "-c", str(config), "-p", str(directory), "-e", "stderr"], clean_env(), cwd=directory)
    eventually("nginx", lambda: answers(port))
    yield port
    child.stop()


@pytest.fixture(scope="module")
def envoy(tmp_path_factory, kit_dir):
    """Envoy that answers with what it read after its own normalisation; its port."""
    program = next(kit_dir.glob("bench/lib/python3*/site-packages/envoy/_bin/envoy"), None)
    assert program, "Envoy is not installed: make kit"
    port = free_port()
    added = {"x-line": "%REQ(:METHOD)% %REQ(:PATH)%", "x-host": "%REQ(:AUTHORITY)%"}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "differential",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}],
                    "response_headers_to_add": [{"header": {"key": key, "value": value}} for key, value in added.items()],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    config = tmp_path_factory.mktemp("envoy") / "envoy.json"
    config.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    child = Child([str(program), "-c", str(config), "--concurrency", "1", "-l", "error", "--disable-hot-restart"], clean_env())
    eventually("Envoy", lambda: answers(port))
    yield port
    child.stop()


@pytest.fixture(scope="module")
def kit_dir() -> pathlib.Path:
    return pathlib.Path(os.environ.get("KIT") or os.path.expanduser("~/.cache/keyward-kit"))


@pytest.fixture(scope="module")
def gateway(gateway_of, issuer, nginx, envoy, tmp_path_factory):
    policy = tmp_path_factory.mktemp("policy") / "policy.yaml"
    policy.write_text(RULES)
    peers = {"nginx": nginx, "envoy": envoy}
    connections = [{"name": name, "kind": "http", "upstream": f"http://127.0.0.1:{port}"} for name, port in peers.items()]
    return gateway_of({"issuers": [issuer], "connections": connections, "policies": [str(policy)]})


def targets() -> list[str]:
    """Paths and queries that are harmless, hostile and everything between; the same in every run."""
    fixed = [
        "/", "/a", "/a/", "/a/b", "/a.b", "/..a", "/a..", "/.a", "/a/.b/", "/...", "/a;b=c/d", "/a%20b", "/a+b", "/a,b", "/a@b",
        "/a:b", "/a=b", "/a&b", "/a$b", "/a!b", "/a'b", "/a(b)", "/a*b", "/~a", "/a_b-c", "/%C3%A9", "/%e2%82%ac", "/a?b", "/a?",
        "/a?b=c&d=e", "/a?b=/../c", "/a?b=%2e%2e%2f", "/a?b=c?d", "/a?//", "/A/B", "/a/../b", "/a/./b", "/./a", "/../a", "/a/..",
        "/a/.", "//a", "/a//b", "/a//", "/%2e%2e/a", "/a/%2E%2E/b", "/a/%2e/b", "/a/.%2e/b", "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b",
        "/a/..;/b", "/a/..;x/b", "/a/.;/b", "/;/a", "/a/;b/c", "/a%00b", "/a%0ab", "/a%0d%0ab", "/%61", "/a%7eb", "/a%2db", "/%41",
        "/a%", "/a%4", "/a%zz", "/%c0%ae%c0%ae/a", "/%252e%252e/a", "/%25", "/a%23b", "/a#b", "/a?b#c", "/a%3fb", "/a%3Fb", "/a|b",
        "/a^b", "/a`b", "/a{b}", "/a<b>", '/a"b', "/a[b]", "/é", "/a\tb", "*", "a/b", "http://other/a", "/a%3bb", "/a/%3b/b", "/%20",
        "/a%80", "/%ff", "/a%09b", "/a%7fb",
    ]  # fmt: skip
    pieces = ["a", "B", "9", ".", "..", "/", "/", "//", "%2e", "%2f", "%5c", "%20", "%25", "%C3%A9", ";", "=", "@", ":", "~", "-",
              "_", "+", "%41", "%00", "\\", "?", "&", "%3f", "%23", ",", "%c0%af", "%E2%80%AE"]  # fmt: skip
    seeded = random.Random(4)
    made = ["/" + "".join(seeded.choices(pieces, k=seeded.randint(1, 7))) for _ in range(1500)]
    return list(dict.fromkeys(fixed + made))


def ask(gateway, connection: str, token: str, target: str, host: str) -> tuple[int, dict[str, str]]:
    """Sends exactly these bytes; gives status and headers."""
    at = urlsplit(gateway.data_url)
    line = target if target.startswith(("http", "*", "a")) else f"/{connection}{target}"
    head = f"GET {line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((at.hostname, at.port), timeout=60) as stream:
        stream.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := stream.recv(65536)):
            answer += piece
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    return int(lines[0].split()[1]), headers


def decided(gateway, token: str) -> dict[str, str]:
    """What the journal says that each call was: path and query by request."""
    found = {}
    cli = gateway.cli(token)
    for session in cli.json("sessions", "ls", "--mine"):
        after = []
        while True:
            shown = cli.json("sessions", "show", session["id"], *after)
            for request in shown["requests"]:
                operation = request["operation"]
                query = operation.get("query") or ""
                found[request["id"]] = operation["path"] + (f"?{query}" if query else "")
            if not shown.get("next"):
                break
            after = ["--after", shown["next"]]
    return found


@pytest.mark.parametrize("peer", ["nginx", "envoy"])
def test_catalogue_35_both_read_the_path_that_was_judged(gateway, demo, nginx, envoy, peer):
    token, port = demo.tokens["alice"], {"nginx": nginx, "envoy": envoy}[peer]
    passed, refused = {}, 0
    for target in targets():
        status, headers = ask(gateway, peer, token, target, "gateway.example:8700")
        if "x-line" not in headers:
            assert status in (400, 404, 405), (target, status, headers)
            refused += 1
            continue
        assert status == 200, (target, status)
        passed[headers["keyward-request-id"]] = (target, headers)
    judged = decided(gateway, token)
    for request, (target, headers) in passed.items():
        read = headers["x-line"].removeprefix("GET ")
        assert read == judged[request], f"{target}: judged {judged[request]}, {peer} read {read}"
        path = read.partition("?")[0]
        if peer == "nginx":
            made = headers["x-path"].encode("latin-1")
            assert made == b"[" + unquote_to_bytes(path) + b"]", f"{target}: nginx made {made} of it"
        assert headers["x-host"] == f"127.0.0.1:{port}", target
    assert len(passed) > 150 and refused > 300, (len(passed), refused)


@pytest.mark.parametrize("peer", ["nginx", "envoy"])
def test_catalogue_34_both_read_the_host_that_was_configured(gateway, demo, nginx, envoy, peer):
    port = {"nginx": nginx, "envoy": envoy}[peer]
    for host in ["a", "A.example", "a:1", "127.0.0.1", "[::1]:80", "localhost:65535"]:
        status, headers = ask(gateway, peer, demo.tokens["alice"], "/x", host)
        assert (status, headers["x-host"]) == (200, f"127.0.0.1:{port}"), host
    for host in ["a/x?", "u@b", "a b", "[::1", "a.", "a:99999", "a:", "", "a,b", "a\\b"]:
        status, headers = ask(gateway, peer, demo.tokens["alice"], "/x", host)
        assert status == 400 and "x-host" not in headers, host
