"""The demo's own parts; that all of it works together is shown by `make demo ONCE=1`."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from chainflow import demo
from chainflow.demo import parts, services
from chainflow.errors import InputError, WorkError
from chainflow.lag import Lag
from chainflow.testing import anvil


def row(watermark: int | None, state: str) -> Lag:
    """A chain so far."""
    now = datetime.now(UTC)
    return Lag(
        chain="ethereum",
        family="evm",
        env="devnet",
        owner="nobody",
        status="live",
        state=state,
        head=100,
        finalized=90,
        target=90,
        watermark=watermark,
        lag_blocks=None,
        backlog_blocks=None,
        lag_seconds=None,
        blocks_per_minute=10.0,
        sync_blocks_per_minute=0.0,
        catch_up_seconds=None,
        oldest_gap_start=None,
        last_merged_at=now,
        observed_at=now,
        error=None,
    )


def test_service_that_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    """The error names the part, its exit code, its log, and what it said last."""
    command = [sys.executable, "-c", "print('so long'); raise SystemExit(3)"]
    with services.started("part", command, logs=tmp_path, environment={}) as part:
        part.process.wait(30)
        with pytest.raises(WorkError, match="part ended with 3") as told:
            part.require_running()
    assert str(tmp_path / "part.log") in str(told.value)
    assert str(told.value).endswith("so long")


def test_service_is_stopped_with_its_children_on_an_error(tmp_path: Path) -> None:
    """Whatever happens inside, the process group is gone afterwards."""
    script = (
        "import subprocess, time; subprocess.Popen(['sleep', '60']); print('up'); time.sleep(60)"
    )
    command = [sys.executable, "-uc", script]
    parts = []

    def fail() -> None:
        with services.started("part", command, logs=tmp_path, environment={}) as part:
            parts.append(part)
            while "up" not in part.log.read_text():
                part.require_running()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert parts[0].process.returncode == -signal.SIGTERM


def test_service_does_not_inherit_the_shells_airflow_or_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables of another Airflow or chainflow stay outside; those of the demo go in."""
    monkeypatch.setenv("AIRFLOW_HOME", "elsewhere")
    monkeypatch.setenv("CHAINFLOW_DATABASE_URL", "elsewhere")
    given = {"CHAINFLOW_REGISTRY": "here"}
    with services.started("part", ["env"], logs=tmp_path, environment=given) as part:
        part.process.wait(30)
    seen = part.log.read_text()
    assert "elsewhere" not in seen
    assert "CHAINFLOW_REGISTRY=here" in seen
    assert "no_proxy=127.0.0.1" in seen


def test_demo_runs_once_in_a_folder(tmp_path: Path) -> None:
    """A second demo in the same folder is refused, and one after the first is not."""
    for _ in range(2):
        with (
            demo._locked(tmp_path),
            pytest.raises(InputError, match="a demo is running"),
            demo._locked(tmp_path),
        ):
            pass


@pytest.mark.parametrize(
    ("watermark", "goal", "state", "arrived"),
    [
        (None, 90, "syncing", False),
        (None, None, "synced", False),
        (89, 90, "synced", False),
        (90, 90, "synced", True),
        (95, 90, "syncing", False),
        (95, 90, "synced", True),
    ],
)
def test_demo_knows_when_a_chain_has_arrived(
    watermark: int | None, goal: int | None, state: str, arrived: bool
) -> None:
    """Its first target is merged, and the board calls it synced: both, not one of them."""
    assert demo._arrived(row(watermark, state), goal) == arrived


def test_demo_finds_the_dags_of_its_checkout() -> None:
    """The DAG files are those of the repository."""
    assert (demo._dags() / "generate.py").is_file()


def test_demo_goes_on_without_an_anvil_that_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is found and ends at once: the demo's layer has no chain of it, and that is told."""
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setattr(anvil, "find", lambda: broken)
    with ExitStack() as stack:
        layer = yaml.safe_load(parts.own_layer(stack, tmp_path).read_text())
    assert layer["chains"] == {}
    (told,) = caplog.messages
    assert told.startswith("the demo goes on without anvil reason=")
    assert "no such library" in told
