"""A process's statement: what its ledger says at one moment, as log records of its own, which no ledger numbers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import SeverityNumber

from otel_obs.contract import semconv
from otel_obs.contract.tiers import Tier
from otel_obs.sdk.frames import Frame
from otel_obs.sdk.otlp import LogRecord, ResourceRecord, ScopeRecord, encode_logs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_obs.sdk.journal import Departed
    from otel_obs.sdk.ledger import Balance

STREAM: Final = "delivery"


def statement(
    balances: Mapping[Tier, Balance],
    waiting: Mapping[Tier, int],
    *,
    resource: Mapping[str, Any],
    has_ended: bool,
    kill_switch: bool = False,
) -> Frame | None:
    """Tell how each tier stands of which there is anything to tell; None where there is nothing.

    ``waiting`` are the numbered records in the journal; ``resource`` is the process's own, also where it is gone and
    another speaks for it.
    """
    now = time.time_ns()
    scope = ScopeRecord(ResourceRecord(dict(resource)), semconv.SCOPE)

    def record(tier: Tier, balance: Balance) -> LogRecord:
        told = _told(tier, balance, waiting.get(tier, 0), has_ended=has_ended, kill_switch=kill_switch)
        return LogRecord(scope, now, now, None, told, STREAM, SeverityNumber.INFO.value, "INFO")

    records = [record(tier, balance) for tier, balance in balances.items() if balance.produced]
    if not records:
        return None
    return Frame("logs", Tier.DURABLE, len(records), (), now, encode_logs(records))


def last_word(departed: Departed) -> Frame | None:
    """The last statement of a process that is gone, in its name."""
    about, balances = departed.about, departed.balances
    who = {semconv.SERVICE_NAME: about.service, semconv.SERVICE_INSTANCE_ID: about.instance, **about.resource}
    waiting = {tier: balance.waiting for tier, balance in balances.items()}
    return statement(balances, waiting, resource=who, has_ended=True)


def _told(
    tier: Tier,
    balance: Balance,
    waiting: int,
    *,
    has_ended: bool,
    kill_switch: bool,
) -> dict[str, Any]:
    return {
        semconv.EVENT_NAME: STREAM,
        semconv.DELIVERY_TIER: tier.value,
        semconv.DELIVERY_PRODUCED: balance.produced,
        semconv.DELIVERY_NUMBERED: balance.numbered,
        semconv.DELIVERY_DELIVERED: balance.delivered,
        semconv.DELIVERY_JOURNALED: waiting,
        semconv.DELIVERY_UNCONFIRMED: balance.unconfirmed,
        semconv.DELIVERY_SAMPLED: balance.sampled,
        semconv.DELIVERY_UNTAKEN: json.dumps(balance.untaken, separators=(",", ":")),
        semconv.DELIVERY_LOST: json.dumps(balance.lost, separators=(",", ":")),
        semconv.DELIVERY_ENDED: has_ended,
        semconv.DELIVERY_KILL_SWITCH: kill_switch,
    }
