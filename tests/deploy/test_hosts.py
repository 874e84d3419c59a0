"""A bot's machine and the store's: agent and gateway as processes, with certificates between them."""

from __future__ import annotations

import http.client
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "deploy.md"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority and two certificates, by the commands of the how-to."""
    assert shutil.which("openssl"), "missing: openssl. On Debian: apt-get install openssl"
    place = tmp_path_factory.mktemp("tls")
    _, _, after = GUIDE.read_text(encoding="utf-8").partition("certificates: `openssl`")
    commands = after.split("```")[1].replace("DNS:store.example", "IP:127.0.0.1")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def pipeline(beside: Callable[[str], Any], tmp_path: Path) -> Iterator[Any]:
    line = beside("acceptance/pipeline.py")
    assert line.OTELCOL.exists(), "missing: the collector. `make collector` builds it"
    made = line.Pipeline(tmp_path)
    yield made
    made.close()


def _identity(certificates: Path, name: str) -> dict[str, str]:
    files = {"CA": "ca.crt", "CERT": f"{name}.crt", "KEY": f"{name}.key"}
    return {f"COLLECTOR_TLS_{part}": str(certificates / file) for part, file in files.items()}


def _asked(port: int, certificates: Path, *, as_whom: str = "") -> int:
    """What a gateway answers to an empty export; 0 where it does not speak, or not to this one."""
    context = ssl.create_default_context(cafile=certificates / "ca.crt")
    if as_whom:
        context.load_cert_chain(certificates / f"{as_whom}.crt", certificates / f"{as_whom}.key")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request("POST", "/v1/traces", b"", {"Content-Type": "application/x-protobuf"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def test_what_a_bot_says_goes_from_agent_to_gateway_to_store_and_nobody_without_a_certificate_is_let_in(
    certificates: Path, pipeline: Any, beside: Callable[[str], Any], otlp: Any
) -> None:
    line = beside("acceptance/pipeline.py")
    store = pipeline.store()
    gateway = pipeline.collector(store.url, name="gateway", overlays=("gateway",), **_identity(certificates, "gateway"))
    gateway.launch()
    line.eventually("the gateway is ready", lambda: "Everything is ready" in gateway.told() or gateway.ended())
    assert gateway.ended() is None, gateway.told()
    ports = line._listening(gateway.pid)
    (port,) = [port for port in ports if _asked(port, certificates, as_whom="agent") == 200]
    assert [_asked(port, certificates) for port in ports] == [0] * len(ports)

    agent = pipeline.collector(
        "http://127.0.0.1:9", name="agent", overlays=("agent",), COLLECTOR_GATEWAY=f"https://127.0.0.1:{port}",
        **_identity(certificates, "agent"),
    )  # fmt: skip
    agent.start()
    body = otlp.traces(*(otlp.decision("enter", outcome="executed") for _ in range(20))).SerializeToString()
    assert line.post(agent.otlp, "/v1/traces", body)[0] == 200
    line.eventually("all of it is in the store", lambda: store.holds(20, "decisions"))
