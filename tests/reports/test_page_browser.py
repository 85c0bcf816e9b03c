"""The page as its readers use it: pointer, keyboard, print, dark and light."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.page.build import write_page
from tests.factory import make_failure
from tests.reports.browser import Watched, chromium, opened
from tests.reports.pages import make_holdings, make_runs, tables_of
from tests.reports.profiles import make_network, make_profile

HOSTILE = "x<img src=x onerror=alert(1)>"
RANKED = ["unet", "smp:unet/resnet34", "enet", HOSTILE, "cgnet"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five ranked rows, one with a run missing, one that failed; speeds of two."""
    runs = [
        run
        for place, name in enumerate(RANKED)
        for run in make_runs(name, 0.7 - place / 10, params=10**place * 1000)
    ]
    runs += make_runs("dfn", 0.65)[:3]
    machine = make_profile(make_network("unet", 1, 1, 10.0), make_network("enet", 1, 1, 20.0))
    holdings = make_holdings(runs, [make_failure("segnet")], machine=machine)
    folder = tmp_path_factory.mktemp("page")
    return write_page(holdings, tables_of(holdings), folder, images=False)


@pytest.fixture
def watched(browser: Any, path: Path) -> Iterator[Watched]:
    """The open page; whatever a test does, nothing is complained of and nothing leaves."""
    with opened(browser, path) as found:
        yield found
        assert found.complaints == []
        assert found.requests[0] == path.as_uri()
        assert all(each.startswith(("file:", "data:")) for each in found.requests)


@pytest.fixture
def page(watched: Watched) -> Any:
    return watched.page


def names(page: Any) -> list[str]:
    """The labels of the rows that can be seen, from above."""
    labels = page.locator(".leaderboard tbody tr:visible th").all_inner_texts()
    return [label.strip() for label in labels]


def head(page: Any, title: str) -> Any:
    return page.locator(".leaderboard thead th").filter(has_text=title)


def test_the_table_is_as_the_report_has_it(page: Any) -> None:
    assert sorted(names(page)) == sorted([*RANKED, "dfn", "segnet"])
    assert [name for name in names(page) if name not in ("dfn", "segnet")] == RANKED
    assert page.locator("h2").first.inner_text() == "phantom, protocol smoke"


def test_a_click_on_a_head_sorts_and_a_second_one_reverses(page: Any) -> None:
    params = head(page, "Params")
    params.get_by_role("button").click()
    assert params.get_attribute("aria-sort") == "ascending"
    assert [name for name in names(page) if name != "dfn"] == [*RANKED, "segnet"]
    params.get_by_role("button").click()
    assert params.get_attribute("aria-sort") == "descending"
    # What has no value stays last.
    assert [name for name in names(page) if name != "dfn"] == [*RANKED[::-1], "segnet"]
    assert page.locator("[aria-sort]").count() == 1
    assert "Sorted by Params, descending" in page.locator("p[role=status]").inner_text()


def test_the_keyboard_sorts_as_well(page: Any) -> None:
    head(page, "Model").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert names(page) == sorted([*RANKED, "dfn", "segnet"])


def test_a_metric_is_sorted_from_its_better_end(page: Any) -> None:
    for title, direction in (("mIoU", "descending"), ("HD95", "ascending")):
        head(page, title).get_by_role("button").click()
        assert head(page, title).get_attribute("aria-sort") == direction


def test_rows_are_filtered_by_name_status_and_front(page: Any) -> None:
    page.get_by_label("Filter", exact=True).fill("UNET")
    assert names(page) == ["unet", "smp:unet/resnet34"]
    assert page.locator(".count").inner_text() == "2 of 7 rows"
    page.get_by_label("Filter", exact=True).fill("")
    page.get_by_label("complete", exact=True).uncheck()
    assert names(page) == ["dfn", "segnet"]
    page.get_by_label("failed").uncheck()
    assert names(page) == ["dfn"]
    for name in ("complete", "failed"):
        page.get_by_label(name, exact=True).check()
    page.get_by_label("Pareto front").check()
    assert names(page) == ["unet"]  # the best and the smallest


def test_the_axis_of_the_plot_is_chosen(page: Any) -> None:
    assert page.locator(".point").count() == 6
    page.get_by_label("Dice against").select_option("fps")
    assert page.locator(".point").count() == 2
    assert "images per second" in page.get_by_label("Pareto front").locator("..").inner_text()


def point(page: Any, name: str) -> Any:
    return page.locator(f'.point[aria-label^="{name},"]')


def test_a_point_tells_its_numbers_and_selects_its_row(page: Any) -> None:
    tooltip = page.locator("#tooltip")
    assert not tooltip.is_visible()
    point(page, "enet").locator(".target").hover()
    assert tooltip.inner_text().splitlines()[0] == "enet"
    assert "Dice 51.55 %" in tooltip.inner_text() and "100.0 K" in tooltip.inner_text()
    point(page, "enet").locator(".target").click()
    assert page.locator(".selected th").inner_text() == "enet"
    assert page.evaluate("document.activeElement.textContent") == "enet"
    assert not tooltip.is_visible()


def test_arrow_keys_move_among_the_points(page: Any) -> None:
    page.locator(".point[tabindex='0']").focus()
    assert page.locator("#tooltip strong").inner_text() in ("unet", "dfn")
    page.keyboard.press("End")
    assert page.locator("#tooltip strong").inner_text() == "cgnet"
    page.keyboard.press("ArrowLeft")
    assert page.locator("#tooltip strong").inner_text() == HOSTILE
    page.keyboard.press("Escape")
    assert not page.locator("#tooltip").is_visible()
    page.keyboard.press("Enter")
    assert page.locator(".selected th").inner_text() == HOSTILE


def test_a_click_opens_the_card_of_a_row(page: Any) -> None:
    page.locator("tr", has_text="enet").locator("td").nth(3).click()
    card = page.get_by_role("dialog", name="enet")
    assert "ENet" in card.locator("dd").first.inner_text()
    heads = card.locator("h3").all_inner_texts()
    assert heads == ["Scores", "Runs", "Training", "Provenance"]
    assert card.locator(".curve").count() == 4
    card.locator(".curve").first.focus()
    assert page.locator("#tooltip strong").inner_text() == "fold 1, seed 0"
    card.get_by_role("button", name="Close").click()
    assert not card.is_visible()


def test_enter_opens_a_card_and_escape_returns_to_the_row(page: Any) -> None:
    page.get_by_role("button", name="segnet").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").is_visible()
    assert "out of memory" in page.get_by_role("dialog").inner_text()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()
    assert page.evaluate("document.activeElement.textContent") == "segnet"


def test_two_rows_are_compared(page: Any) -> None:
    page.get_by_label("A", exact=True).select_option(label="cgnet")
    page.get_by_label("B", exact=True).select_option(label="unet")
    result = page.locator(".result")
    assert "unet is better." in result.inner_text()
    before = result.locator("dd").all_inner_texts()
    assert before[2].startswith("−") and before[3] == "0.000"
    assert page.locator(".unit").count() == 8
    page.get_by_role("button", name="Swap").click()
    after = result.locator("dd").all_inner_texts()
    assert (after[0], after[1]) == (before[1], before[0])
    assert after[2].split(" ")[0] == before[2].split(" ")[0].removeprefix("−")
    assert after[3] == "1.000" and "unet is better." in result.inner_text()
    page.get_by_label("B", exact=True).select_option(label="unet")
    assert "two different rows" in result.inner_text()


def test_a_card_leads_to_a_comparison(page: Any) -> None:
    page.get_by_role("button", name="cgnet", exact=True).click()
    page.get_by_role("button", name="Compare with").click()
    assert not page.get_by_role("dialog").is_visible()
    assert page.get_by_label("A", exact=True).locator("option:checked").inner_text() == "cgnet"
    page.get_by_label("Metric").select_option("hd95_patient_px")
    assert "unet is better." in page.locator(".result").inner_text()
    assert "px" in page.locator(".result dd").first.inner_text()


def test_tab_reaches_every_part_in_order(page: Any) -> None:
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.slice(0, 40)"))
    wanted = ["Skip to the tables", "Dark", "Params", "unet", "Swap", "Data and protocol"]
    places = [reached.index(each) for each in wanted]
    assert places == sorted(places)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_switched(
    browser: Any, path: Path, scheme: str
) -> None:
    with opened(browser, path, color_scheme=scheme) as watched:
        page = watched.page
        button = page.locator("#theme")

        def brightness() -> int:
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))

        def is_dark() -> bool:
            return brightness() < 200

        assert is_dark() == (scheme == "dark")
        assert button.get_attribute("aria-pressed") == str(scheme == "dark").lower()
        button.click()
        assert is_dark() != (scheme == "dark")
        assert button.get_attribute("aria-pressed") == str(scheme != "dark").lower()


def test_paper_has_all_rows_and_no_controls(page: Any) -> None:
    page.get_by_label("Filter", exact=True).fill("enet")
    page.locator("#theme").click()
    page.emulate_media(media="print")
    assert len(names(page)) == 7
    assert page.locator("#theme, .filters, .hint").filter(visible=True).count() == 0
    assert page.locator(".pareto svg").is_visible()


def test_a_narrow_screen_scrolls_the_table_alone(browser: Any, path: Path) -> None:
    with opened(browser, path, viewport={"width": 390, "height": 844}) as watched:
        page = watched.page
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator(".pareto svg").bounding_box()["width"] <= 390
        assert page.locator(".pareto .point").count() == 6
