"""A site's file, as `calyx keys site NAME --task TASK` writes it: where all is, and the task's policy."""

import argparse
import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from calyx.cli.facts import say
from calyx.composing.compose import compose
from calyx.errors import ConfigError, UserError, printable
from calyx.files.outputs import show_path
from calyx.tasks.registry import load_class
from calyx.trust.bounded_http import is_address
from client.gate.bounds import shown as written
from client.gate.looseness import value_shown
from client.gate.order_keys import order_keys
from client.gate.templates import GUARDS, Template, template_of

PLACEHOLDER = "HOST:PORT"
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_HARDWARE = "{name: cpu, device: cpu, threads: 1, precision: float32, deterministic: true}"
# Words that some readers of YAML take for yes, no or nothing.
_ODD = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}


@lru_cache(maxsize=8)  # what is installed does not change while a program runs
def task_template(task: str, is_drawn: bool = False) -> Template:
    """The template of an installed task, around the defaults of its config. Raises UserError.

    `is_drawn`: of a federation whose runs may draw their cohorts, whatever the task's default.
    """
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    load_class("task", task)
    try:
        cfg = compose([f"task={task}"])
        values: Any = OmegaConf.to_container(cfg, resolve=True)
    except (HydraException, OmegaConfBaseException):
        raise ConfigError(
            f"The package of task={task} has no config task/{task}.yaml that can be composed, and so no "
            "defaults to bound; `calyx new` shows where it lies."
        ) from None
    return template_of(task, values, is_drawn)


def plan_file(options: argparse.Namespace) -> tuple[Path, bytes] | None:
    """NAME.yaml and what it holds, as `calyx keys site` was told; its relative paths begin in this folder.

    None where none is asked for, or one is there and stays. Raises UserError.
    """
    if options.task is None:
        for word, is_given in (("--server", options.server), ("--drawn", options.drawn)):
            if is_given:
                raise UserError(f"{word} is for the site's file, which --task TASK writes.")
        return None
    server, path = options.server or PLACEHOLDER, Path(f"{options.name}.yaml")
    if options.server is not None and not is_address(server):
        raise UserError(f"--server={printable(server)} is no HOST:PORT; ask the operator for it.")
    template = task_template(options.task, options.drawn)
    text = site_text(options.name, options.folder, template, server)
    if os.path.lexists(path):
        say(f"The site's file stays: {show_path(path)}.", "bold")
        return None
    return path, text.encode()


def site_text(name: str, keys: Path, template: Template, server: str) -> str:
    """The whole file; `keys` is the folder of the site's keys."""
    key, node = (_quote(str(keys / f"{name}.{end}")) for end in ("key", "node.key"))
    return "\n".join(
        [
            f"server: {server}",
            "authority: ca.crt",
            f"node_key: {node}",
            "manifest: manifest.json # the code that may run here; null: any that the operator has too",
            "client:",
            f"  name: {_quote(name)}",
            _data_line(template.task),
            f"  hardware: {_HARDWARE}",
            "  state_dir: state # this site's ledger and log; keep it",
            f"  identity: {key}",
            "  roster: roster.json",
            "  policy: # what this site asks of every order, whatever the server says",
            *_policy(template),
            "",
        ]
    )


def _data_line(task: str) -> str:
    if task == "csv":
        return "  data_dir: data # its rows and schema.yaml"
    return "  data_dir: data # its rows; null where the task brings them"


def _policy(template: Template) -> Iterator[str]:
    for key, value in vars(template.policy).items():
        if key == "bounds":
            yield f"    bounds: # {GUARDS[key]}"
            yield from (f"      {line}" for line in _bounds(template))
        else:
            yield f"    {key}: {value_shown(value)} # {GUARDS[key]}"


def _bounds(template: Template) -> Iterator[str]:
    own = ", ".join(sorted(_own_keys(template.task)))
    for key, bound in template.bounds.items():
        said = GUARDS.get(key, "")
        if key == "task.*" and own:
            said = f"of its own keys ({own}): bound what decides the model's size"
        yield f"{key}: {written(bound)}{f' # {said}' if said else ''}"


def _own_keys(task: str) -> set[str]:
    """A package's own keys, of which a template knows no more than that they are there."""
    if load_class("task", task).__module__.startswith("calyx."):
        return set()
    usual = {"task.name", "task.w_max", "task.hidden", "task.faults", "task.faults.{}"}
    return {key for key in order_keys((task,)) if key.startswith("task.") and key not in usual}


def _quote(word: str) -> str:
    """A word of YAML, in quotes where a reader could take it for another thing."""
    is_plain = _WORD.fullmatch(word) and word.lower() not in _ODD
    return word if is_plain else json.dumps(word, ensure_ascii=False)
