import assert from "node:assert/strict";
import { test } from "node:test";

import { basisPoints, brief, places, shortened } from "../src/market/decimal.ts";
import { largeFrom } from "../src/market/large.ts";
import { rungs } from "../src/market/levels.ts";

function side(...levels: [price: string, volume: string][]) {
  return levels.map(([price, volume]) => ({ price, volume }));
}

function bookOf(asks: ReturnType<typeof side>, bids: ReturnType<typeof side>) {
  return { code: "X", seq: 1, tick_time: 1, asks, bids };
}

const NONE = side(["0.000000", "0"], ["0.000000", "0"]);
const SOME = side(["10", "1"]);

test("totals grow from the best level, and bars are shares of the larger side", () => {
  const found = rungs(bookOf(side(["10.1", "0.1"], ["10.2", "0.2"]), side(["10.0", "0.5"], ["9.9", "0.7"])), 5);
  assert.deepEqual(found.asks.map((one) => one.total), ["0.1", "0.3"]);
  assert.deepEqual(found.bids.map((one) => one.total), ["0.5", "1.2"]);
  assert.deepEqual(found.asks.map((one) => one.share), [0.0833, 0.25]);
  assert.deepEqual(found.bids.map((one) => one.share), [0.4166, 1]);
  assert.equal(found.word, "");
});

test("levels beyond the rows count for nothing", () => {
  const found = rungs(bookOf(side(["11", "1"], ["12", "99"]), side(["10", "2"], ["9", "99"])), 1);
  assert.deepEqual(found.asks, [{ price: "11", volume: "1", total: "1", share: 0.5 }]);
  assert.deepEqual(found.bids, [{ price: "10", volume: "2", total: "2", share: 1 }]);
});

test("the spread is exact, and in basis points of the middle", () => {
  const found = rungs(bookOf(side(["1.14121", "1"]), side(["1.14117", "1"])), 1);
  assert.equal(found.spread, "0.00004");
  assert.equal(found.points, "0.35");
  assert.equal(rungs(bookOf(side(["101", "1"]), side(["99", "1"])), 1).points, "200.00");
  assert.equal(basisPoints("-1", "3"), "-3333.33");
  assert.equal(basisPoints("1", "0"), "");
});

test("a side of zeros is a limit, a side of nothing is only empty", () => {
  assert.equal(rungs(bookOf(NONE, SOME), 5).word, "Limit up: no sellers");
  assert.equal(rungs(bookOf(SOME, NONE), 5).word, "Limit down: no buyers");
  assert.equal(rungs(bookOf([], SOME), 5).word, "No sellers");
  assert.equal(rungs(bookOf(NONE, NONE), 5).word, "The book is empty");
  const limited = rungs(bookOf(NONE, SOME), 5);
  assert.deepEqual([limited.asks, limited.spread, limited.points], [[], null, null]);
  assert.equal(limited.bids[0]?.share, 1);
});

test("a trade is large beside the median of the others", () => {
  const trade = (volume: string) => ({
    code: "X", seq: 1, tick_time: 1, price: "1", volume, turnover: "1", trade_direction: 0,
  });
  assert.equal(largeFrom(["1", "2", "3"].map(trade)), Infinity);
  assert.equal(largeFrom(["9", "1", "2", "2", "2", "3", "1", "500"].map(trade)), 10);
  assert.equal(largeFrom(Array.from({ length: 9 }, () => trade("0"))), Infinity);
});

test("sizes are cut to fit, never rounded", () => {
  assert.equal(brief("0.26486"), "0.26486");
  assert.equal(brief("1684687.259"), "1\u2009684\u2009687");
  assert.equal(brief("4242190835"), "4\u2009242.1M");
  assert.equal(brief("11559325014.99"), "11\u2009559.3M");
});

test("a column keeps the decimals that any of its figures needs, and two at least", () => {
  assert.equal(places(["443.200000", "443.000000"]), 2);
  assert.equal(places(["1.235000", "1.230000"]), 3);
  assert.equal(places(["1.14120", "1.14118"]), 5);
  assert.equal(places(["100", "10"]), 2);
  assert.equal(places([]), 2);
  assert.deepEqual(["443.200000", "7", "1.5"].map((text) => shortened(text, 2)), ["443.20", "7", "1.5"]);
});
