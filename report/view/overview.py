"""The top of the page: what ran, in a paragraph and a list of facts, and the verdicts on the claims."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report import text
from report.answers import needless
from report.asked import AskedGrid
from report.claims import State, Verdict
from report.preparation import ANCHOR
from report.provenance import machines, runtime_of
from report.scope import described
from report.summaries import good, models_of, strategies_of
from report.view.conditions import NAMES
from report.view.runs import coverage_counts
from workers.records import Status

if TYPE_CHECKING:
    import pandas as pd

    from report.load import Results
    from report.tables import Tables

_SHOWN = 8  # findings that a verdict shows unfolded
_DECIDING = 4  # findings of a claim in the table of all
_RUNS = ("downtime-all", "every run")
_PARTS = ("parts", "what the time went into")
_PREPARED = (ANCHOR, "what was prepared in advance")
_EVIDENCE: dict[str, tuple[tuple[str, str], ...]] = {
    "outage": (("timeline", "a run moment by moment"), _RUNS),
    "availability": (("cells", "every cell"), ("noise", "noise"), _PREPARED),
    "scenario-a": (_PREPARED, ("timeline", "a run moment by moment"), _RUNS),
    "b2-memory": (("memory", "Table I"), ("tradeoff", "downtime against memory")),
    "b2-speed": (_RUNS, _PARTS, ("differences", "where our figures differ")),
    "b1-between": (_RUNS, _PARTS, ("timeline", "a run moment by moment")),
    "served": (("frames", "frames"), ("timeline", "a run moment by moment")),
    "fps": (("frames", "frames"),),
    "infeasible": (("runs", "runs that do not count, and why"), ("cells", "every cell")),
    "best-by-speed": (("cut", "where to cut"),),
    "best-by-cpu": (("cut", "where to cut"),),
    "best-by-memory": (("cut", "where to cut"),),
}
_NEEDS = {
    "outage": "runs of pause-resume that are ok",
    "availability": "one strategy at two levels of CPU or memory",
    "scenario-a": "runs of switch-a1 or switch-a2 that are ok",
    "b2-memory": "runs of switch-b2 that measured their memory",
    "b2-speed": "runs of pause-resume and of switch-b2 at one condition",
    "b1-between": "runs of pause-resume, switch-b1 and switch-b2 at one condition",
    "served": "runs of switch-b1 or switch-b2 with a frame offered during their downtime",
    "fps": "switch-b1 or switch-b2 at two frame rates at one condition",
    "infeasible": "runs with 10 % of the memory or less",
    "best-by-speed": "a profile and two network speeds",
    "best-by-cpu": "profiles at two levels of CPU",
    "best-by-memory": "profiles at two levels of memory",
}


@dataclass(frozen=True)
class FindingView:
    """What was measured for a claim in one place, and what that says."""

    subject: str
    state: str
    tone: str
    figure: str
    condition: str
    why: str


@dataclass(frozen=True)
class VerdictView:
    """A verdict as the page shows it; `folded` says that its findings are many and come in a fold.

    A condition that all findings share stands once, with the verdict. `evidence` are places on the page (anchor, name).
    """

    key: str
    state: str
    tone: str
    claim: str
    paper: str
    where: str
    digest: str
    condition: str
    findings: list[FindingView]
    folded: bool
    evidence: tuple[tuple[str, str], ...]
    short: list[str]
    untested: str


def lead(results: Results, tables: Tables) -> str:
    """Return one paragraph on what ran."""
    runs = tables.downtime
    models, strategies = models_of(runs), strategies_of(runs)
    days = sorted({block.record.started_utc[:10] for block in results.blocks})
    if not days and not results.unreadable:
        return f"{text.plural(len(results.profiles), 'profile')} and no repartition: see Where to cut."
    if not days:
        return f"No block can be read ({text.plural(len(results.unreadable), 'block')} found): see Runs for why."
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return (
        f"{text.plural(len(runs), 'run')} of {text.listing(models)} by "
        f"{text.plural(len(strategies), 'strategy', 'strategies')}, each a change of the network's speed, measured on "
        f"{when}: {_ended(runs)}. Every figure below is computed from the raw logs, none is copied from the paper "
        "except where a column or mark says so."
    )


def _ended(runs: pd.DataFrame) -> str:
    """Count the runs by how they ended, ok ones first."""
    counts = Counter(runs["status"].tolist())
    words = {Status.INFEASIBLE: " (a result, too)"}
    return text.listing(
        [f"{count:,} {status.value}{words.get(status, '')}" for status in Status if (count := counts[status.value])]
    )


def facts(results: Results, tables: Tables) -> list[tuple[str, str]]:
    """Return what ran as a list of facts."""
    runs = tables.downtime
    records = [block.record for block in results.blocks]
    commits = sorted({f"{r.commit[:10]}{' + uncommitted changes' if r.dirty else ''}" for r in records})
    repeats = sorted({int(repeat) for repeat in runs["repeat"]})
    return [
        ("Models", ", ".join(models_of(runs))),
        ("Strategies", ", ".join(strategies_of(runs))),
        ("Network", ", ".join(text.speed(value) for value in _values(tables, "to_mbps"))),
        ("Frames per second", _listed(tables, "fps")),
        ("CPU availability", f"{_listed(tables, 'cpu_pct')} %"),
        ("Memory availability", f"{_listed(tables, 'mem_pct')} %"),
        ("Strategies compared at", described(tables.references)),
        ("Repeats", f"{len(repeats)}"),
        ("Blocks", f"{len(results.distinct)}"),
        ("Hosts", "; ".join(sorted({said for record in records if (said := machines(record.hosts))})) or text.NONE),
        ("Container runtime", ", ".join(sorted({runtime_of(record) or text.NONE for record in records}))),
        ("Commit", ", ".join(commits)),
        ("Config, of each model", ", ".join(sorted({record.config_hash[:12] for record in records}))),
    ]


def warnings(results: Results, tables: Tables) -> list[str]:
    """Return what a reader must know before reading any figure."""
    records = [block.record for block in results.blocks]
    found = []
    good_runs = good(tables.conditions)
    flagged = good_runs["out_of_tolerance"].dropna()
    if len(flagged):
        names = dict.fromkeys(name for row in flagged for name in row.split(", "))
        found.append(
            f"{len(flagged)} of {text.plural(len(good_runs), 'run')} that are ok ran under conditions out of "
            f"tolerance ({text.listing([NAMES[name][0] for name in names])}): see Trust."
        )
    found += _gaps(results, tables)
    found += needless(tables)
    if len({record.protocol_version for record in records}) > 1:
        found.append("The blocks were measured by more than one version of the protocol; their figures are pooled.")
    if any(record.dirty for record in records):
        found.append("Some blocks were measured with uncommitted changes: their code cannot be had again.")
    if len({record.commit for record in records}) > 1:
        found.append("The blocks were measured by more than one commit; their figures are pooled.")
    configs = {(record.model, record.config_hash) for record in records}  # a hash covers one model's measurement
    if len(configs) > len({model for model, _ in configs}):
        found.append("The blocks were measured with more than one config; their figures are pooled.")
    if any(of_host.get("free_page_reporting") is True for record in records for of_host in record.hosts.values()):
        found.append(
            "Hosts are virtual machines that give memory back to their hypervisor when nobody has used it for two "
            "seconds (free page reporting); it is slow to get again. New processes pay for that when reading weights "
            "into private memory, and so does memory stress while it is set; a restart, which takes memory again at "
            "once, does not."
        )
    if AskedGrid.from_config(results.config) is None:
        named = "There is no config.json" if results.config is None else "config.json names no grid"
        trouble = text.cut(results.config_trouble or named)
        found.append(f"{trouble}: what was asked for is unknown, so nothing can be called missing.")
        if results.unreadable:
            found.append(f"{text.plural(len(results.unreadable), 'block')} cannot be read: see Runs.")
    lost = len(results.unreadable_profiles) + int((tables.profiles["status"] == Status.INVALID.value).sum())
    if lost:
        found.append(f"{text.plural(lost, 'profile')} cannot be used: see Where to cut.")
    return found


def _gaps(results: Results, tables: Tables) -> list[str]:
    """Say which blocks of the asked grid have no numbers or not all, and which were refused."""
    found = []
    counts = coverage_counts(results, tables)
    lacking = {state: count for state, count in counts.items() if state != "ok"}
    if lacking:
        said = text.listing([f"{count} {state}" for state, count in lacking.items()])
        asked = text.plural(sum(counts.values()), "block")
        found.append(f"Of {asked} that the config asks for {said}: see Runs.")
    refused = [block for block in results.unreadable if block.other_version]
    if refused:
        found.append(f"{text.plural(len(refused), 'block')} of another schema version left out: see Runs.")
    return found


def verdict_views(verdicts: list[Verdict], models: list[str]) -> list[VerdictView]:
    """Return the verdicts as the page shows them; each says for which of the models nothing decides it."""
    return [_verdict_view(verdict, models) for verdict in verdicts]


def _verdict_view(verdict: Verdict, models: list[str]) -> VerdictView:
    tested = {finding.model for finding in verdict.findings}
    untested = [model for model in models if model not in tested] if tested else []
    conditions = {found.condition for found in verdict.findings}
    shared = conditions.pop() if len(conditions) == 1 else ""
    return VerdictView(
        key=verdict.key,
        state=verdict.state.value,
        tone=_tone(verdict.state),
        claim=verdict.claim.text,
        paper=verdict.claim.paper,
        where=verdict.claim.where,
        digest=_digest(verdict),
        condition=shared,
        findings=[
            FindingView(
                found.subject,
                found.state.value,
                _tone(found.state),
                found.figure,
                "" if shared else found.condition,
                found.why,
            )
            for found in verdict.findings
        ],
        folded=len(verdict.findings) > _SHOWN,
        evidence=_EVIDENCE[verdict.key] if verdict.findings else (),
        short=[*_short(verdict), *(f"{model}: not tested" for model in untested)],
        untested=f"Not tested for {text.listing(untested)}." if untested else "",
    )


def tally(verdicts: list[Verdict]) -> str:
    """Count the verdicts by state."""
    counts = Counter(verdict.state for verdict in verdicts)
    words = {
        State.HOLDS: ("holds", "hold"),
        State.DOES_NOT_HOLD: ("does not", "do not"),
        State.UNDECIDED: ("is undecided", "are undecided"),
        State.NOT_TESTED: ("was not tested", "were not tested"),
    }
    return text.listing([f"{counts[state]} {words[state][counts[state] > 1]}" for state in State if counts[state]])


def _digest(verdict: Verdict) -> str:
    if not verdict.findings:
        return f"Nothing here can decide it: it takes {_NEEDS[verdict.key]}."
    counts = Counter(finding.state for finding in verdict.findings)
    said = [f"{state.value} in {counts[state]}" for state in State if counts[state]]
    return f"{text.plural(len(verdict.findings), 'comparison')}: {text.listing(said)}"


def _short(verdict: Verdict) -> list[str]:
    """Return the figures that decide a claim, each with its subject, for a line of a table."""
    states = {finding.state for finding in verdict.findings}
    deciding_state = verdict.state if verdict.state in states else State.HOLDS  # what lacks leaves it open then
    deciding = [finding for finding in verdict.findings if finding.state is deciding_state]
    shown = deciding[: _DECIDING if len(deciding) > _DECIDING else None]
    more = [f"and {len(deciding) - len(shown)} more"] if len(deciding) > len(shown) else []
    others = Counter(finding.state for finding in verdict.findings if finding.state is not deciding_state)
    rest = [f"{state.value} in {text.plural(others[state], 'other comparison')}" for state in State if others[state]]
    return [*(f"{finding.subject}: {finding.short or finding.figure}" for finding in shown), *more, *rest]


def _tone(state: State) -> str:
    tones = {State.HOLDS: "good", State.DOES_NOT_HOLD: "bad", State.UNDECIDED: "open"}
    return tones.get(state, "quiet")


def _values(tables: Tables, column: str) -> list[float]:
    return sorted(tables.downtime[column].unique().tolist(), reverse=True)


def _listed(tables: Tables, column: str) -> str:
    return ", ".join(f"{value:g}" for value in _values(tables, column))
