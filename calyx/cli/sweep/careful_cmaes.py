"""Optuna's CMA-ES sampler on a journal that somebody else may have written: nothing in it is called.

Optuna keeps the state of CMA-ES in a study as a pickle, which can name any function of this machine
when it is read. Here it may name what such a state is made of, and nothing else.
"""

import io
import pickle
from typing import Any

from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial
from typing_extensions import override

from calyx.errors import UserError

_STATE = "cma:optimizer"
_MADE_OF = {  # module (of NumPy 1, of NumPy 2) → names
    "cmaes._cma": {"CMA"},
    "numpy": {"ndarray", "dtype"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.random._pickle": {"__randomstate_ctor", "__bit_generator_ctor"},
    "numpy.random._mt19937": {"MT19937"},
}


class _State(pickle.Unpickler):
    """Reads the state of CMA-ES. Raises UnpicklingError for anything else."""

    @override
    def find_class(self, module: str, name: str) -> Any:
        if name in _MADE_OF.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of it")


class CarefulCmaEs(CmaEsSampler):
    """Optuna's sampler, whose state is read with care."""

    @override
    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        for trial in reversed(completed_trials):
            parts = [key for key in trial.system_attrs if key.startswith(_STATE)]
            if parts:
                text = "".join(str(trial.system_attrs[f"{_STATE}:{i}"]) for i in range(len(parts)))
                return read_state(bytes.fromhex(text), trial.number)
        return None


def read_state(data: bytes, number: int) -> Any:  # noqa: ANN401 - CMA
    """The state of CMA-ES that trial `number` holds. Raises UserError where it is anything else."""
    try:
        return _State(io.BytesIO(data)).load()
    except Exception as error:  # noqa: BLE001 - a pickle can raise whatever it names
        raise UserError(
            f"The state of CMA-ES in trial {number} of the study is none ({error}): it is damaged, or made "
            "by somebody else. Begin another hydra.sweeper.study_name, or use hydra.sweeper.sampler=tpe."
        ) from None
