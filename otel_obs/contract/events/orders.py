"""Orders and fills: what was asked of a venue, and what it gave."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from otel_obs.contract import semconv
from otel_obs.contract.events.base import Event

Money = Annotated[Decimal, Field(max_digits=38, decimal_places=18)]


class Order(Event):
    """One status of one order. Its present state is the latest of them, a question to the store."""

    id: str = Field(serialization_alias=semconv.ORDER_ID)
    status: str = Field(serialization_alias=semconv.ORDER_STATUS)
    type: str | None = Field(default=None, serialization_alias=semconv.ORDER_TYPE)
    side: str | None = Field(default=None, serialization_alias=semconv.ORDER_SIDE)
    quantity: Money | None = Field(default=None, serialization_alias=semconv.ORDER_QUANTITY)
    price: Money | None = Field(default=None, serialization_alias=semconv.ORDER_PRICE)
    symbol: str | None = Field(default=None, serialization_alias=semconv.INSTRUMENT_SYMBOL)
    strategy: str | None = Field(default=None, serialization_alias=semconv.STRATEGY_NAME)
    decision_id: str | None = Field(default=None, serialization_alias=semconv.DECISION_ID)
    trade_id: str | None = Field(default=None, serialization_alias=semconv.TRADE_ID)


class Fill(Event):
    """One execution."""

    id: str = Field(serialization_alias=semconv.FILL_ID)
    price: Money = Field(serialization_alias=semconv.FILL_PRICE)
    quantity: Money = Field(serialization_alias=semconv.FILL_QUANTITY)
    fee: Money | None = Field(default=None, serialization_alias=semconv.FILL_FEE)
    fee_currency: str | None = Field(default=None, serialization_alias=semconv.FILL_FEE_CURRENCY)
    side: str | None = Field(default=None, serialization_alias=semconv.ORDER_SIDE)
    symbol: str | None = Field(default=None, serialization_alias=semconv.INSTRUMENT_SYMBOL)
    strategy: str | None = Field(default=None, serialization_alias=semconv.STRATEGY_NAME)
    order_id: str | None = Field(default=None, serialization_alias=semconv.ORDER_ID)
    decision_id: str | None = Field(default=None, serialization_alias=semconv.DECISION_ID)
    trade_id: str | None = Field(default=None, serialization_alias=semconv.TRADE_ID)
