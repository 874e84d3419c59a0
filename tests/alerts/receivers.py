"""Who is told: a server that takes messages as Slack does, and Alertmanager with the files that we ship."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import shutil
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType
    from typing import Self

DEPLOY = Path(__file__).parents[2] / "deploy" / "alertmanager"
SECRETS = "/etc/otel_obs/secrets"
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or "prometheus-alertmanager"
# What Slack refuses or cuts: https://docs.slack.dev/messaging/formatting-message-text, …/reference/attachments
LONGEST_TEXT = 40_000
LONGEST_TITLE = 1_024
LONGEST_FOOTER = 300
MOST_ATTACHMENTS = 100
_SPECIAL = re.compile(r"<([^<>]*)>")
_HARMLESS = re.compile(r"(!date\^\d+\^[^|^]+\|[^|]+|https?://[^\s|]+(\|[^|]+)?)")
_SHOWN = (
    (re.compile(r"<!date\^\d+\^\{ago\}\|[^>]*>"), "2 minutes ago"),
    (re.compile(r"<(https?://[^|>]*)\|([^>]*)>"), r"\2 → \1"),
)


def _beside(path: str) -> ModuleType:
    """A module of the tests by its path, under the name that the fixture `beside` gives it."""
    file = Path(__file__).parents[1] / path
    name = f"tests_{file.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


line = _beside("acceptance/pipeline.py")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message as Slack took it; ``channel`` is the last part of the webhook's path."""

    channel: str
    payload: dict[str, Any]

    @property
    def attachment(self) -> dict[str, Any]:
        found: dict[str, Any] = self.payload["attachments"][0]
        return found

    @property
    def title(self) -> str:
        return str(self.attachment["title"])

    @property
    def text(self) -> str:
        return str(self.attachment["text"])

    def read(self) -> str:
        """What a person sees."""
        shown = f"{self.title}\n{self.text}\n{self.attachment['footer']}"
        for what, by in _SHOWN:
            shown = what.sub(by, shown)
        return html.unescape(shown)


def defects(payload: Any) -> list[str]:
    """Why Slack would refuse a payload, cut it, or call somebody."""
    if not isinstance(payload, dict) or not (payload.get("text") or payload.get("attachments")):
        return ["no_text"]
    attachments = payload.get("attachments", [])
    found = ["too_many_attachments"] if len(attachments) > MOST_ATTACHMENTS else []
    limits = {"title": LONGEST_TITLE, "text": LONGEST_TEXT, "fallback": LONGEST_TEXT, "footer": LONGEST_FOOTER}
    for attachment in attachments:
        found += [
            f"{name} has {len(attachment.get(name, ''))} characters"
            for name, most in limits.items()
            if len(attachment.get(name, "")) > most
        ]
        for name in limits:
            text = attachment.get(name, "")
            found += [
                f"{name} calls <{special}>" for special in _SPECIAL.findall(text) if not _HARMLESS.fullmatch(special)
            ]
            if set(_SPECIAL.sub("", text)) & set("<>"):
                found.append(f"{name} has a bare < or >")
            if re.search(r"&(?!amp;|lt;|gt;)", text):
                found.append(f"{name} has a bare &")
    return found


@dataclass
class Slack:
    """What was taken and what was turned away; ``answers`` are given first, one to each request, then `ok`."""

    url: str
    taken: list[Message] = field(default_factory=list)
    turned_away: list[tuple[int, str]] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)
    always: tuple[int, str] | None = None

    def takes(self, channel: str, body: bytes, content_type: str) -> tuple[int, str]:
        """Answer one request."""
        try:
            payload = json.loads(body)
        except ValueError:
            payload = None
        wrong = defects(payload) if content_type.startswith("application/json") else ["content_type"]
        refusal = self.answers.pop(0) if self.answers else self.always
        if wrong or refusal:
            self.turned_away.append(refusal or (400, f"invalid_payload: {wrong}"))
            return self.turned_away[-1]
        self.taken.append(Message(channel=channel, payload=payload))
        return 200, "ok"

    def message(
        self, what: str, of: Callable[[Message], bool] = lambda _message: True, *, within: float = 60
    ) -> Message:
        """The first message that is like that, waited for."""
        found: Message = line.eventually(
            f"{what}; taken {[each.title for each in self.taken]}, turned away {self.turned_away}",
            lambda: next((each for each in self.taken if of(each)), None),
            within=within,
        )
        return found


@contextmanager
def slack() -> Iterator[Slack]:
    """Incoming webhooks on loopback."""

    class Hook(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            channel = self.path.rpartition("/")[2]
            status, text = taking.takes(channel, body, self.headers["Content-Type"] or "")
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            if status == 429:
                self.send_header("Retry-After", "1")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.daemon_threads = True  # Alertmanager keeps its connection open
    taking = Slack(f"http://127.0.0.1:{server.server_address[1]}/services")
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield taking
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def shipped(place: Path, slack_url: str, *, on: tuple[str, ...] = (), changed: Mapping[str, str] | None = None) -> Path:
    """Our files, copied: with ways switched ``on`` as a person does it, and other texts where a test needs them."""
    shutil.copytree(DEPLOY, place / "alertmanager", dirs_exist_ok=True)
    secrets = place / "secrets"
    secrets.mkdir(exist_ok=True)
    for channel in ("critical", "warnings"):
        (secrets / f"slack_{channel}_url").write_text(f"{slack_url}/{channel}\n", encoding="utf-8")
    file = place / "alertmanager" / "alertmanager.yml"
    text = file.read_text(encoding="utf-8")
    for way in on:
        assert f"#{way}| " in text
        text = text.replace(f"#{way}| ", "")
    for old, new in {SECRETS: str(secrets), **(changed or {})}.items():
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    return file


# Nobody waits half a minute in a test; the order of events stays what it is.
QUICK = {
    "group_wait: 30s": "group_wait: 1s",
    "group_wait: 15s": "group_wait: 1s",
    "group_interval: 5m": "group_interval: 2s",
    "group_interval: 5s": "group_interval: 2s",
}


@dataclass
class Alertmanager(line.Process):  # type: ignore[name-defined,misc]
    """Alertmanager on a port that it chooses itself."""

    config: Path = Path()
    port: int = 0

    def start(self) -> Self:
        self.run(
            [
                ALERTMANAGER, f"--config.file={self.config}", f"--storage.path={self.config.parent / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address=",
                "--web.external-url=http://alertmanager.example", "--web.route-prefix=/", "--log.level=debug",
            ],
            {},
        )  # fmt: skip
        line.eventually(f"{self.name} is ready", lambda: self._ready() or self.ended() is not None)
        assert self.ended() is None, self.told()
        return self

    def _ready(self) -> bool:
        for port in line._listening(self.pid):
            if line.request(port, "GET", "/-/ready")[0] == 200:
                self.port = port
                return True
        return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, *alerts: Mapping[str, Any]) -> None:
        """Alerts as Prometheus sends them."""
        body = json.dumps(alerts).encode()
        status, text = line.request(self.port, "POST", "/api/v2/alerts", body, **{"Content-Type": "application/json"})
        assert status == 200, text


@contextmanager
def alertmanager(place: Path, taking: Slack, *, quick: bool = True, **more: Any) -> Iterator[Alertmanager]:
    """Alertmanager with our files, telling ``taking``; ``more`` goes to `shipped`."""
    changed = {**(QUICK if quick else {}), **more.pop("changed", {})}
    made = Alertmanager(
        "alertmanager", place / "alertmanager.log", config=shipped(place, taking.url, changed=changed, **more)
    )
    try:
        yield made.start()
    finally:
        if made.popen is not None:
            made.end()
        sys.stdout.write(f"---- {made.name}\n" + "\n".join(made.told().splitlines()[-60:]) + "\n")
