import assert from "node:assert/strict";
import { test } from "node:test";

import { dateAndTime, exactTime, span, timeOfDay, timeZone } from "../src/market/clock.ts";

const TIME = Date.UTC(2026, 10, 22, 20, 5, 9, 7);
const HONG_KONG = {
  calendar: "XHKG", markets: [], instruments: 1, timezone: "Asia/Hong_Kong", state: "open", round_the_clock: true,
  time: 0, next_open: null, next_close: null, holidays: [], known_until: "2035-12-31",
} as const;

test("times stand in the zone that was chosen", () => {
  assert.equal(timeOfDay(TIME, "UTC"), "20:05:09");
  assert.equal(timeOfDay(TIME, "Asia/Hong_Kong"), "04:05:09");
  assert.equal(dateAndTime(TIME, "Asia/Hong_Kong"), "2026-11-23 04:05:09");
  assert.equal(exactTime(TIME, "UTC"), "2026-11-22 20:05:09.007 UTC");
  assert.equal(timeOfDay(Date.UTC(2026, 0, 1), "UTC"), "00:00:00");
});

test("an exchange's zone is its calendar's, and UTC where there is none", () => {
  // A page reads what the server sent, so lists are never changed.
  const markets = [{ ...HONG_KONG, markets: [], holidays: [] }];
  assert.equal(timeZone("local", "XHKG", markets), undefined);
  assert.equal(timeZone("utc", "XHKG", markets), "UTC");
  assert.equal(timeZone("exchange", "XHKG", markets), "Asia/Hong_Kong");
  assert.equal(timeZone("exchange", "XNYS", markets), "UTC");
});

test("spans are told in their two largest units", () => {
  assert.equal(span(-5), "0 s");
  assert.equal(span(59_999), "59 s");
  assert.equal(span(200_000), "3 min 20 s");
  assert.equal(span(7_200_000), "2 h");
  assert.equal(span(7_205_000), "2 h");
  assert.equal(span(90_061_000), "1 d 1 h");
});
