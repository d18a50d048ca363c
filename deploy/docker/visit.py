#!/usr/bin/env python3
"""A visitor's browser: opens pages of the demo in headless Chromium and prints, as JSON, what came of it.

    visit.py [--direct ADDRESS] [--screenshot FILE] [--runs N] URL

Each run has a fresh profile, so nothing is cached at the visitor. Of several runs the times are the medians.
--direct goes to that address instead of where DNS leads: to compare with the way past every edge. The sums, without the
single responses, go to the file that the environment names as VISITOR_LOG, too.
"""

import argparse
import base64
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

AUTHORITY = pathlib.Path("/shared/ca.pem")
TIMES = """
const page = performance.getEntriesByType("navigation")[0];
return {protocol: page.nextHopProtocol, first_byte_ms: page.responseStart, load_ms: page.loadEventEnd,
        requests: performance.getEntriesByType("resource").length + 1,
        protocols: [...new Set(performance.getEntriesByType("resource").map(each => each.nextHopProtocol))]};
"""
SERVED_BY = """
const line = document.querySelector("[data-served]");
return line !== null && !line.hidden;
"""


def trust_authority() -> None:
    """Chromium asks the certificate store of its user."""
    store = pathlib.Path.home() / ".pki/nssdb"
    if (store / "cert9.db").exists():
        return
    store.mkdir(parents=True, exist_ok=True)
    subprocess.run(["certutil", "-d", f"sql:{store}", "-N", "--empty-password"], check=True)
    subprocess.run(["certutil", "-d", f"sql:{store}", "-A", "-t", "C,,", "-n", "demo", "-i", AUTHORITY], check=True)


def open_browser(profile: str, direct: str) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
                     "--disable-background-networking", "--disable-component-update", "--window-size=1280,900",
                     f"--user-data-dir={profile}"):
        options.add_argument(argument)
    if direct:
        options.add_argument(f"--host-resolver-rules=MAP www.demo.test {direct}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


def responses(browser: webdriver.Chrome) -> list[dict]:
    """Address and Cache-Status of each response, from the browser's own log."""
    found = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] != "Network.responseReceived":
            continue
        response = message["params"]["response"]
        fields = {name.lower(): value for name, value in response["headers"].items()}
        if response["url"].startswith("https:"):
            found.append({"url": response["url"], "status": response["status"],
                          "address": response.get("remoteIPAddress", ""),
                          "cache_status": fields.get("cache-status", "")})
    return found


def picture(browser: webdriver.Chrome) -> bytes:
    """All of the page at half its size, down to the line in its footer that tells which edge has served it (PNG)."""
    WebDriverWait(browser, 10).until(lambda _: browser.execute_script(SERVED_BY))
    width, height = browser.execute_script(
        "const whole = document.documentElement; return [whole.scrollWidth, whole.scrollHeight];")
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {
        "captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 0.5}})
    return base64.b64decode(taken["data"])


def visit(url: str, direct: str, screenshot: str) -> dict:
    with tempfile.TemporaryDirectory() as profile:
        browser = open_browser(profile, direct)
        try:
            browser.set_page_load_timeout(60)
            browser.get(url)
            seen = browser.execute_script(TIMES)
            seen["title"] = browser.title
            seen["problems"] = [entry["message"] for entry in browser.get_log("browser")
                                if entry["level"] in ("SEVERE", "WARNING")]
            seen["responses"] = responses(browser)
            if screenshot:
                pathlib.Path(screenshot).write_bytes(picture(browser))
            return seen
        finally:
            browser.quit()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--direct", default="", metavar="ADDRESS")
    parser.add_argument("--screenshot", default="", metavar="FILE")
    parser.add_argument("--runs", type=int, default=1, metavar="N")
    options = parser.parse_args()
    trust_authority()
    runs = [visit(options.url, options.direct, options.screenshot if number == 0 else "")
            for number in range(options.runs)]
    report = runs[0]
    for key in ("first_byte_ms", "load_ms"):
        report[key] = round(statistics.median(run[key] for run in runs), 1)
    report["problems"] = [problem for run in runs for problem in run["problems"]]
    sums = {key: value for key, value in report.items() if key != "responses"}
    with open(os.environ.get("VISITOR_LOG", os.devnull), "w", encoding="utf-8") as log:
        log.write(json.dumps({"url": options.url, "direct": options.direct, **sums}) + "\n")
    json.dump(report, sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
