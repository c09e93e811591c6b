import assert from "node:assert/strict";
import { test } from "node:test";

import { standing } from "../src/market/standing.ts";
import type { StatusData } from "../src/protocol/messages.ts";

const STATES = ["pre-open", "open", "break", "closed", "halted", "limit-up", "limit-down", "delisted"];

function source(status: StatusData["status"], name = "alltick"): StatusData {
  return { source: name, status, since: 0, reason: "", simulated: 0 };
}

test("each state has a mark of its own shape, and says what it means", () => {
  const all = STATES.map((state) => standing(state, "open", [source("up")]));
  assert.equal(new Set(all.map((one) => one.mark)).size, STATES.length);
  assert.equal(new Set(all.map((one) => one.text)).size, STATES.length);
  assert.deepEqual(all.map((one) => one.name), STATES);
});

test("without a connection nobody knows, and what was known last is said", () => {
  for (const link of ["waiting", "connecting"] as const) {
    const found = standing("open", link, [source("up")]);
    assert.equal(found.name, "lost");
    assert.match(found.text, /No connection .* It was open\./);
  }
});

test("a source that gives nothing is told apart from a market that is quiet", () => {
  assert.equal(standing("open", "open", [source("up")]).word, "open");
  const stale = standing("open", "open", [source("stale")]);
  assert.deepEqual([stale.name, stale.word], ["stale", "source stale"]);
  assert.match(stale.text, /alltick is connected and gives nothing, though its markets are open\. Last known: open\./);
  assert.equal(standing("open", "open", [source("down")]).word, "source down");
  assert.equal(standing("closed", "open", [source("ended")]).word, "source ended");
});

test("of several sources one that is up may be that of the instrument", () => {
  assert.equal(standing("open", "open", [source("down"), source("up", "simulator")]).name, "open");
  assert.equal(standing("open", "open", [source("down"), source("stale", "simulator")]).name, "stale");
});

test("a state that nobody has heard of is shown as it is", () => {
  assert.deepEqual(standing("auction", "open", []), { name: "auction", mark: "?", word: "auction", text: "It is auction." });
});
