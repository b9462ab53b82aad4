"""The report as a reader meets it: light and dark, on a phone, by keyboard, on paper."""

from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.browser

SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
UNFOLD = "document.querySelectorAll('details').forEach(fold => { fold.open = true; })"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_violation(open_report, width, scheme):
    page = open_report(width, scheme)
    page.evaluate(UNFOLD)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def test_nothing_but_the_file_is_requested_and_nothing_is_logged(open_report, report_file):
    page = open_report()
    page.evaluate(UNFOLD)
    assert page.troubles == [f"request: {report_file.as_uri()}"]


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
def test_the_page_never_scrolls_sideways(open_report, width):
    page = open_report(width)
    page.evaluate(UNFOLD)
    assert not page.evaluate(SIDEWAYS)


def test_wide_tables_scroll_within_themselves_by_keyboard(open_report):
    page = open_report(390)
    region = page.get_by_role("region", name="Downtime by strategy and direction")
    region.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("element => element.scrollLeft > 0", arg=region.element_handle())


def test_the_first_tab_leads_past_the_header(open_report):
    page = open_report()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


def test_every_figure_is_an_image_with_a_finding(open_report):
    page = open_report()
    page.evaluate(UNFOLD)
    images = page.locator("figure svg")
    assert images.count() == 14
    for label in images.evaluate_all("all => all.map(svg => svg.getAttribute('aria-label'))"):
        title, _, finding = label.partition(". ")
        assert title
        assert len(finding) > 20


def test_cells_without_a_number_say_why_in_words(open_report):
    page = open_report()
    for name, states in {"fig12": {"infeasible", "not measured"}, "fig13": {"infeasible", "failed"}}.items():
        drawn = page.locator(f"#figure-{name} text").all_text_contents()
        assert states <= set(drawn)


def test_colours_follow_the_scheme(open_report):
    ink = "getComputedStyle(document.querySelector('figure svg text')).fill"
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = open_report(scheme="light"), open_report(scheme="dark")
    assert light.evaluate(ink) != dark.evaluate(ink)
    assert light.evaluate(ground) != dark.evaluate(ground)


def test_paper_shows_what_is_folded_and_no_navigation(open_report):
    page = open_report(scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.get_by_role("navigation").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    folded = page.locator("details table").first
    assert folded.bounding_box()["height"] > 20
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_state_is_told_by_words_not_by_colour_alone(open_report):
    states = open_report().locator(".verdict .state").all_inner_texts()
    assert len(states) == 12
    assert set(states) <= {"holds", "does not hold", "undecided", "not tested"}


def test_a_claim_leads_from_the_table_to_its_card_and_from_there_to_the_evidence(open_report):
    page = open_report()
    rows = page.get_by_role("region", name="All claims in short").get_by_role("row")
    assert rows.count() == 13  # with the heading
    page.get_by_role("link", name="Scenario A switches in under 1 ms.").click()
    assert page.url.endswith("#claim-scenario-a")
    page.locator("#claim-scenario-a").get_by_role("link", name="a run moment by moment").click()
    assert page.url.endswith("#timeline")
    assert page.locator("#figure-timeline").is_visible()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["figure-fig03", "figure-best_point", "table-best-points"])
def test_what_is_jumped_to_stands_clear_of_the_sections_bar(open_report, name, width):
    page = open_report(width=width)
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{page.url.partition('#')[0]}#{name}")
    page.wait_for_function("window.scrollY > 0")
    bar = page.locator("nav").bounding_box()
    scrollbar_px = 17  # the bar's own, where its sections do not fit: headless Chromium draws none
    assert page.locator(f"#{name}").bounding_box()["y"] >= bar["y"] + bar["height"] + scrollbar_px


def test_the_lanes_of_the_timeline_are_named_and_its_downtimes_stand_above(open_report):
    said = open_report().locator("#figure-timeline text").all_text_contents()
    lanes = {"frames offered", "results", "service", "work on the edge", "work in the cloud"}
    assert lanes <= set(said)
    assert any("vgg19, switch-b1" in one for one in said)
    assert {"outage", "degraded", "dropped: paused"} <= set(said)


def test_the_answer_to_q1_stands_before_its_figures(open_report):
    page = open_report()
    sentences = page.locator("#cut .answer li").all_inner_texts()
    heads = [sentence.partition(":")[0] for sentence in sentences]
    assert heads == ["In short", "In short", "Speed", "Stress", "Staying"]
    figures = ("fig02", "fig03", "best_point")
    places = [page.locator(f"#figure-{name}").bounding_box()["y"] for name in figures]
    assert page.locator("#cut .answer").bounding_box()["y"] < places[0] < places[1] < places[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_stages_of_the_latency_differ_in_colour_and_stand_out_from_the_page(open_report, scheme):
    page = open_report(scheme=scheme)
    colour = "name => getComputedStyle(document.documentElement).getPropertyValue(`--stage-${name}`).trim()"
    card = luminance(page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--card').trim()"))
    stages = [page.evaluate(colour, name) for name in ("edge", "transfer", "cloud")]
    assert len(set(stages)) == 3
    for stage in stages:
        lighter, darker = sorted((luminance(stage), card), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3, stage


def luminance(colour):
    """Return WCAG's relative luminance of #rrggbb."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("name", ["fig02", "fig03"])
def test_names_below_the_bars_do_not_overlap(open_report, name):
    page = open_report()
    boxes = page.locator(f"#figure-{name} text").evaluate_all(
        "all => all.map(t => ({said: t.textContent, box: t.getBoundingClientRect()}))"
        ".filter(one => /^[0-9]+ [A-Za-z]/.test(one.said) && one.box.height > one.box.width)"
        ".map(one => ({said: one.said, left: one.box.left, right: one.box.right}))"
    )
    ordered = sorted(boxes, key=lambda box: box["left"])
    assert len(ordered) >= 6
    for before, after in pairwise(ordered):
        assert before["right"] <= after["left"] + 0.5, (before, after)
