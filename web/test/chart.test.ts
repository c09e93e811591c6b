import assert from "node:assert/strict";
import { test } from "node:test";

import { Bars } from "../src/chart/bars.ts";
import { decimalsOf, fitted } from "../src/chart/decimals.ts";
import { legend, spoken } from "../src/chart/legend.ts";
import { Times } from "../src/chart/times.ts";
import { kline, page, pushed, traded } from "./chart_bars.ts";

const times = (bars: Bars) => bars.list.map((bar) => bar.time);
const closes = (bars: Bars) => bars.toArray().map((bar) => bar.close_price);

test("what was pushed while a page was on its way is newer than the page", () => {
  const bars = new Bars();
  const since = bars.seq;
  bars.push(pushed(180, "7", 11));
  assert.deepEqual(bars.toArray(), []);
  bars.latest(page(60, 180), since);
  assert.deepEqual(times(bars), [60, 120, 180]);
  assert.equal(closes(bars)[2], "7");
});

test("a page is newer than what was pushed before it was asked for", () => {
  const bars = new Bars();
  bars.latest(page(60, 180), bars.seq);
  bars.push(pushed(180, "7", 11));
  bars.latest([...page(60, 120), kline(180, "8")], bars.seq);
  assert.equal(closes(bars)[2], "8");
});

test("a bar whose trades were all cancelled goes", () => {
  const bars = new Bars();
  bars.latest(page(60, 180), bars.seq);
  const gone = { ...pushed(120, "1", 5), state: "revised", removed: 1 } as const;
  assert.equal(bars.push(gone), "between");
  assert.equal(bars.push({ ...gone, seq: 6 }), "none");
  assert.deepEqual(times(bars), [60, 180]);
  bars.push(pushed(120, "2", 7));
  assert.deepEqual(times(bars), [60, 120, 180]);
});

test("a push takes the place of its bar, or stands behind it, or between", () => {
  const bars = new Bars();
  bars.latest([kline(60, "1"), kline(180, "1")], 0);
  assert.equal(bars.push(pushed(180, "2", 1)), "bar");
  assert.equal(bars.push(pushed(240, "3", 2)), "bar");
  assert.equal(bars.push(pushed(120, "4", 3)), "between");
  assert.equal(bars.push(pushed(60, "5", 4)), "bar");
  assert.deepEqual(times(bars), [60, 120, 180, 240]);
  assert.deepEqual(closes(bars), ["5", "4", "2", "3"]);
});

/** The bar of the first minute, with the trades up to 10. */
function forming() {
  const bars = new Bars(60);
  bars.latest([kline(60, "1")], 0);
  bars.push({ ...pushed(60, "2", 1), trade_seq: 10 });
  return bars;
}

const newest = (bars: Bars) => {
  const { close_price, high_price, low_price, volume, turnover } = bars.toArray().at(-1) ?? kline(0, "");
  return [close_price, high_price, low_price, volume, turnover];
};

test("a bar that forms counts a trade at once, and one that it counts already never", () => {
  const bars = forming();
  assert.equal(bars.trade(traded(100, 10)), "none");
  assert.equal(bars.trade(traded(100, 11, "30", "0.5")), "bar");
  assert.equal(bars.trade(traded(100, 11, "30", "0.5")), "none");
  assert.deepEqual(newest(bars), ["30", "30", "0", "5.5", "11"]);
});

test("a push counts what came before it, and what it does not count yet stays counted", () => {
  const bars = forming();
  for (const seq of [11, 12, 13]) bars.trade(traded(seq, seq));
  assert.deepEqual(newest(bars), ["3", "9", "0", "11", "23"]);
  bars.push({ ...pushed(60, "3", 2), volume: "9", turnover: "17", trade_seq: 12 });
  assert.deepEqual(newest(bars), ["3", "9", "0", "11", "23"]);
  bars.push({ ...pushed(60, "3", 3), volume: "11", turnover: "23", trade_seq: 13 });
  assert.deepEqual(newest(bars), ["3", "9", "0", "11", "23"]);
});

test("trades that came before the push of their bar are counted then", () => {
  const bars = new Bars(60);
  bars.latest([kline(0, "1")], 0);
  for (const seq of [10, 11]) assert.equal(bars.trade(traded(seq, seq)), "none");
  bars.push({ ...pushed(60, "2", 1), trade_seq: 10 });
  assert.deepEqual(newest(bars), ["3", "9", "0", "7", "11"]);
});

test("a trade of another bar, or in part counted already, waits for the push; so do those of a bar without trade_seq", () => {
  const bars = forming();
  assert.equal(bars.trade(traded(60_000, 11)), "none");
  assert.equal(bars.trade(traded(-1, 12)), "none");
  const several = { ...traded(5, 14), trades: 5, first_seq: 10, open_price: "1", high_price: "8", low_price: "1" };
  assert.equal(bars.trade(several), "none");
  assert.equal(bars.trade({ ...several, seq: 15, first_seq: 11, high_price: "70" }), "bar");
  assert.deepEqual(newest(bars), ["3", "70", "0", "7", "11"]);
  bars.push({ ...pushed(60, "2", 2), state: "closed", trade_seq: 15 });
  assert.equal(bars.trade(traded(6, 16)), "none");
  const daily = new Bars();
  daily.latest([kline(60, "1")], 0);
  daily.push({ ...pushed(60, "2", 1), trade_seq: 10 });
  assert.equal(daily.trade(traded(6, 16)), "none");
});

test("a push that comes twice or late changes nothing", () => {
  const bars = new Bars();
  bars.latest(page(60, 60), 0);
  bars.push(pushed(60, "2", 5));
  assert.equal(bars.push(pushed(60, "9", 5)), "none");
  assert.equal(bars.push(pushed(60, "9", 4)), "none");
  assert.deepEqual(closes(bars), ["2"]);
});

test("a revision that is older than the list waits for its page", () => {
  const bars = new Bars();
  bars.latest(page(600, 720), 0);
  const since = bars.seq;
  assert.equal(bars.push(pushed(540, "9", 1)), "none");
  assert.deepEqual(times(bars), [600, 660, 720]);
  bars.older(page(480, 540), since);
  assert.deepEqual(closes(bars), ["1", "9", "1", "1", "1"]);
});

test("what does not reach up to the latest page is dropped, and no hole stays", () => {
  const bars = new Bars();
  bars.latest(page(60, 180), 0);
  assert.equal(bars.latest(page(180, 300), bars.seq), true);
  assert.deepEqual(times(bars), [60, 120, 180, 240, 300]);
  bars.push(pushed(900, "2", 1));
  assert.equal(bars.latest(page(600, 900), 0), false);
  assert.deepEqual(times(bars), [600, 660, 720, 780, 840, 900]);
});

test("a bar that the server does not know any more goes away", () => {
  const bars = new Bars();
  bars.latest(page(60, 300), 0);
  bars.latest([kline(120, "1"), kline(300, "1")], bars.seq);
  assert.deepEqual(times(bars), [60, 120, 300]);
});

test("after a reconnect lower numbers count too", () => {
  const bars = new Bars();
  bars.latest(page(60, 60), 0);
  bars.push(pushed(60, "2", 1000));
  bars.renumber();
  assert.equal(bars.push(pushed(60, "3", 1)), "bar");
  assert.deepEqual(closes(bars), ["3"]);
});

test("only a page with other figures makes an incomplete bar whole", () => {
  const bars = new Bars();
  bars.latest(page(60, 60), 0);
  bars.push({ ...pushed(60, "2", 1), incomplete: 1 });
  bars.latest([kline(60, "2")], bars.seq);
  assert.equal(bars.at(60)?.incomplete, true);
  bars.latest([kline(60, "3")], bars.seq);
  assert.equal(bars.at(60)?.incomplete, false);
});

test("a chart shows as many decimals as its prices use", () => {
  const bars = new Bars();
  bars.latest([kline(60, "1.500000"), kline(120, "1.125000")], 0);
  assert.equal(decimalsOf(bars.list, 6), 3);
  assert.equal(decimalsOf([], 6), 2);
  assert.equal(decimalsOf([], 0), 0);
  assert.equal(fitted("442.600000", 2), "442.60");
  assert.equal(fitted("442.605000", 2), "442.605");
  assert.equal(fitted("442.000", 0), "442");
  assert.equal(fitted("1000", 2), "1000");
});

test("the legend counts the change from the close before, exactly", () => {
  const bars = new Bars();
  bars.latest([kline(60, "0.300000"), kline(120, "0.100000")], 0);
  const [first, second] = bars.list;
  assert.ok(first !== undefined && second !== undefined);
  const of = legend(second, first, 2);
  assert.deepEqual([of.close, of.change, of.changePercent, of.changeTrend], ["0.10", "−0.20", "−66.67%", "down"]);
  assert.match(spoken(of), /close 0\.10, change −0\.20, −66\.67%/);
  assert.equal(legend(first, undefined, 2).change, "−0.70");
});

test("days begin where those of the zone do, summer time or not", () => {
  const times = new Times("America/New_York", false);
  const summer = Date.UTC(2026, 6, 1, 4) / 1000;
  const winter = Date.UTC(2026, 11, 1, 5) / 1000;
  assert.equal(times.shifted(summer), Date.UTC(2026, 6, 1) / 1000);
  assert.equal(times.shifted(winter), Date.UTC(2026, 11, 1) / 1000);
  assert.equal(times.mark(winter, 30), "00:00");
  assert.equal(times.mark(winter, 60), "Dec");
  assert.equal(times.label(winter + 90 * 60), "Tue, 1 Dec 2026, 01:30");
  assert.equal(new Times("Asia/Kolkata", false).shifted(1000), 1000 + 5.5 * 3600);
});

test("bars of a day are labelled by their date alone", () => {
  const times = new Times("Asia/Hong_Kong", true);
  assert.equal(times.label(Date.UTC(2026, 10, 22, 16) / 1000), "Mon, 23 Nov 2026");
});
