import assert from "node:assert/strict";
import { test } from "node:test";

import { inWords, remaining } from "../src/market/steps.ts";

test("a step on markets says what and for which instruments", () => {
  const codes = ["AAPL.US", "700.HK"];
  assert.equal(inWords({ do: "halt", codes }), "Halted (T1 Halt - News Pending): AAPL.US, 700.HK");
  assert.equal(inWords({ do: "limit-up", percent: "20", codes }), "At the limit, +20%, no sellers: AAPL.US, 700.HK");
  assert.equal(inWords({ do: "limit-down" }), "At the limit, no buyers: all instruments");
  assert.equal(inWords({ do: "jump", percent: "-3.5" }), "Prices moved by −3.5%: all instruments");
  assert.equal(inWords({ do: "close-market", markets: ["us_stock", "crypto"] }), "Closed: US stocks, crypto");
  assert.equal(inWords({ do: "late", by: [0.5, 3], chance: 0.1 }), "10% of ticks up to 3 s late: all instruments");
  assert.equal(inWords({ do: "burst" }), "Every tick comes 10 times: all instruments");
});

test("a step on clients says what and to whom", () => {
  assert.equal(
    inWords({ do: "disconnect", after: [2, 6], reset: true, chance: 0.5 }),
    "50% of connections reset, at most 6 s old: all clients",
  );
  assert.equal(
    inWords({ do: "disconnect", code: 1012, reason: "service restart", family: "stock" }),
    "All connections closed with 1012 (service restart): stocks only",
  );
  assert.equal(
    inWords({ do: "answer", ret: 605, requests: [22002, "/kline"], tokens: ["given"] }),
    "All requests (22002, /kline) answered with 605: some tokens",
  );
  assert.equal(inWords({ do: "delay", connections: [3, 4] }), "All answers up to 1 s late: connections 3, 4");
  assert.equal(inWords({ do: "refuse", chance: 0.07 }), "7% of new connections refused with 503: all clients");
});

test("the clock concerns everybody", () => {
  assert.equal(
    inWords({ do: "clock", to: "saturday 12:00", hours: true }),
    "The market's clock: moved to saturday 12:00, markets keep their hours",
  );
  assert.equal(inWords({ do: "clock", speed: 60 }), "The market's clock: 60 times as fast");
});

test("what remains of a step counts from the scenario's beginning", () => {
  assert.equal(remaining({ do: "halt", at: 5, for: 30 }, 6.2), "29 s left");
  assert.equal(remaining({ do: "halt", for: 1 }, 3), "0 s left");
  assert.equal(remaining({ do: "halt" }, 3), "until stopped");
});
