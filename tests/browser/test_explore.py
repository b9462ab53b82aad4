"""The table of runs as a reader uses it: sort, filter, search, open, follow to a raw file, take away."""

import csv
import io
import zipfile

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.browser

SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def runs(report_file):
    """The table that the page was made from."""
    return pd.read_parquet(report_file.parents[1] / "tables/downtime.parquet")


@pytest.fixture
def page(open_report):
    return open_report()


def column(page, number):
    """What a column of the table of runs says on the page that is shown."""
    return page.locator(f"#explore-rows > tr:not(.details) > :nth-child({number})").all_inner_texts()


def said(page):
    return page.locator("#explore-said").inner_text()


def head(page, name):
    return page.locator("#explore-heads").get_by_role("button", name=name)


def test_the_script_says_how_many_runs_there_are(page, runs):
    assert said(page) == f"{len(runs)} of {len(runs)} runs match; shown are 1 to 25."
    assert not page.locator(".without-script").is_visible()


def test_a_heading_sorts_up_then_down_then_not_at_all(page, runs):
    longest, shortest = runs["downtime_ms"].max(), runs["downtime_ms"].min()
    cell = page.locator("#explore-heads th", has=page.get_by_role("button", name="Downtime"))
    before = column(page, 9)
    head(page, "Downtime").click()
    assert cell.get_attribute("aria-sort") == "ascending"
    assert column(page, 9)[0] == f"{shortest:.3f}\xa0ms"
    assert said(page).endswith(", by downtime, smallest first.")
    head(page, "Downtime").click()
    assert cell.get_attribute("aria-sort") == "descending"
    assert column(page, 9)[0] == f"{longest / 1000:.2f}\xa0s"
    head(page, "Downtime").click()
    assert cell.get_attribute("aria-sort") == "none"
    assert column(page, 9) == before


def test_rows_without_a_value_come_last_whichever_way_is_sorted(page):
    for _ in range(2):
        head(page, "Downtime").click()
        assert "–" not in column(page, 9)


@pytest.mark.parametrize(
    ("label", "value", "matching"),
    [
        ("Model", "vgg19", lambda runs: runs["model"] == "vgg19"),
        ("Strategy", "switch-b2", lambda runs: runs["strategy"] == "switch-b2"),
        ("CPU, %", "50", lambda runs: runs["cpu_pct"] == 50),
        ("Memory, %", "10", lambda runs: runs["mem_pct"] == 10),
        ("FPS", "20", lambda runs: runs["fps"] == 20),
        ("Change, Mbit/s", "5 → 20", lambda runs: runs["to_mbps"] == 20),
        ("Status", "failed", lambda runs: runs["status"] == "failed"),
    ],
)
def test_every_axis_filters(page, runs, label, value, matching):
    page.get_by_label(label, exact=True).select_option(value)
    assert said(page).startswith(f"{matching(runs).sum()} of {len(runs)} runs match")


def test_filters_and_search_go_together_and_show_all_ends_them(page, runs):
    page.get_by_label("Conditions", exact=True).select_option("out of tolerance")
    flagged = int(said(page).split()[0])
    assert 0 < flagged < len(runs)
    page.get_by_label("Search").fill("vgg19 switch-A1")
    assert 0 < int(said(page).split()[0]) < flagged
    assert set(column(page, 2)) == {"vgg19"}
    assert set(column(page, 3)) == {"switch-a1"}
    page.get_by_label("Search").fill("no such words anywhere")
    assert said(page) == f"0 of {len(runs)} runs match."
    page.get_by_role("button", name="Show all").click()
    assert said(page).startswith(f"{len(runs)} of")


def test_reasons_are_searched(page, runs):
    page.get_by_label("Search").fill("went silent")
    expected = runs["reason"].str.contains("went silent", na=False).sum()
    assert said(page).startswith(f"{expected} of")


def test_pages_turn(page):
    page.get_by_role("button", name="Next").click()
    assert "shown are 26 to 50" in said(page)
    page.get_by_role("button", name="Previous").click()
    assert "shown are 1 to 25" in said(page)
    assert page.get_by_role("button", name="Previous").is_disabled()


def open_first(page, **filters):
    for label, value in filters.items():
        page.get_by_label(label, exact=True).select_option(value)
    page.locator("#explore-rows button").first.click()
    return page.locator("#explore-rows tr.details").first


def test_a_row_opens_by_mouse_with_conditions_downtime_frames_and_files(page):
    opened = open_first(page, Strategy="switch-b2", Status="ok", Conditions="within tolerance")
    captions = opened.locator("caption, h3").all_inner_texts()
    assert [caption.partition(":")[0] for caption in captions] == [
        "Downtime",
        "What the tiers did meanwhile, each by its own clock",
        "Conditions",
        "Frames",
        "Raw files",
    ]
    assert "of it t_exec" in opened.inner_text()
    assert "build, edge: trace" in opened.inner_text()
    assert opened.get_by_role("row", name="During the downtime").count() == 1


def test_what_is_out_of_tolerance_is_named_in_the_row(page):
    opened = open_first(page, Conditions="out of tolerance")
    assert (
        opened.get_by_role("row", name="Link after the change").inner_text().split("\t")[-1] == "14.1 out of tolerance"
    )


def test_a_row_opens_and_closes_by_keyboard_and_the_focus_stays(page):
    button = page.locator("#explore-rows button").nth(2)
    button.focus()
    page.keyboard.press("Enter")
    focused = page.locator(":focus")
    assert focused.get_attribute("aria-expanded") == "true"
    assert page.locator(f"#{focused.get_attribute('aria-controls')}").is_visible()
    page.keyboard.press("Space")
    assert page.locator(":focus").get_attribute("aria-expanded") == "false"
    assert page.locator("#explore-rows tr.details").count() == 0


def test_the_search_is_reached_and_used_by_keyboard_alone(page):
    page.locator("#explore-title").evaluate("title => { title.tabIndex = -1; title.focus(); }")
    page.keyboard.press("Tab")
    page.keyboard.type("infeasible")
    page.keyboard.press("Enter")  # must not leave the page
    assert set(column(page, 8)) == {"infeasible"}


def test_a_link_leads_to_the_raw_file(page, report_file):
    opened = open_first(page, Status="ok")
    source = opened.locator("ul.raw a").first.inner_text()
    with page.expect_navigation():
        opened.get_by_role("link", name="edge-events.jsonl").click()
    raw = report_file.parents[1] / source / "edge-events.jsonl"
    assert page.url == raw.as_uri()
    assert page.locator("body").inner_text()[:200] == raw.read_text()[:200]


def taken(page, click):
    with page.expect_download() as download:
        click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_the_runs_that_match_are_saved_as_csv(page, runs):
    page.get_by_label("Strategy", exact=True).select_option("switch-b2")
    page.get_by_label("Status", exact=True).select_option("ok")
    name, data = taken(page, page.get_by_role("button", name="Save the runs that match as CSV").click)
    wanted = runs[(runs["strategy"] == "switch-b2") & (runs["status"] == "ok")].reset_index(drop=True)
    saved = pd.read_csv(io.BytesIO(data))
    assert name == "runs.csv"
    assert saved["run"].tolist() == wanted["run"].tolist()
    assert saved["source"].tolist() == wanted["source"].tolist()
    assert saved["downtime_ms"].tolist() == pytest.approx(wanted["downtime_ms"].tolist(), rel=1e-3)
    assert {"link_mbps_after_achieved", "downtime_dropped_busy", "t_exec_ms"} <= set(saved.columns)


def test_a_reason_with_commas_and_quotes_is_one_field(page):
    page.get_by_label("Search").fill("went silent")
    _, data = taken(page, page.get_by_role("button", name="Save the runs that match as CSV").click)
    heads, first, *_ = csv.reader(io.StringIO(data.decode()))
    assert len(first) == len(heads)


def test_the_archives_hold_the_tables_and_the_figures(page, report_file):
    for name, kinds in {"tables.zip": {"csv"}, "figures.zip": {"svg", "pdf"}}.items():
        said, data = taken(page, page.get_by_role("link", name=name).click)
        assert said == name
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            assert {member.rpartition(".")[2] for member in packed.namelist()} == kinds
            for member in packed.namelist():
                assert packed.read(member) == (report_file.parents[1] / name.partition(".")[0] / member).read_bytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_violation_with_rows_open(open_report, width, scheme):
    page = open_report(width, scheme)
    open_first(page, Conditions="out of tolerance")
    page.locator("#explore-rows button").nth(1).click()
    results = Axe().run(page, context="#explore")
    assert results.violations_count == 0, results.generate_report()
    assert not page.evaluate(SIDEWAYS)


def test_nothing_is_requested_and_nothing_logged_while_it_is_used(page, report_file):
    open_first(page, Status="failed")
    head(page, "Downtime").click()
    page.get_by_label("Search").fill("silent")
    assert page.troubles == [f"request: {report_file.as_uri()}"]


def test_the_policy_of_the_page_lets_no_other_script_run(page):
    page.evaluate("""() => {
        window.ran = false;
        document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="window.ran = true">');
        const script = document.createElement('script');
        script.textContent = 'window.ran = true';
        document.body.append(script);
    }""")
    page.wait_for_timeout(0)
    assert not page.evaluate("window.ran")


def test_on_paper_the_rows_stand_without_controls(page):
    open_first(page)
    page.emulate_media(media="print")
    assert not page.locator("#explore-form").is_visible()
    assert page.locator("#explore-rows tr.details").is_visible()
    assert page.locator("#explore-said").is_visible()


def test_without_javascript_the_page_says_where_the_whole_table_is(browser, report_file):
    page = browser.new_page(java_script_enabled=False)
    page.goto(report_file.as_uri())
    assert page.locator(".without-script").is_visible()
    assert not page.locator("#explore-app").is_visible()
    link = page.locator(".without-script a").get_attribute("href")
    assert (report_file.parent / link).is_file()
    page.close()
