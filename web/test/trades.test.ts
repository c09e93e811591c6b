import assert from "node:assert/strict";
import { test } from "node:test";

import { Trades } from "../src/market/trades.ts";

function trade(tick_time: number, seq: number) {
  return { code: "GOLD", seq, tick_time, price: `${seq}`, volume: "1", turnover: "1", trade_direction: 0 };
}

function added(...pairs: readonly [number, number][]): Trades {
  const trades = new Trades();
  for (const [time, seq] of pairs) trades.add(trade(time, seq));
  return trades;
}

const seqs = (trades: Trades) => trades.latest.map((one) => one.trade.seq);

test("trades stand newest first", () => {
  assert.deepEqual(seqs(added([1000, 1], [2000, 2], [2000, 3])), [3, 2, 1]);
  assert.equal(new Trades().newest, undefined);
});

test("a late trade goes to its place and is not the last price", () => {
  const trades = added([1000, 1], [3000, 2], [2000, 3]);
  assert.deepEqual(seqs(trades), [2, 3, 1]);
  assert.equal(trades.newest?.seq, 2);
});

test("what was pushed behind the next one goes before it, and what comes twice counts once", () => {
  assert.deepEqual(seqs(added([1000, 1], [1000, 3], [1000, 2], [1000, 2], [1000, 3])), [3, 2, 1]);
});

test("where the market's time goes back, all begins anew: at once by a minute", () => {
  assert.deepEqual(seqs(added([100_000, 1], [200_000, 2], [100_000, 3])), [3]);
});

test("and by less, as in the loop of a short recording, after some trades", () => {
  const trades = added([40_000, 1]);
  for (let number = 0; number < 20; number++) trades.add(trade(1000 + number, 2 + number));
  assert.equal(trades.newest?.seq, 21);
});

test("the latest sixty are shown, however many came", () => {
  const trades = new Trades();
  for (let number = 1; number <= 1000; number++) trades.add(trade(number, number));
  assert.equal(trades.latest.length, 60);
  assert.equal(trades.latest[59]?.trade.seq, 941);
});

test("what is missing stands before the next trade that is another one", () => {
  const trades = added([1000, 1]);
  trades.hole(4);
  trades.add(trade(1000, 1));
  trades.add(trade(2000, 6));
  trades.add(trade(2001, 7));
  assert.deepEqual(trades.latest.map((one) => one.missed), [0, 4, 0]);
});

test("holes add up, and one that nobody can count makes them one", () => {
  const trades = added([1000, 1]);
  trades.hole(4);
  trades.hole(2);
  trades.add(trade(2000, 8));
  assert.equal(trades.latest[0]?.missed, 6);
  trades.hole(1);
  trades.hole(null);
  trades.add(trade(3000, 12));
  assert.equal(trades.latest[0]?.missed, null);
});

test("before the first trade nothing is missed", () => {
  const trades = new Trades();
  trades.hole(null);
  trades.add(trade(1000, 1));
  assert.equal(trades.latest[0]?.missed, 0);
});
