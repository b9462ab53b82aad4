"""What the documents say of keys, columns, words, commands and paths is what the code has."""

import importlib.util
import re
from pathlib import Path

import msgspec
import pytest
import yaml

from hosts.config import Config, parse
from hosts.inventory import Host, Inventory
from report.figures.plots import plots
from report.schema import COLUMNS
from workers.records import EventKind, Outcome, Status
from workers.strategies import STRATEGIES

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md", "results/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
ROW = re.compile(r"^\| (.+) \|$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"python -m ([\w.]+)((?: +(?:\\\n *)?[^\s`|#]+)*)")
MAKE = re.compile(r"(?:`|^)make ([a-z-]+)", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#]+)\)")
# A file or folder of ours: its first part is one of these, and no part is a placeholder in capitals.
OURS = "workers|hosts|rules|report|config|profiles|docs|tests|[.]ci"
PATH = re.compile(rf"^(?:{OURS})/[\w./-]*$|^(?:Snakefile|Makefile|pyproject[.]toml|[A-Z]+[.]md)$")


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def rows_of(path):
    """Return the cells of all table rows of a document."""
    return [re.split(r" \| ", row) for row in ROW.findall(text_of(path))]


def codes_of(path):
    return set(CODE.findall(text_of(path)))


def relative(path):
    return path.relative_to(ROOT).as_posix()


# --- the config ---------------------------------------------------------------------------------------------


def keys_of(kind, prefix=""):
    """Yield every key of a config struct with its default, nested ones with a dot."""
    for field in msgspec.structs.fields(kind):
        name = prefix + field.name
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from keys_of(field.type, f"{name}.")
            continue
        yield name, "*required*" if field.required else msgspec.to_builtins(field.default)
        inner = getattr(field.type, "__args__", ())[-1:]
        if inner and isinstance(inner[0], type) and issubclass(inner[0], msgspec.Struct):
            yield from keys_of(inner[0], f"{name}.NAME.")


KEYS = dict(keys_of(Config))


def documented_keys():
    """Return the rows of the table of keys: default by key."""
    rows = [row for row in rows_of("config/README.md") if len(row) == 4 and row[0].startswith("`")]
    return {row[0].strip("`"): row[2] for row in rows}


def test_the_walk_over_the_config_finds_nested_keys():
    assert {"seed", "network.delay_ms", "models", "models.NAME.partition", "windows.before_s"} <= KEYS.keys()


def test_config_readme_explains_every_key_of_the_config_and_no_other():
    assert documented_keys().keys() == KEYS.keys()


@pytest.mark.parametrize("key", list(KEYS))
def test_config_readme_gives_the_default_of(key):
    cell = documented_keys()[key]
    shown = cell if cell == "*required*" else yaml.safe_load(cell.strip("`"))
    expected = list(KEYS[key]) if isinstance(KEYS[key], tuple) else KEYS[key]
    assert shown == expected


def test_examples_of_the_config_readme_are_configs():
    examples = re.findall(r"```yaml\n(.*?)```", text_of("config/README.md"), re.DOTALL)
    assert len(examples) == 4
    for example in examples:
        config = parse(yaml.safe_load(example), "the example")
        assert set(config.strategies) <= STRATEGIES.keys()


# --- the inventory ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [field.name for field in msgspec.structs.fields(Host) if field.name != "role"])
def test_inventory_explains_the_key(key):
    first_cells = " ".join(row[0] for row in rows_of("docs/inventory.md"))
    assert f"`{key}`" in first_cells


def test_inventory_explains_the_keys_at_its_top():
    top = {field.name for field in msgspec.structs.fields(Inventory)} - {"path"}
    assert top | {"hosts"} <= codes_of("docs/inventory.md")


# --- the data contract --------------------------------------------------------------------------------------


def sections_of(path):
    """Return the text below each heading of level 3, by the heading's first word."""
    parts = re.split(r"^### ", text_of(path), flags=re.MULTILINE)[1:]
    return {re.match(r"\w+", part)[0]: part for part in parts}


@pytest.mark.parametrize("table", list(COLUMNS))
def test_results_readme_has_a_section_for_the_table(table):
    assert table in sections_of("results/README.md")


@pytest.mark.parametrize("table", list(COLUMNS))
def test_results_readme_names_every_column_of(table):
    assert set(COLUMNS[table]) - codes_of("results/README.md") == set()


def test_results_readme_names_no_column_that_is_not_there():
    known = set().union(*COLUMNS.values())
    in_tables = {code for row in rows_of("results/README.md") if len(row) == 2 for code in CODE.findall(row[0])}
    assert in_tables - known == set()


def test_results_readme_names_every_figure(empty_tables):
    text = text_of("results/README.md")
    assert [plot.name for plot in plots(empty_tables) if plot.name not in text] == []


@pytest.fixture
def empty_tables():
    """Tables without a row: figures have names without data."""
    import pandas as pd  # noqa: PLC0415 - a second

    from report.schema import typed  # noqa: PLC0415
    from report.tables import Tables  # noqa: PLC0415

    return Tables(**{name: typed(pd.DataFrame(), columns) for name, columns in COLUMNS.items()})


# --- words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", ["config/README.md", "docs/glossary.md"])
def test_every_strategy_is_named(document):
    assert STRATEGIES.keys() - codes_of(document) == set()


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_glossary_has_the_outcome(outcome):
    assert any(row[0] == outcome.value for row in rows_of("docs/glossary.md"))


@pytest.mark.parametrize("status", list(Status))
def test_the_readme_and_the_data_contract_have_the_status(status):
    assert status.value in codes_of("README.md") & codes_of("results/README.md")


def test_events_that_documents_name_are_logged():
    named = {kind.value for kind in EventKind} & (codes_of("docs/glossary.md") | codes_of("docs/architecture.md"))
    assert {"rearmed", "strangers"} <= named


# --- commands and paths -------------------------------------------------------------------------------------


def python_commands():
    for document in DOCUMENTS:
        for match in COMMAND.finditer(document.read_text(encoding="utf-8")):
            yield pytest.param(match[1].rstrip("."), match[2], id=f"{relative(document)}: {match[0][:60]}")


def source_of(module):
    """Return the source that answers ``python -m module``."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    origin = origin.with_name("__main__.py") if origin.name == "__init__.py" else origin
    return origin.read_text(encoding="utf-8") if origin.is_file() else None


def parser_of(source):
    """Return the source with that of the module which makes its parser, where it has that made elsewhere."""
    made = re.search(r"^from (\S+) import .*\bmake_parser\b", source, re.MULTILINE)
    return source + (source_of(made[1]) or "") if made else source


@pytest.mark.parametrize(("module", "arguments"), list(python_commands()))
def test_python_command_exists(module, arguments):
    source = source_of(module)
    assert source is not None, f"there is no python -m {module}"
    if module.partition(".")[0] in {"workers", "hosts", "report"}:
        flags = [flag for flag in re.findall(r"--[a-z-]+", arguments) if flag != "--help"]
        assert [flag for flag in flags if f'"{flag}"' not in parser_of(source)] == []


def make_commands():
    for document in DOCUMENTS:
        for name in MAKE.findall(document.read_text(encoding="utf-8")):
            yield pytest.param(name, id=f"{relative(document)}: make {name}")


@pytest.mark.parametrize("name", list(make_commands()))
def test_make_command_exists(name):
    assert re.search(rf"^{name}:", text_of("Makefile"), re.MULTILINE)


def test_modules_that_the_makefile_calls_exist():
    modules = re.findall(r"python -m ([\w.]+)", text_of("Makefile"))
    assert [module for module in modules if source_of(module) is None] == []


def paths_named():
    for document in DOCUMENTS:
        named = CODE.findall(document.read_text(encoding="utf-8"))
        for path in sorted({word for word in named if PATH.match(word)}):
            yield pytest.param(path, id=f"{relative(document)}: {path}")


@pytest.mark.parametrize("path", list(paths_named()))
def test_path_exists(path):
    assert (ROOT / path).exists()


def links():
    for document in DOCUMENTS:
        for target in LINK.findall(document.read_text(encoding="utf-8")):
            yield pytest.param(document.parent / target, id=f"{relative(document)}: {target}")


@pytest.mark.parametrize("target", list(links()))
def test_link_leads_somewhere(target):
    assert target.exists()
