"""Every report as a method: two classes that walk REPORTS. Their types stand in the generated stub beside this file."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from otel_obs.reports.registry import REPORTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_obs.reports.report import Parameter, Report


def method_name(report: Report[Any]) -> str:
    """``near_misses`` of ``near-misses``."""
    return report.name.replace("-", "_")


def argument_name(parameter: Parameter) -> str:
    """``from_`` of ``from``, which is a word of Python."""
    return "from_" if parameter.name == "from" else parameter.name


def _signature(report: Report[Any]) -> inspect.Signature:
    arguments = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)]
    for parameter in report.parameters:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if parameter.position else inspect.Parameter.KEYWORD_ONLY
        default = inspect.Parameter.empty if parameter.default is None else parameter.default
        arguments.append(inspect.Parameter(argument_name(parameter), kind, default=default))
    return inspect.Signature(arguments)


def _method(report: Report[Any]) -> Callable[..., Any]:
    signature = _signature(report)

    def ask(*args: Any, **kwargs: Any) -> Any:
        given = dict(signature.bind(*args, **kwargs).arguments)
        return given.pop("self").ask(report.name, **given)

    ask.__signature__ = signature  # type: ignore[attr-defined]
    ask.__name__ = method_name(report)
    lines = [f"    {argument_name(row)}: {row.doc}" for row in report.parameters]
    ask.__doc__ = "\n".join([report.question, "", "Args:", *lines])
    return ask


_METHODS = {method_name(report): _method(report) for report in REPORTS}

Questions = type("Questions", (), {**_METHODS, "__doc__": "Every report; answers at once."})
AsyncQuestions = type("AsyncQuestions", (), {**_METHODS, "__doc__": "Every report; to be awaited."})
