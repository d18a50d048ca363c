// Two people in one headless Chromium, each with cookies of their own and without JavaScript, sign in by the pages at
// the URL given and take turns; then a page from elsewhere tries to act for one of them. Prints what they saw as JSON.
// Used by accounts_browser_test.py, which says by HOME whom to trust and by ADDRESS where the host is.
"use strict";

const { chromium } = require("playwright-core");

const base = process.argv[2];
const turns = Number(process.argv[3]);
const password = process.argv[4];
const host = new URL(base).hostname;

function watch(page, report) {
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") report.problems.push(`console: ${message.text()}`);
  });
  page.on("requestfailed", (request) =>
    report.problems.push(`failed: ${request.url()} ${request.failure().errorText}`));
  page.on("request", (request) => {
    if (new URL(request.url()).hostname !== host) report.elsewhere.push(request.url());
  });
}

async function signIn(browser, name, report) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  watch(page, report);
  await page.goto(`${base}/`);
  await page.getByLabel("E-mail or name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Your account" }).waitFor();
  return { context, page };
}

async function seen(page) {
  await page.goto(`${base}/account`);
  const signedIn = await page.locator("header form span").count();
  return signedIn === 1 ? page.locator("header form span").innerText() : "";
}

/// A form on somebody else's page that would do `action`; what came of it.
async function forge(context, action, fields) {
  const page = await context.newPage();
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`).join("");
  await page.route("https://elsewhere.test/", (route) => route.fulfill({
    contentType: "text/html",
    body: `<form method="post" action="${base}${action}">${inputs}<button>Win a prize</button></form>`,
  }));
  await page.goto("https://elsewhere.test/");
  const answered = page.waitForResponse((response) => response.url() === `${base}${action}`);
  await page.getByRole("button").click();
  const response = await answered;
  await page.waitForLoadState();
  await page.close();
  return response.status();
}

async function main() {
  const report = { problems: [], elsewhere: [], names: [], cookies: [], forged: {} };
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
      `--host-resolver-rules=MAP ${host} ${process.env.ADDRESS}`],
  });
  try {
    const alice = await signIn(browser, "alice", report);
    const bob = await signIn(browser, "bob", report);
    for (let turn = 0; turn < turns; turn += 1) report.names.push([await seen(alice.page), await seen(bob.page)]);
    report.cookies = (await alice.context.cookies()).map(({ name, httpOnly, secure, sameSite, path, domain }) =>
      ({ name, httpOnly, secure, sameSite, path, domain }));
    report.forged.signOut = await forge(alice.context, "/account/sign-out", {});
    report.forged.signIn = await forge(alice.context, "/account/sign-in", { name: "bob", password });
    report.afterForgery = await seen(alice.page);
    await alice.page.getByRole("button", { name: "Sign out everywhere" }).click();
    await alice.page.getByRole("heading", { name: "Sign in" }).waitFor();
    report.afterSignOut = [await seen(alice.page), await seen(bob.page)];
  } finally {
    await browser.close();
  }
  process.stdout.write(JSON.stringify(report));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
