"""shakespeare: who speaks is a client; the next character from the ten before it.

Tiny Shakespeare, 40,000 lines of the plays, in the public domain, as Karpathy collected them for
char-rnn. Downloaded from there, or read from `data_dir`. Roles as clients: Caldas et al. 2018,
LEAF, arXiv:1812.01097, which uses the complete works.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import Field

from calyx.config.section import config, parse
from calyx.data.download import Source, fetch, read_checked
from calyx.data.schema import Column, Schema, Table
from calyx.tasks.task import refuse_stranger
from calyx.vector.weighing import TaskSection

if TYPE_CHECKING:
    from torch import nn

URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/"
    "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/"
)
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
CHARACTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CONTEXT = 10
_FEWEST = 2000
# The roles of at least so many characters, and how many: clients have names before any file is
# read, and the file's hash keeps this true.
_ROLES = """
angelo:12368 antigonus:4143 ariel:2503 aufidius:10647 autolycus:12084 baptista:6605 benvolio:6187
bianca:2443 biondello:4166 bishop-of-carlisle:2706 brutus:8384 buckingham:14935 camillo:11073
capulet:11192 catesby:2293 clarence:10103 claudio:4140 clifford:6004 clown:8053 cominius:10538
coriolanus:25545 derby:2414 duchess:2569 duchess-of-york:9247 duke-of-aumerle:3565
duke-of-york:11794 duke-vincentio:34099 edward:5778 elbow:3101 escalus:7205 first-citizen:3980
first-gentleman:2072 first-murderer:2221 first-senator:3208 florizel:7329 friar-laurence:14624
gardener:2216 gloucester:37634 gonzalo:3757 gremio:6838 grumio:7429 hastings:6726
henry-bolingbroke:16919 hermione:8124 hortensio:8199 isabella:15763 john-of-gaunt:8209
juliet:22632 katharina:8745 king-edward-iv:15596 king-henry-vi:15393 king-lewis-xi:2853
king-richard-ii:32142 king-richard-iii:17247 lady-anne:6378 lady-capulet:4627 leontes:25569
lord:6846 lucentio:7395 lucio:11590 marcius:8643 mariana:2404 menenius:22532 mercutio:10983
messenger:4495 miranda:2691 montague:3080 northumberland:7193 nurse:11187 paris:2903 paulina:12509
perdita:4446 petruchio:23394 polixenes:10576 pompey:6731 prince:3335 prince-edward:3564
prospero:12880 provost:5652 queen:4860 queen-elizabeth:13208 queen-margaret:21643 richard:6795
richmond:5926 rivers:2506 romeo:24507 sebastian:2234 second-murderer:2400 servant:3999
shepherd:5376 sicinius:10096 sly:2644 third-citizen:3663 third-gentleman:3219
third-servingman:2037 thomas-mowbray:5562 tranio:12011 volumnia:12703 warwick:18531 york:8963
"""
ROLES = {name: int(said) for name, said in (entry.split(":") for entry in _ROLES.split())}


@config
class ShakespeareConfig(TaskSection):
    """The section `task`."""

    # Roles that speak less are left out: 36 have 10,000 characters, 100 have 2,000.
    min_characters: Annotated[int, Field(ge=_FEWEST, le=max(ROLES.values()))]


class Shakespeare:
    """65 classes, the characters; ten inputs, the numbers of the characters before."""

    name = "shakespeare"
    section = ShakespeareConfig
    schema = Schema(
        columns=tuple(
            Column(f"back_{back}", "text", low=0, high=len(CHARACTERS) - 1)
            for back in range(CONTEXT, 0, -1)
        ),
        classes=tuple({"\n": "newline", " ": "space"}.get(c, c) for c in CHARACTERS),
    )

    def __init__(self, section: Mapping[str, Any]) -> None:
        cfg = parse(ShakespeareConfig, section, "task")
        self.w_max = cfg.w_max
        self.clients = tuple(sorted(k for k, n in ROLES.items() if n >= cfg.min_characters))

    def check_client(self, client: str, data_dir: Path | None) -> None:
        """Raise ConfigError for a client that is none of this task's."""
        refuse_stranger(self.name, client, sorted(ROLES))

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """A row for each character that a role says; `seed` plays no part. Raises DataError, ConfigError."""
        self.check_client(client, data_dir)
        return read_speeches(_speeches(data_dir)[client])

    def model(self, num_inputs: int) -> "nn.Module":
        """Embedding of 8, 180 hidden units, a logit a character; 26,865 parameters."""
        from calyx.tasks.char_mlp import CharMlp

        return CharMlp(num_inputs, len(CHARACTERS))


@lru_cache(maxsize=1)
def _speeches(data_dir: Path | None) -> Mapping[str, list[str]]:
    source = Source("input.txt", SHA256, URL)
    task = "shakespeare"
    data = fetch(source, task) if data_dir is None else read_checked(source, data_dir, task)
    return speeches_by_role(data.decode("ascii"))


def speeches_by_role(text: str) -> dict[str, list[str]]:
    """What each role says, in the text's order: speeches stand apart by an empty line.

    The first line of a speech names its role. Names are lowered and hyphenated: "First Citizen"
    and "FIRST CITIZEN" are first-citizen. One of two plays' roles of one name is both.
    """
    speeches: dict[str, list[str]] = defaultdict(list)
    for block in text.strip().split("\n\n"):
        role, _, speech = block.strip("\n").partition("\n")
        speeches[re.sub(r"[^a-z0-9]+", "-", role.lower()).strip("-")].append(speech + "\n")
    return dict(speeches)


def read_speeches(speeches: list[str]) -> Table:
    """A row a character: the numbers of the ten before it, newlines before the first, and its own.

    The speech is the row's block: what is tested was not seen as context.
    """
    number = np.zeros(128, dtype=np.int64)
    number[[ord(c) for c in CHARACTERS]] = np.arange(len(CHARACTERS))
    said = [number[np.frombuffer(speech.encode("ascii"), np.uint8)] for speech in speeches]
    before = np.zeros(CONTEXT, dtype=np.int64)
    x = [sliding_window_view(np.concatenate([before, s[:-1]]), CONTEXT) for s in said]
    blocks = np.repeat(np.arange(len(said)), [len(s) for s in said])
    return Table(np.concatenate(x).astype(np.float64), np.concatenate(said), blocks)
