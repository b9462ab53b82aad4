"""What a soak can be asked for on the command line, and what is refused before a model is made or a host touched."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.config_problems import MOST, PERCENT, POSITIVE, Range, out_of_range, too_many_digits
from hosts.errors import ConfigError
from hosts.soak_plan import MS_PER_MIN, is_a_list
from hosts.suggest import did_you_mean
from workers.source import SYNTHETIC
from workers.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.config import Config

MINUTES = Range(0, MOST, above=True)
OTHERS = ("bench.json", "plane.json", "profile.json", "run.json", "runs")  # by which other measurements are known
MOST_ORDERS = 1_000_000  # all of them stand in the record


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the soak's command line."""
    parser = argparse.ArgumentParser(prog="python -m hosts.soak", description=description)
    parser.add_argument(
        "--config", type=Path, default=Path("config/soak.yaml"), help="the experiment's config (config/soak.yaml)"
    )
    parser.add_argument("--model", required=True, help="a model of the config")
    parser.add_argument("--strategy", required=True, help=f"one of {', '.join(STRATEGIES)}; the config's or not")
    parser.add_argument(
        "--minutes",
        type=float,
        default=10.0,
        help="how long orders are given, above 0 (10); the summary has a slope of memory from some minutes on",
    )
    parser.add_argument(
        "--every-ms", type=float, default=100.0, help="time between two orders to switch, above 0 ms (100)"
    )
    parser.add_argument(
        "--points",
        default="pareto",
        help="the points that are ordered: pareto (the default: those that send fewer bytes than every earlier one), "
        "all, or at least two names or indices with commas between them. Those that switch-hot keeps ready are all of "
        "these, or those of models.NAME.hot where the config has that key",
    )
    parser.add_argument(
        "--cpu", type=float, default=100.0, help="CPU availability of the edge, above 0 to 100 %% (100)"
    )
    parser.add_argument("--mem", type=float, default=100.0, help="the same of its memory (100)")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for logs, record and summary (soaks/MODEL/STRATEGY/cpuPCT-memPCT in the config's results)",
    )
    return parser


def refuse_unfit(config: Config, arguments: argparse.Namespace) -> None:
    """Refuse what cannot be soaked, as far as config and command line tell.

    Raises:
        ConfigError: a line for each problem, with what is allowed.
    """
    found = [*_config_problems(config, arguments), *_option_problems(arguments)]
    if found:
        raise ConfigError("\n".join(found))


def _config_problems(config: Config, arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.model not in config.models:
        yield (
            f"{arguments.config}: models: no model is called {arguments.model!r}; add it there, as config/README.md "
            f"explains{did_you_mean(arguments.model, config.models)}"
        )
    if config.source != SYNTHETIC:
        yield (
            f"{arguments.config}: source: {config.source!r}: a soak compares with frames that it can make again; "
            f"write {SYNTHETIC}"
        )


def _option_problems(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.strategy not in STRATEGIES:
        yield f"--strategy: no strategy is called {arguments.strategy!r}{did_you_mean(arguments.strategy, STRATEGIES)}"
    yield from out_of_range("--minutes", [arguments.minutes], MINUTES)
    yield from out_of_range("--every-ms", [arguments.every_ms], POSITIVE)
    if MINUTES.holds(arguments.minutes) and POSITIVE.holds(arguments.every_ms):
        yield from _pace_problems(arguments.minutes, arguments.every_ms)
    if is_a_list(arguments.points) and not all(name.strip() for name in arguments.points.split(",")):
        yield f"--points: {arguments.points!r} leaves a name out; write pareto, all, or names or indices with commas"
    for option, percent in (("--cpu", arguments.cpu), ("--mem", arguments.mem)):
        yield from out_of_range(option, [percent], PERCENT)
        yield from too_many_digits(option, [percent])
    yield from _folder_problems(arguments.out)


def _pace_problems(minutes: float, every_ms: float) -> Iterator[str]:
    all_ms = minutes * MS_PER_MIN
    if every_ms > all_ms:
        yield f"--every-ms: must be no longer than the soak, {all_ms:g} ms by --minutes, found {every_ms:g}"
    elif all_ms / every_ms > MOST_ORDERS:
        yield (
            f"--every-ms: must be at least {all_ms / MOST_ORDERS:g} with --minutes {minutes:g}, as a soak gives "
            f"{MOST_ORDERS} orders at most, found {every_ms:g}"
        )


def _folder_problems(out: Path) -> Iterator[str]:
    nearest = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not nearest.is_dir():
        yield f"--out: {nearest} is a file; give a folder"
    elif other := next((name for name in OTHERS if (out / name).exists()), None):
        yield f"--out: {out} is the folder of something else that was measured ({other}); give one of the soak's own"
