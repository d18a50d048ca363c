// Says in the footer which edge this page came from: its own Cache-Status (RFC 9211), read back by asking
// for the page again.
"use strict";

/** `"frankfurt"; hit; ttl=12` → {edge: "frankfurt", verdict: "hit"}; null when there is no such field. A hit
 *  whose time to live is below zero is a stale one. */
function readCacheStatus(value) {
  if (!value) return null;
  const members = value.split(",").map((member) => member.trim());
  const [name, ...parameters] = members[members.length - 1].split(";").map((part) => part.trim());
  const forwarded = parameters.find((parameter) => parameter.startsWith("fwd="));
  const stale = parameters.some((parameter) => parameter.startsWith("ttl=-"));
  const verdict = parameters.includes("hit") ? (stale ? "stale" : "hit") : forwarded ? forwarded.slice(4) : "miss";
  return { edge: name.replace(/^"|"$/g, ""), verdict, text: value };
}

async function showServedBy() {
  const line = document.querySelector("[data-served]");
  const response = await fetch(location.pathname);
  await response.text();
  const status = readCacheStatus(response.headers.get("cache-status"));
  const age = response.headers.get("age");
  const navigation = performance.getEntriesByType("navigation")[0];
  const protocol = navigation && navigation.nextHopProtocol ? ` over ${navigation.nextHopProtocol}` : "";
  line.querySelector("span").textContent = status
    ? `Served by ${status.edge}${protocol}: ${status.verdict}${age === null ? "" : `, ${age} s old`}.`
    : `Served by the origin itself${protocol}: no edge stood between.`;
  line.hidden = false;
}

if (location.protocol.startsWith("http")) showServedBy().catch(() => {});
