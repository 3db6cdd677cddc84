"""The example `route`: the container's label `flocker.constraint`, `zone==eu` or `zone!=eu`, limits the backends; of
those left, the one with the fewest containers that run or are about to gets it, a tie goes by name."""

import json
import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.route import Decision, Request
from wit_world.imports import flock
from wit_world.imports.types import Backend, Error_Refused, Refusal

LABEL = "flocker.constraint"
# The first operator counts: a value may contain another.
CONSTRAINT = re.compile(r"(.+?)(==|!=)(.*)", re.DOTALL)


class Route(exports.Route):
    def place(self, request: Request) -> Decision:
        container = json.loads(request.body) if request.body else {}
        expression = (container.get("Labels") or {}).get(LABEL)
        candidates = flock.backends()
        fitting = candidates if expression is None else limited(candidates, expression)
        if expression is not None and not fitting:
            refuse(409, f"no backend meets {expression}")
        # They come ordered by name, and `min` takes the first of equals.
        best = min(fitting, key=load, default=None)
        return Decision(backend=best.name if best else None, body=None)


def limited(backends: list[Backend], expression: str) -> list[Backend]:
    match = CONSTRAINT.fullmatch(expression)
    if not match or expression.startswith(("==", "!=")):
        refuse(400, f"the label {LABEL} is `{expression}`, not `key==value` or `key!=value`")
    key, operator, value = match.groups()
    # A label that is absent is not equal to anything.
    return [one for one in backends if (dict(one.labels).get(key) == value) == (operator == "==")]


def load(backend: Backend) -> int:
    return backend.running + backend.placing


def refuse(status: int, message: str):
    raise Err(Error_Refused(Refusal(status=status, message=message)))
