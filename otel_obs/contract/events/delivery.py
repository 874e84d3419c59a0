"""Delivery statements: what a process says of where its records of one tier are."""

from __future__ import annotations

from pydantic import Field

from otel_obs.contract import semconv
from otel_obs.contract.events.base import Event


class Delivery(Event):
    """The ledger of one process and tier at one moment, all counts from its start.

    ``produced`` = ``numbered`` + ``sampled`` + the sum of ``untaken``; ``numbered`` = ``delivered`` + ``journaled`` +
    ``unconfirmed`` + the sum of ``lost``.
    """

    tier: str = Field(serialization_alias=semconv.DELIVERY_TIER)
    produced: int = Field(ge=0, serialization_alias=semconv.DELIVERY_PRODUCED)
    numbered: int = Field(ge=0, serialization_alias=semconv.DELIVERY_NUMBERED)
    delivered: int = Field(ge=0, serialization_alias=semconv.DELIVERY_DELIVERED)
    journaled: int = Field(ge=0, serialization_alias=semconv.DELIVERY_JOURNALED)
    unconfirmed: int = Field(ge=0, serialization_alias=semconv.DELIVERY_UNCONFIRMED)
    sampled: int = Field(ge=0, serialization_alias=semconv.DELIVERY_SAMPLED)
    untaken: dict[str, int] = Field(serialization_alias=semconv.DELIVERY_UNTAKEN)
    lost: dict[str, int] = Field(serialization_alias=semconv.DELIVERY_LOST)
    ended: bool = Field(serialization_alias=semconv.DELIVERY_ENDED)
    kill_switch: bool = Field(serialization_alias=semconv.DELIVERY_KILL_SWITCH)
