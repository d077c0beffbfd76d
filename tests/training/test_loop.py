"""The training loop: learns, goes on where it stopped, refuses what does not fit, and reads ahead."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from plateloop.errors import UserError
from plateloop.networks.assigner import Truth
from plateloop.training.batch_tensors import mapped, tensors_of
from plateloop.training.loop import LoopConfig, fit
from plateloop.training.prefetch import Prefetch
from plateloop.training.stepping import Stepper, make_optimizer, restore, set_rate

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    while True:
        x = torch.randn(16, 4, generator=generator)
        yield x, x.sum(1, keepdim=True)


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    error = (model(batch[0]) - batch[1]).square().mean()
    return {"error": error, "_twice": 2 * error}


def network(outputs: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, outputs))


def config(**changes: object) -> LoopConfig:
    settings = {"steps": 200, "batch": 16, "learning_rate": 1e-2, "ema_decay": 0.9, **changes}
    return LoopConfig.model_validate(settings)


def test_learns_and_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(network(), config(), batches(), loss, tmp_path, CPU, meaning=("sum",))
    step = torch.load(tmp_path / "last.pt", weights_only=True)["step"]
    assert step == 200
    average = fit(network(), config(steps=300), batches(), loss, tmp_path, CPU, meaning=("sum",))
    assert "goes on from step 200" in capsys.readouterr().out
    assert loss(average, next(batches()))["error"] < 0.05
    rows = (tmp_path / "curve.csv").read_text().splitlines()
    assert len(rows) == 4 and rows[0].endswith("error,_twice")
    kept = torch.load(tmp_path / "average.pt", weights_only=True)
    assert kept["step"] == 300 and torch.equal(kept["average"]["0.weight"], average[0].weight)  # type: ignore[index]


def test_what_a_checkpoint_does_not_fit_is_named(tmp_path: Path) -> None:
    fit(network(), config(steps=2), batches(), loss, tmp_path, CPU, meaning=("AT", "BE"))
    with pytest.raises(UserError, match=r"lost \['BE'\], new \['CH'\].*--start-from"):
        fit(network(), config(), batches(), loss, tmp_path, CPU, meaning=("AT", "CH"))
    with pytest.raises(UserError, match=r"another order"):
        fit(network(), config(), batches(), loss, tmp_path, CPU, meaning=("BE", "AT"))
    with pytest.raises(UserError, match=r"2\.bias does not fit"):
        fit(network(2), config(), batches(), loss, tmp_path, CPU, meaning=("AT", "BE"))


def test_a_killed_run_has_lost_little(tmp_path: Path) -> None:
    limited = itertools.islice(batches(), 5)
    with pytest.raises(StopIteration):
        fit(network(), config(save_seconds=0), limited, loss, tmp_path, CPU)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 5


def test_reading_ahead_changes_nothing(tmp_path: Path) -> None:
    plain = fit(network(), config(steps=20), batches(), loss, tmp_path / "a", CPU)
    ahead = fit(network(), config(steps=20, prefetch=2), batches(), loss, tmp_path / "b", CPU)
    for one, other in zip(plain.parameters(), ahead.parameters(), strict=True):
        assert torch.equal(one, other)


def test_errors_of_the_thread_are_raised_where_the_batch_is_asked_for() -> None:
    def failing() -> Iterator[Tensor]:
        yield torch.zeros(1)
        raise UserError("no more")

    with Prefetch(failing(), CPU) as ahead:
        assert next(ahead) == 0
        with pytest.raises(UserError, match="no more"):
            next(ahead)


def test_an_optimizer_keeps_its_rate_tensor_when_it_is_restored() -> None:
    model = network()
    optimizer = make_optimizer(model, 1e-2, 0.0, CPU)
    stepper = Stepper(model, loss, optimizer, CPU, 10.0)
    first = float(stepper(next(batches()))["error"])
    rate = optimizer.param_groups[0]["lr"]
    restore(optimizer, optimizer.state_dict())
    set_rate(optimizer, 3e-2)
    assert optimizer.param_groups[0]["lr"] is rate and float(rate) == pytest.approx(3e-2)
    source = batches()
    for _ in range(100):
        last = float(stepper(next(source))["error"])
    assert last < 0.2 * first


def test_batches_are_walked_in_one_order() -> None:
    parts = [torch.full((1,), float(i)) for i in range(7)]
    batch = (parts[0], Truth(*parts[1:]))
    assert [float(t) for t in tensors_of(batch)] == list(range(7))
    doubled = mapped(batch, lambda tensor: 2 * tensor)
    assert isinstance(doubled[1], Truth) and [float(t) for t in tensors_of(doubled)] == list(range(0, 14, 2))
    with pytest.raises(TypeError, match="str"):
        list(tensors_of(("text",)))
