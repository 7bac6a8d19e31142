"""NVFlare's simulator on the workload: its FedAvg recipe and the client API, two threads of sites.

It simulates as many sites as a cohort has, each playing this round's client of its place: a hundred sites,
of which ten are asked, would take no less.
"""

import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks.engine.loop import evaluate, train
from benchmarks.engine.workload import Outcome, load_model, make_model, read_workload

THREADS = 2


def serve(source: str, moments: str) -> None:
    """A site: evaluate the model that came, train it, send it back, until the end."""
    import nvflare.client as flare

    torch.set_num_threads(1)
    work = read_workload(Path(source))
    model, x, y = make_model(work.setting.model), torch.from_numpy(work.x), torch.from_numpy(work.y)
    flare.init()
    place = int(flare.get_site_name().rpartition("-")[2]) - 1
    while flare.is_running():
        came = flare.receive()
        if came is None:
            break
        number = came.current_round
        if place == 0:
            with Path(moments).open("a") as file:
                file.write(f"{time.time()}\n")
        own = work.clients[int(work.cohorts[number][place])]
        model.load_state_dict({n: torch.as_tensor(v) for n, v in came.params.items()})
        loss, accuracy = evaluate(model, x[own.validation], y[own.validation])
        order = work.orders[number][place]
        train(model, x[own.train], y[own.train], order, work.setting.batch_size)
        flare.send(
            flare.FLModel(
                params={name: value.clone() for name, value in model.state_dict().items()},
                metrics={"accuracy": accuracy, "loss": loss},
                meta={"NUM_STEPS_CURRENT_ROUND": len(own.train)},
            )
        )


def run(source: str) -> Outcome:
    """All rounds of the workload in the file `source`."""
    from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe
    from nvflare.recipe import SimEnv

    work = read_workload(Path(source))
    with tempfile.TemporaryDirectory() as folder:
        moments, first = Path(folder) / "moments", Path(folder) / "first.pt"
        torch.save(load_model(work.setting.model, work.initial).state_dict(), first)
        recipe = FedAvgRecipe(
            name="workload",
            model={
                "class_path": "benchmarks.engine.workload.make_model",
                "args": {"kind": work.setting.model},
            },
            initial_ckpt=str(first),
            min_clients=work.setting.cohort_size,
            num_rounds=work.setting.rounds,
            train_script=__file__,
            train_args=f"serve {source} {moments}",
            save_filename="last.pt",
        )
        sites = SimEnv(
            num_clients=work.setting.cohort_size, num_threads=THREADS, workspace_root=folder
        )
        recipe.execute(sites)
        begun = [float(line) for line in moments.read_text().split()]
        (last,) = list(Path(folder).rglob("FL_global_model.pt"))[:1]
        state = torch.load(last, weights_only=True)["model"]
    seconds = [after - before for before, after in pairwise([*begun, time.time()])]
    return Outcome(tuple(seconds), {name: np.asarray(value) for name, value in state.items()})


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        run(sys.argv[1]).save(Path(sys.argv[2]))
