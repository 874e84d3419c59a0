"""The message in Slack: whoever reads it has seen nothing else of us, on a telephone, at night."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    Build = Callable[..., dict[str, Any]]

REFUSED = {
    "summary": "my-bot: its own gates refused 93% of its trades in 2h",
    "description": "spread_guard denied 28 of 30; last observed 16.7 bps, allowed at most 5 bps.",
    "look": "otel-obs report why --from -2h --service my-bot",
    "runbook": "https://example.com/runbooks/RejectionRateHigh.md",
    "service": "my-bot",
    "instance": "10.0.0.7:9464",
}


def _about(service: str) -> Callable[[Any], bool]:
    return lambda message: service in message.attachment["footer"]


def _told(alert: dict[str, Any]) -> str:
    began = datetime.fromisoformat(alert["startsAt"])
    return f"{began:%a} {began.day} {began:%b %H:%M} UTC"


def test_a_message_says_what_since_when_the_evidence_and_what_to_do_and_then_that_it_is_over(
    alertmanager: Any, slack: Any, alert: Build
) -> None:
    firing = alert("RejectionRateHigh", minutes=12, **REFUSED)
    alertmanager.post(firing)
    message = slack.message("it is told", _about("my-bot"))
    assert message.channel == "critical"
    assert message.attachment["color"] == "danger"
    assert message.read().splitlines() == [
        "🔴 CRITICAL · my-bot: its own gates refused 93% of its trades in 2h",
        f"*Firing* since {_told(firing)} (2 minutes ago). Look at it now.",
        "spread_guard denied 28 of 30; last observed 16.7 bps, allowed at most 5 bps.",
        "*Look first, in a terminal:*",
        "`otel-obs report why --from -2h --service my-bot`",
        "*Then do what this says:* runbook RejectionRateHigh → https://example.com/runbooks/RejectionRateHigh.md",
        "RejectionRateHigh · service my-bot · instance 10.0.0.7:9464",
    ]
    stamp = int(datetime.fromisoformat(firing["startsAt"]).timestamp())
    assert f"<!date^{stamp}^{{ago}}|" in message.text
    assert "title_link" not in message.attachment
    assert "spread_guard denied 28 of 30" in message.attachment["fallback"]

    over = {**firing, "endsAt": alert("any", over=True)["endsAt"]}
    alertmanager.post(over)
    message = slack.message("its end is told", lambda each: _about("my-bot")(each) and "RESOLVED" in each.title)
    assert message.attachment["color"] == "good"
    first, second, *_ = message.text.splitlines()
    assert re.fullmatch(r"\*Resolved\* \w{3} \d+ \w{3} \d\d:\d\d UTC after 12 min\. Nothing to do now\.", first)
    assert second == "It was: spread_guard denied 28 of 30; last observed 16.7 bps, allowed at most 5 bps."


def test_twenty_five_silent_feeds_are_one_message_that_fits_a_screen(
    alertmanager: Any, slack: Any, alert: Build
) -> None:
    alertmanager.post(
        *(
            alert(
                "SourceStale", "warning", service="feeder", source=f"ws:pair{index:02}",
                summary=f"feeder: websocket ws:pair{index:02} is silent for 1m 30s", description="One comes every 1s.",
                look=f"otel-obs report freshness --source ws:pair{index:02}", runbook="docs/runbooks/SourceStale.md",
                dashboard="https://grafana.example/d/otel-obs-health?a=1&b=2",
            )
            for index in range(25)
        )
    )  # fmt: skip
    message = slack.message("they are told", _about("feeder"))
    assert message.channel == "warnings"
    assert message.title == "🟠 WARNING · feeder: websocket ws:pair00 is silent for 1m 30s, and 24 more"
    assert message.attachment["title_link"] == "https://grafana.example/d/otel-obs-health?a=1&b=2"
    lines = message.read().splitlines()
    assert lines[1] == "*25 firing.* Look at it today."
    assert lines[3] == "One comes every 1s."
    assert "and 20 more." in lines
    assert "`otel-obs report freshness --source ws:pair00`" in lines
    assert "*Then do what this says:* `otel-obs alerts runbook SourceStale`" in lines
    assert len(lines) <= 15
    assert len([each for each in slack.taken if _about("feeder")(each)]) == 1


def test_troubles_of_different_kinds_of_one_bot_are_one_message_with_a_command_for_each(
    alertmanager: Any, slack: Any, alert: Build
) -> None:
    alertmanager.post(
        alert("HeartbeatLost", service="mixed", summary="mixed: loop main hangs", look="otel-obs report slowest"),
        alert("SourceStale", service="mixed", summary="mixed: ws:a is silent", look="otel-obs report freshness"),
    )
    text = slack.message("they are told", _about("mixed")).text
    assert "• *mixed: loop main hangs* since" in text
    assert "• *mixed: ws:a is silent* since" in text
    assert "`otel-obs report slowest`, then `otel-obs alerts runbook HeartbeatLost`" in text
    assert "`otel-obs report freshness`, then `otel-obs alerts runbook SourceStale`" in text


def test_what_a_bot_is_called_calls_nobody_and_puts_no_second_command_into_a_terminal(
    alertmanager: Any, slack: Any, alert: Build
) -> None:
    hostile = "<!channel> & <@U012> <https://evil.example|click> \u202egnp\n`x`"
    alertmanager.post(
        alert(
            "GateDeniesEverything", service="victim", gate="<!everyone>", summary=f"{hostile} denies",
            description=hostile * 200, dashboard="javascript:alert(1)", runbook=hostile,
            look="otel-obs report why; curl x|sh `id` $(id)",
        )
    )  # fmt: skip
    message = slack.message("it is told", _about("victim"))
    assert slack.turned_away == []  # Slack's limits, and every <…> that is none of ours, are looked at there
    assert "&lt;!channel&gt; &amp; &lt;@U012&gt;" in message.text
    assert "\u202e" not in message.text
    assert "`otel-obs report why_ curl x_sh _id_ __id_`" in message.text
    assert "title_link" not in message.attachment
    assert "Dashboard" not in message.text


def test_thousands_of_alerts_with_long_texts_stay_within_what_slack_takes(
    alertmanager: Any, slack: Any, alert: Build
) -> None:
    alertmanager.post(
        *(
            alert(f"Alert{index}", service="crowd", summary="s" * 5000, description="<&>" * 5000, look="l" * 5000)
            for index in range(2000)
        )
    )
    message = slack.message("they are told", _about("crowd"))
    assert slack.turned_away == []
    assert message.title.endswith(" more")
    assert len(message.text) < 12_000


def test_without_slack_the_same_is_said_as_plain_text(receivers: ModuleType, alert: Build, tmp_path: Path) -> None:
    with receivers.line.sink() as (url, kept), receivers.slack() as taking:
        elsewhere = {
            "https://discord.com/api/webhooks/ID/TOKEN": f"{url}/discord",
            "bot_token: 'TOKEN'": f"api_url: {url}\n        bot_token: TOKEN",
        }
        ways = ("discord", "telegram")
        with receivers.alertmanager(tmp_path, taking, on=ways, changed=elsewhere) as running:
            running.post(alert("RejectionRateHigh", **REFUSED))
            receivers.line.eventually("both are told", lambda: len({path for path, _ in kept}) >= 2)
    bodies = {path.rpartition("/")[2]: json.loads(body) for path, body in kept}
    shown = {bodies["discord"]["embeds"][0]["description"], bodies["sendMessage"]["text"].partition("\n")[2]}
    for text in shown:
        assert "Look first, in a terminal: otel-obs report why --from -2h --service my-bot" in text
        assert "Then do what this says: https://example.com/runbooks/RejectionRateHigh.md" in text
        assert not set("*<>`") & set(text)
