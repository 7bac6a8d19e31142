"""What a client keeps of an algorithm between rounds: a file a round, so that a round can be repeated.

A repeated or resumed round begins with what was kept before it. On a site the files lie in its
state folder, in simulation in the run's; they never leave the machine.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from calyx.model.weights import Weights, load_weights, save_weights

_LABEL = 120  # letters; a file's name may have 255
KEPT = 16  # rounds, beside the best one: a run may be resumed from a few rounds before its last


@dataclass(frozen=True)
class Store:
    """The files of one client in one run."""

    folder: Path
    run: str  # Calyx's own id
    client: str

    def before(self, number: int) -> Weights:
        """What was kept of the last round before `number`; nothing if there is none."""
        earlier = [path for n, path in self._files().items() if n < number]
        return load_weights(earlier[-1]) if earlier else {}

    def until(self, number: int) -> Weights:
        """What belongs to the model of round `number`, as `round_of` says; nothing if there is none."""
        kept = self.round_of(number)
        return {} if kept is None else load_weights(self._files()[kept])

    def round_of(self, number: int) -> int | None:
        """The round whose file belongs to the model of round `number`: the last kept until then.

        Where that was dropped already it is the oldest that is left, and None if there is none.
        """
        rounds = list(self._files())
        return next(iter([n for n in reversed(rounds) if n <= number] or rounds[:1]), None)

    def write(self, number: int, kept: Weights, best: int = 0) -> None:
        """Keep this of round `number`, and drop what is too old.

        What belongs to the model of round `best` is kept however old it is: it may be released. 0 is
        none.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        save_weights(self.folder / f"{self._head}{number:06d}.safetensors", kept)
        files = self._files()
        needed = [n for n in files if n <= best][-1:] + list(files)[-KEPT:]
        for old in files.keys() - set(needed):
            files[old].unlink(missing_ok=True)

    @property
    def _head(self) -> str:
        run = hashlib.sha256(self.run.encode()).hexdigest()[:16]  # a server chose its letters
        return f"{file_label(self.client)}-{run}-"

    def _files(self) -> dict[int, Path]:
        """Files by round, oldest first."""
        paths = self.folder.glob(f"{self._head}*.safetensors")
        numbered = [(path.stem.removeprefix(self._head), path) for path in paths]
        # By number: the name of a round beyond 999,999 stands before that of an earlier one.
        return dict(sorted((int(number), path) for number, path in numbered if number.isdecimal()))


def file_label(client: str) -> str:
    """A client's name as the beginning of a file's: whatever its letters are, and however many."""
    quoted = quote(client, safe="")
    if len(quoted) <= _LABEL:
        return quoted
    return f"{quoted[:_LABEL]}~{hashlib.sha256(client.encode()).hexdigest()[:16]}"
