"""The page of a run in headless Chromium: what its scripts do, and that nothing leaves it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kit.api

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip
SECONDS = 20


def _program(*names: str) -> str | None:
    places = [found for name in names if (found := shutil.which(name) or shutil.which(name, path="/usr/bin"))]
    return places[0] if places else None


@pytest.fixture(scope="module")
def page(digits_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run that takes a third of its validated rows for another class."""
    run = tmp_path_factory.mktemp("browser") / "run"
    shutil.copytree(digits_runs / "digits" / "deeper-1", run)
    random = np.random.default_rng(0)
    with np.load(run / "predictions.npz") as saved:
        arrays = dict(saved)
    labels = arrays["validation_labels"]
    scores = random.normal(0, 1, (len(labels), 10)) + 2.2 * np.eye(10)[labels]
    arrays["validation_probabilities"] = (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)).astype(np.float32)
    np.savez(run / "predictions.npz", **arrays)
    return kit.api.report(run)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    browser = _program("chromium", "google-chrome", "chromium-browser")
    speaker = _program("chromedriver")
    if browser is None or speaker is None:
        pytest.skip("no chromium or chromedriver here: make browser installs Debian's")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(speaker))
    started.set_page_load_timeout(SECONDS)
    yield started
    started.quit()


@pytest.fixture
def opened(driver: Any, page: Path) -> Iterator[Any]:
    """The page, loaded anew; afterwards, nothing may have complained, or asked for anything but the page itself."""
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    driver.get(page.as_uri())
    yield driver
    assert driver.get_log("browser") == []
    asked = [
        message["params"]["request"]["url"]
        for entry in driver.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
    ]
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} == {page.as_uri()}


def _shown(driver: Any, selector: str) -> list[Any]:
    return [element for element in driver.find_elements("css selector", selector) if element.is_displayed()]


def _click(driver: Any, element: Any) -> None:
    """Below the menu that stays on top, where a person would click."""
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def _column(driver: Any, number: int) -> list[str]:
    return [cell.text for cell in _shown(driver, f"#classes tbody td:nth-child({number})")]


def test_a_header_sorts_by_mouse_and_by_keyboard(opened: Any) -> None:
    recall = opened.find_element("css selector", "#classes thead th:nth-child(5)")
    button = recall.find_element("tag name", "button")
    _click(opened, button)
    rising = [float(text.rstrip(" %")) for text in _column(opened, 5)]
    assert rising == sorted(rising)
    assert len(set(rising)) > 1
    assert recall.get_attribute("aria-sort") == "ascending"
    opened.execute_script("arguments[0].focus()", button)
    opened.switch_to.active_element.send_keys("\ue007")  # Enter
    falling = [float(text.rstrip(" %")) for text in _column(opened, 5)]
    assert falling == rising[::-1]
    assert recall.get_attribute("aria-sort") == "descending"
    _click(opened, opened.find_element("css selector", "#classes thead th:nth-child(1) button"))
    assert recall.get_attribute("aria-sort") is None
    assert _column(opened, 1) == sorted(_column(opened, 1))


def test_a_search_hides_rows_and_counts_the_rest(opened: Any) -> None:
    search = opened.find_element("css selector", "input[data-rows-of=pairs]")
    total = len(_shown(opened, "#pairs tbody tr"))
    search.send_keys("7")
    left = _shown(opened, "#pairs tbody tr")
    assert 0 < len(left) < total
    assert all("7" in row.text for row in left)
    controls = search.find_element("xpath", "ancestor::*[@class='controls']")
    assert controls.find_element("tag name", "output").text == f"{len(left)} of {total}"


def test_the_gallery_is_filtered_by_pair_kind_and_id(opened: Any) -> None:
    from selenium.webdriver.support.ui import Select

    def select(name: str) -> Any:
        return Select(opened.find_element("css selector", f"[data-gallery] [data-by={name}]"))

    def items() -> list[Any]:
        return _shown(opened, "#mistakes > li")

    output = opened.find_element("css selector", "[data-gallery] output")
    everything = len(items())
    assert 20 < everything <= 60
    true = select("true").options[1]
    wanted = int(true.text.partition("(")[2].rstrip(")"))
    select("true").select_by_value(value := true.get_attribute("value"))
    assert len(items()) == wanted < everything
    assert {item.get_attribute("data-true") for item in items()} == {value}
    other = select("predicted").options[1]
    assert sum(int(option.text.partition("(")[2].rstrip(")")) for option in select("predicted").options[1:]) == wanted
    select("predicted").select_by_value(predicted := other.get_attribute("value"))
    assert {(item.get_attribute("data-true"), item.get_attribute("data-predicted")) for item in items()} == {
        (value, predicted)
    }
    assert output.text == f"{len(items())} of {len(items())} shown"
    _click(opened, opened.find_element("css selector", "[data-clear]"))
    assert len(items()) == everything
    select("kind").select_by_value("near")
    assert all(float(item.get_attribute("data-q")) > 0.4 for item in items())
    _click(opened, opened.find_element("css selector", "[data-clear]"))
    select("order").select_by_value("near")
    gaps = [float(item.get_attribute("data-p")) - float(item.get_attribute("data-q")) for item in items()]
    assert gaps == sorted(gaps)
    id = items()[3].get_attribute("data-id")
    opened.find_element("css selector", "[data-gallery] [data-by=id]").send_keys(id)
    assert all(id in item.get_attribute("data-id") for item in items())
    picture = items()[0].find_element("tag name", "img")
    assert opened.execute_script("return arguments[0].naturalWidth", picture) == 28


def test_a_confused_pair_leads_to_its_pictures(opened: Any) -> None:
    link = opened.find_element("css selector", "#pairs tbody tr:nth-child(3) a")
    pair = link.get_attribute("data-pair").split()
    opened.execute_script("arguments[0].focus()", link)
    opened.switch_to.active_element.send_keys("\ue007")
    shown = _shown(opened, "#mistakes > li")
    assert {(item.get_attribute("data-true"), item.get_attribute("data-predicted")) for item in shown} == {tuple(pair)}
    assert opened.current_url.endswith("#gallery")


def test_a_phone_scrolls_in_one_direction_only(opened: Any) -> None:
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    wide = opened.execute_script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide == [390, 390]


def test_figures_take_the_colour_of_a_dark_page(opened: Any) -> None:
    colour = "return getComputedStyle(document.querySelector('#curves ~ .figures svg text')).fill"
    found = {}
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        found[scheme] = opened.execute_script(colour)
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found == {"light": "rgb(22, 24, 29)", "dark": "rgb(232, 234, 239)"}
