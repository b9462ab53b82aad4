"""The report as a reader meets it: light and dark, on a phone, by keyboard, on paper."""

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
    assert images.count() == 8
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
    assert len(states) == 9
    assert set(states) <= {"holds", "does not hold", "undecided", "not tested"}
