"""What the gateway says of itself: /openapi.json for programs and /docs for people, made from the schema.

Every column with its kind, range, categories and unit. Names are whoever's who made the schema: they are
data in JSON, and escaped in the page, which loads nothing and runs nothing.
"""

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from typing import Any

from pydantic_core import to_json

from calyx.data.schema import Column, Schema
from calyx.releases.reading import Release
from calyx.serving.config import ServeConfig
from calyx.words.digits import plain

Tree = dict[str, Any]
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;"
    "border-bottom:1px solid #ccc;vertical-align:top}code,pre{background:#f4f4f4;padding:.1rem .3rem}"
    "pre{padding:.8rem;overflow:auto}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; frame-ancestors 'none'"
_UNKNOWN = {"other": "taken as none of them", "missing": "taken as missing", "refuse": "refused"}
_MOST_LISTED = 1_000  # columns in the page; all are in openapi.json


@dataclass(frozen=True)
class Description:
    """The two, as they are sent."""

    openapi: bytes
    page: bytes


def describe(release: Release, schema: Schema, cfg: ServeConfig) -> Description:
    """What is said of one release, served as `cfg` has it."""
    name, version = release.manifest.name, release.manifest.version
    openapi = _openapi(f"{name}, version {version}", version, schema, cfg)
    return Description(to_json(openapi), _page(f"{name}, version {version}", schema, cfg).encode())


def _openapi(title: str, version: int, schema: Schema, cfg: ServeConfig) -> Tree:
    rows = {
        "type": "array",
        "minItems": 1,
        "maxItems": cfg.batch_rows,
        "items": {"$ref": "#/components/schemas/Row"},
    }
    body = _object({"rows": rows})
    predict = {
        "operationId": "predict",
        "summary": f"Predict at most {cfg.batch_rows} rows.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": body},
                "text/csv": {"schema": {"type": "string"}},
            },
        },
        "responses": _responses("Predictions", 400, 401, 403, 413, 415, 422, 429, 503),
    }
    paths = {
        "/v1/predict": {"post": predict},
        "/v1/model": {"get": _get("model", "The release's card.", "Card", 401, 403, 429, 503)},
        "/metrics": {"get": _get("metrics", "Counts for Prometheus.", None, 401, 403, 429, 503)},
        "/healthz": {"get": _get("health", "Whether the process lives.", None) | {"security": []}},
        "/readyz": {"get": _get("ready", "Whether it answers.", None, 503) | {"security": []}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": str(version)},
        "paths": paths,
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Row": _object({column.name: _cell(column) for column in schema.columns}),
                "Predictions": _predictions(schema, cfg),
                "Card": {"type": "object"},
                "Problem": _problem(),
            },
        },
    }


def _get(name: str, summary: str, answer: str | None, *refusals: int) -> Tree:
    return {"operationId": name, "summary": summary, "responses": _responses(answer, *refusals)}


def _responses(answer: str | None, *refusals: int) -> Tree:
    good: Tree = {"description": "Answered."}
    if answer is not None:
        schema = {"$ref": f"#/components/schemas/{answer}"}
        good["content"] = {"application/json": {"schema": schema}}
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    refused = {"description": "Refused.", "content": {"application/problem+json": problem}}
    return {"200": good} | {str(status): refused for status in refusals}


def _object(properties: Tree, optional: tuple[str, ...] = ()) -> Tree:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _cell(column: Column) -> Tree:
    """What one cell may be, as JSON Schema."""
    cell: Tree = {"type": ["number", "null"] if column.may_be_missing else "number"}
    if column.words:
        cell["type"] = ["string", *(["null"] if column.may_be_missing else [])]
    if column.categories and column.unknown == "refuse":
        allowed: list[object] = list(column.words or column.categories)
        cell["enum"] = allowed + ([None] if column.may_be_missing else [])
    if column.low is not None and not column.missing_codes:
        cell["minimum"] = column.low
    if column.high is not None and not column.missing_codes:
        cell["maximum"] = column.high
    if column.kind == "text":
        cell["multipleOf"] = 1
    cell["description"] = "; ".join(part for part in _row_of(column)[1:] if part)
    return cell


def _predictions(schema: Schema, cfg: ServeConfig) -> Tree:
    answer: Tree = {}
    if schema.target is not None:
        answer["value"] = {"type": ["number", "null"], "description": schema.target.name}
    if schema.target is None and cfg.answer != "probabilities":
        answer["label"] = {"enum": [*schema.classes, None]}
    if schema.target is None and cfg.answer != "label":
        share = {"type": "number", "minimum": 0, "maximum": 1}
        shares = _object(dict.fromkeys(schema.classes, share))
        answer["probabilities"] = {"anyOf": [shares, {"type": "null"}]}
    names = {"type": "array", "items": {"type": "string"}}
    answer["unusual"] = names
    if cfg.coverage is not None and schema.target is None:
        answer["set"] = names | {"type": ["array", "null"]}
    elif cfg.coverage is not None:
        ends = {"type": "number"}
        answer["interval"] = {"type": ["array", "null"], "prefixItems": [ends, ends]}
    release = {"name": {"type": "string"}, "version": {"type": "integer"}}
    release["digest"] = {"type": "string"}
    rows = {"type": "array", "items": _object(answer)}
    return _object({"release": _object(release), "predictions": rows})


def _problem() -> Tree:
    text = {"type": "string"}
    properties: Tree = dict.fromkeys(("type", "title", "detail", "request"), text)
    cell = _object(
        {
            "row": {"type": ["integer", "null"]},
            "column": {"type": ["string", "null"]},
            "what": text,
        }
    )
    properties |= {
        "status": {"type": "integer"},
        "problems": {"type": "array", "items": cell},
        "more_problems": {"type": "integer"},
    }
    return _object(properties, ("problems", "more_problems"))


def _row_of(column: Column) -> tuple[str, str, str, str]:
    """A column for a person: name, kind with unit, what is allowed, and what else there is to know."""
    kind = f"{column.kind}, {column.unit}" if column.unit else column.kind
    low = "" if column.low is None else f"from {plain(column.low)}"
    high = "" if column.high is None else f"to {plain(column.high)}"
    allowed = " ".join(filter(None, (low, high)))
    notes = ["may be missing (null)"] if column.may_be_missing else []
    if column.missing_codes:
        notes.append(f"missing is also {', '.join(map(plain, column.missing_codes))}")
    if column.categories:
        allowed = ", ".join(column.words or map(plain, column.categories))
        notes.append(f"another category is {_UNKNOWN[column.unknown]}")
    return column.name, kind, allowed, "; ".join(notes)


def _page(title: str, schema: Schema, cfg: ServeConfig) -> str:
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _row_of(column)) + "</tr>"
        for column in schema.columns[:_MOST_LISTED]
    )
    left = len(schema.columns) - _MOST_LISTED
    more = f"<p>And {left} more columns: see /openapi.json.</p>" if left > 0 else ""
    what = f"one of {', '.join(schema.classes)}"
    if schema.target is not None:
        what = f"the number {schema.target.name}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p>Predicts {escape(what)}. <code>POST /v1/predict</code> takes at most {cfg.batch_rows} rows and
{cfg.body_bytes} bytes, as JSON or, with <code>content-type: text/csv</code>, as CSV whose first line names
the columns. Every column must be there, and no other.</p>
<pre>{{"rows": [{{COLUMN: VALUE, …}}, …]}}</pre>
<p>Send <code>authorization: Bearer KEY</code>. A refusal is <code>application/problem+json</code> with the
request's id; rows are counted from 0. A value far from what the training saw is answered, and its column
is named in <code>unusual</code>.</p>
<table><thead><tr><th>column</th><th>kind</th><th>allowed</th><th>besides</th></tr></thead>
<tbody>
{rows}
</tbody></table>
{more}
</body></html>
"""
