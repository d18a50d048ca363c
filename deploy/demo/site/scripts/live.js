// The instrument of live.html: asks for every part of this site again and shows what the edge said of each.
"use strict";

const table = document.querySelector("#parts tbody");
const meters = Object.fromEntries(
  [...document.querySelectorAll("[data-meter]")].map((element) => [element.dataset.meter, element]));

function cell(row, text, className) {
  const td = row.insertCell();
  if (className) td.className = className;
  td.textContent = text;
  return td;
}

function kind(verdict) {
  if (verdict === "hit") return "hit";
  return verdict === "stale" ? "stale" : "miss";
}

// Past the browser's cache, but not past the edge's: "no-store" alone would also send "no-cache", and the
// edge would ask the origin each time.
const options = { cache: "no-store", headers: { "Cache-Control": "max-age=31536000" } };

async function measure(path) {
  const began = performance.now();
  const response = await fetch(path, options);
  const body = await response.arrayBuffer();
  return {
    path,
    bytes: body.byteLength,
    ms: performance.now() - began,
    age: response.headers.get("age"),
    status: readCacheStatus(response.headers.get("cache-status")),
  };
}

function show(part) {
  const row = table.insertRow();
  cell(row, part.path.replace(/^\//, "") || "home page");
  const verdict = part.status ? part.status.verdict : "origin";
  const tag = document.createElement("span");
  tag.className = `tag ${kind(verdict)}`;
  tag.textContent = verdict;
  cell(row, "").append(tag);
  cell(row, part.status ? part.status.edge : "–");
  cell(row, part.age === null ? "–" : `${part.age} s`, "number");
  cell(row, `${(part.bytes / 1024).toFixed(1)} KiB`, "number");
  cell(row, `${part.ms.toFixed(1)} ms`, "number");
}

async function run(button) {
  button.disabled = true;
  table.replaceChildren();
  const list = await (await fetch(document.querySelector("#parts").dataset.list)).json();
  const parts = [];
  for (const path of list) {
    const part = await measure(path);
    parts.push(part);
    show(part);
    const hits = parts.filter((each) => each.status && each.status.verdict === "hit").length;
    const middle = parts.map((each) => each.ms).sort((a, b) => a - b)[Math.floor(parts.length / 2)];
    meters.parts.textContent = parts.length;
    meters.hits.textContent = `${Math.round((100 * hits) / parts.length)} %`;
    meters.median.textContent = `${middle.toFixed(1)} ms`;
    meters.edge.textContent = part.status ? part.status.edge : "origin";
  }
  button.disabled = false;
}

const button = document.querySelector("#measure");
button.hidden = false;
button.addEventListener("click", () => run(button).catch((error) => {
  button.disabled = false;
  cell(table.insertRow(), `The measurement stopped: ${error.message}`).colSpan = 6;
}));
