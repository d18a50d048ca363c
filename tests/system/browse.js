// Opens pages in one headless Chromium and prints, as JSON, every response, every problem and what the pages say.
// Used by browser_test.py: HOME holds the certificate store, PROFILE a fresh profile, SCREENSHOTS the pictures.
"use strict";

const path = require("node:path");
const { chromium } = require("playwright-core");

function watch(page, report) {
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") report.problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => report.problems.push(`script: ${error.message}`));
  page.on("requestfailed", (request) =>
    report.problems.push(`failed: ${request.url()} ${request.failure().errorText}`));
}

async function watchProtocol(context, page, report) {
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  session.on("Network.responseReceived", ({ response, type }) => {
    if (!response.url.startsWith("http")) return;
    const fields = Object.fromEntries(
      Object.entries(response.headers).map(([name, value]) => [name.toLowerCase(), value]));
    report.responses.push({
      url: response.url,
      status: response.status,
      protocol: response.protocol,
      kind: type.toLowerCase(),
      address: response.remoteIPAddress,
      cacheStatus: fields["cache-status"] || "",
    });
  });
}

async function see(page, url, report) {
  await page.goto(url, { waitUntil: "networkidle" });
  // Lazy pictures load as they are scrolled to.
  await page.evaluate(async () => {
    for (let y = 0; y < document.body.scrollHeight; y += 400) {
      scrollTo(0, y);
      await new Promise(requestAnimationFrame);
    }
    scrollTo(0, 0);
  });
  await page.waitForLoadState("networkidle");
  if (url.endsWith("/websocket.html")) {
    await page.waitForFunction(() => document.querySelector("[data-served]").dataset.served === "done");
  }
  report.footer = await page.locator("[data-served]").innerText();
  if (url.endsWith("/live.html")) {
    // The first measurement fetches what no page has needed yet.
    for (let round = 0; round < 2; round += 1) {
      await page.click("#measure");
      await page.waitForFunction(() => !document.querySelector("#measure").disabled);
    }
    report.live = Object.fromEntries(await page.locator("[data-meter]").evaluateAll(
      (meters) => meters.map((meter) => [meter.dataset.meter, meter.textContent])));
  }
  const name = path.basename(new URL(url).pathname, ".html") || "home";
  await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `browser-${name}.png`), fullPage: true });
}

async function main() {
  const report = { responses: [], problems: [], footer: "", live: null };
  const context = await chromium.launchPersistentContext(process.env.PROFILE, {
    executablePath: "/usr/bin/chromium",
    viewport: { width: 1280, height: 900 },
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(60000);
    watch(page, report);
    await watchProtocol(context, page, report);
    for (const url of process.argv.slice(2)) await see(page, url, report);
  } finally {
    await context.close();
  }
  process.stdout.write(JSON.stringify(report));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
