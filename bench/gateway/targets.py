"""The proxies under test: their configurations, and their processes on loopback."""

import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

START_SECONDS = 20
ENVOY = "type.googleapis.com/envoy.extensions"


@dataclass
class Tools:
    """Where the programs are."""

    keyward: Path
    upstream: Path
    load: Path
    nginx: str
    envoy: Path
    wrk: str


@dataclass
class Upstream:
    """What the model server says about itself when it is ready."""

    url: str  # also the issuer
    token: str
    stranger: str
    key: str

    @property
    def port(self):
        return urlsplit(self.url).port


@dataclass
class Target:
    """Something that answers a chat completion."""

    name: str
    says: str
    url: str
    token: str
    process: subprocess.Popen | None = None
    checks_identity: bool = False
    masks: bool = False
    start_ms: float | None = None

    def cpu_ns(self):
        """User and system time of the process so far, of threads that ended as well."""
        if self.process is None:
            return 0
        # The kernel's CPU clock of another process: exact, where /proc/PID/stat counts in ticks of 10 ms.
        return time.clock_gettime_ns((~self.process.pid << 3) | 2)

    def memory_kib(self, which):
        """`VmRSS` or `VmHWM`."""
        if self.process is None:
            return None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{which}:\s+(\d+)", status).group(1))


class House:
    """Everything that was started; leaving it stops everything, by its own process id."""

    def __init__(self, tools, folder, cores):
        self.tools, self.folder, self.cores, self.processes = tools, folder, cores, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def pinned(self, side):
        """Keeps a process on the core of its side, `proxy` or `load`, where there are two."""
        core = self.cores.get(side)
        return (lambda: os.sched_setaffinity(0, {core})) if core is not None else None

    def start(self, name, command, side="proxy", **options):
        log = open(self.folder / f"{name}.log", "wb")
        options.setdefault("stdout", log)
        process = subprocess.Popen(
            [str(part) for part in command], stderr=log, stdin=subprocess.DEVNULL,
            preexec_fn=self.pinned(side), **options,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def wait_for(self, name, process, port):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.005)
        log = (self.folder / f"{name}.log").read_text(errors="replace")
        raise SystemExit(f"{name} did not start:\n{log[-2000:]}")

    def upstream(self):
        process = self.start("upstream", [self.tools.upstream], "load", stdout=subprocess.PIPE)
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the upstream did not start")
        return Upstream(**json.loads(line))

    def target(self, name, upstream):
        return getattr(self, name.replace("-", "_"))(upstream)

    def direct(self, upstream):
        return Target("direct", "no proxy", upstream.url + "/v1/chat/completions", upstream.key)

    def nginx(self, upstream):
        port, folder = free_port(), self.folder
        config = folder / "nginx.conf"
        temporary = "\n".join(
            f"{kind}_temp_path {folder}/nginx-{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config.write_text(f"""
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; {temporary}
  upstream models {{ server 127.0.0.1:{upstream.port}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://models; proxy_http_version 1.1; proxy_buffering off;
      proxy_set_header Connection ""; proxy_set_header Authorization "Bearer {upstream.key}";
    }}
  }}
}}
""")
        process = self.start("nginx", [self.tools.nginx, "-e", "stderr", "-c", config])
        self.wait_for("nginx", process, port)
        return Target("nginx", "injection", at(port), upstream.token, process)

    def envoy(self, upstream):
        header = {"key": "authorization", "value": f"Bearer {upstream.key}"}
        add = [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
        return self.start_envoy("envoy", "injection", upstream, [], {"request_headers_to_add": add})

    def envoy_gov(self, upstream):
        keys = {"uri": f"{upstream.url}/jwks", "cluster": "models", "timeout": "2s"}
        provider = {
            "issuer": upstream.url,
            "audiences": ["keyward"],
            "payload_in_metadata": "caller",
            "remote_jwks": {"http_uri": keys, "cache_duration": "600s"},
        }
        in_group = {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "caller"}, {"key": "groups"}],
            "value": {"list_match": {"one_of": {"string_match": {"exact": "eng"}}}},
        }
        engineers = {"permissions": [{"any": True}], "principals": [{"metadata": in_group}]}
        generic = typed("http.injected_credentials.generic.v3.Generic", {"credential": {"name": "key"}})
        filters = [
            http_filter("jwt_authn", "http.jwt_authn.v3.JwtAuthentication", {
                "providers": {"bench": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}],
            }),
            http_filter("rbac", "http.rbac.v3.RBAC", {
                "rules": {"action": "ALLOW", "policies": {"engineers": engineers}},
            }),
            http_filter("credential_injector", "http.credential_injector.v3.CredentialInjector", {
                "overwrite": True,
                "credential": {"name": "envoy.http.injected_credentials.generic", "typed_config": generic},
            }),
        ]  # fmt: skip
        target = self.start_envoy("envoy-gov", "JWT, RBAC by group, injection", upstream, filters, {})
        target.checks_identity = True
        return target

    def start_envoy(self, name, says, upstream, filters, route):
        port = free_port()
        action = {"cluster": "models", "timeout": "0s"}
        routes = [{"match": {"prefix": "/"}, "route": action, **route}]
        manager = typed("filters.network.http_connection_manager.v3.HttpConnectionManager", {
            "stat_prefix": "bench",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
            "http_filters": [*filters, http_filter("router", "http.router.v3.Router", {})],
        })  # fmt: skip
        chain = {"filters": [{"name": "http", "typed_config": manager}]}
        key = {"name": "key", "generic_secret": {"secret": {"inline_string": f"Bearer {upstream.key}"}}}
        config = self.folder / f"{name}.json"
        config.write_text(json.dumps({"static_resources": {
            "secrets": [key],
            "listeners": [{"name": "data", "address": address(port), "filter_chains": [chain]}],
            "clusters": [cluster("models", upstream.port)],
        }}))  # fmt: skip
        command = [self.tools.envoy, "-c", config, "--concurrency", 1, "-l", "error", "--disable-hot-restart"]
        process = self.start(name, command)
        self.wait_for(name, process, port)
        return Target(name, says, at(port), upstream.token, process)

    def keyward(self, upstream):
        data, admin, folder = free_port(), free_port(), self.folder
        key = folder / "master.key"
        key.touch(0o600)
        key.write_text(secrets.token_hex(32))
        config = folder / "keyward.yaml"
        config.write_text(f"""
data_dir: {folder}/keyward
master_key: file://{key}
listen: {{data: {{address: '127.0.0.1:{data}'}}, admin: {{address: '127.0.0.1:{admin}'}}}}
issuers: [{{name: bench, url: '{upstream.url}', audiences: [keyward], algorithms: [ES256]}}]
connections:
  - {{name: openai, kind: openai, upstream: '{upstream.url}', credential: {{secret: 'env://BENCH_KEY', inject: bearer}}}}
policies: ['builtin:base']
journal: {{min_free_bytes: 16MiB}}
drain: 2s
""")
        url = f"http://127.0.0.1:{data}/openai/v1/chat/completions"
        says = "JWT, policy, injection, masking, journal"
        began = time.monotonic()
        process = self.start(
            "keyward", [self.tools.keyward, "serve", "--config", config],
            env={**os.environ, "BENCH_KEY": upstream.key},
        )  # fmt: skip
        self.wait_for("keyward", process, data)
        target = Target("keyward", says, url, upstream.token, process, checks_identity=True, masks=True)
        call(target, "small")
        target.start_ms = (time.monotonic() - began) * 1000
        return target


TARGETS = ["direct", "nginx", "envoy", "envoy-gov", "keyward"]


def call(target, answer, token=None):
    """One call: status and body."""
    from loads import REQUEST, headers

    url = urlsplit(target.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    try:
        connection.request("POST", url.path, REQUEST, headers(token or target.token, answer))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def free_port():
    """A port that the kernel says is free; peers cannot be told to choose one themselves."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def at(port):
    return f"http://127.0.0.1:{port}/v1/chat/completions"


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name, port):
    endpoint = {"endpoint": {"address": address(port)}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment}


def typed(kind, config):
    return {"@type": f"{ENVOY}.{kind}", **config}


def http_filter(name, kind, config):
    return {"name": f"envoy.filters.http.{name}", "typed_config": typed(f"filters.{kind}", config)}
