"""What Schemathesis has to know of Tandem: how its scalars are written, ids of rows that are there, and its codes.

`cargo xtask fuzz` runs Schemathesis with this file as SCHEMATHESIS_HOOKS; TANDEM_IDS holds ids, separated by commas.
"""

import json
import os

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes

# Codes of errors that are the client's own doing, which Schemathesis knows from Apollo's servers only in part. Everything
# else counts as a failure of the server: INTERNAL_SERVER_ERROR and TIMEOUT above all.
CLIENT_ERRORS = {"CURSOR_INVALID", "CURSOR_EXPIRED", "COST_LIMIT_EXCEEDED", "FORBIDDEN"}

IDS = [id for id in os.environ.get("TANDEM_IDS", "").split(",") if id] or ["product_00000000000000000000000000"]

TEXT = st.text(max_size=20)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str)
INSTANTS = st.datetimes().map(lambda at: at.isoformat() + "Z")
DAYS = st.dates().map(lambda day: day.isoformat())


def string(strategy):
    """The values of a scalar that is written as a text, and now and then any other text."""
    return (strategy | strategy | strategy | TEXT).map(nodes.String)


schemathesis.graphql.scalar("ID", (st.sampled_from(IDS) | st.sampled_from(IDS) | TEXT).map(nodes.String))
schemathesis.graphql.scalar("BigInt", string(st.integers(-(2**64), 2**64).map(str)))
schemathesis.graphql.scalar("Decimal", string(DECIMALS))
schemathesis.graphql.scalar("DateTime", string(INSTANTS))
schemathesis.graphql.scalar("Date", string(DAYS))
schemathesis.graphql.scalar("UUID", string(st.uuids().map(str)))
schemathesis.graphql.scalar(
    "JSON",
    TEXT.map(nodes.String)
    | st.integers(-(2**31), 2**31 - 1).map(nodes.Int)
    | st.booleans().map(nodes.Boolean)
    | st.just(nodes.Null)
    | st.lists(TEXT.map(nodes.String), max_size=3).map(nodes.List),
)


@schemathesis.hook
def after_call(context, case, response):
    """Marks the errors with codes of Tandem's own as what they are."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return
    errors = body.get("errors") if isinstance(body, dict) else None
    if errors and all(error.get("extensions", {}).get("code") in CLIENT_ERRORS for error in errors):
        for error in errors:
            error["extensions"]["classification"] = "ValidationError"
        response.content = json.dumps(body).encode()
