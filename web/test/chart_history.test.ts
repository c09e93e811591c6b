import assert from "node:assert/strict";
import { test } from "node:test";

import { History, PAGE } from "../src/chart/history.ts";
import type { KlineBar } from "../src/protocol/messages.ts";
import { kline, page, pushed } from "./chart_bars.ts";

interface Request {
  readonly end: number;
  readonly answer: (bars: readonly KlineBar[]) => Promise<void>;
  readonly fail: (why: Error) => Promise<void>;
}

/** A server whose answers are given when the test says so. */
class Server {
  readonly asked: Request[] = [];

  readonly ask = (end: number): Promise<readonly KlineBar[]> =>
    new Promise((resolve, reject) => {
      this.asked.push({
        end,
        answer: (bars) => (resolve(bars), settled()),
        fail: (why) => (reject(why), settled()),
      });
    });

  at(place: number) {
    const found = this.asked[place];
    assert.ok(found !== undefined, `${this.asked.length} requests, not ${place + 1}`);
    return found;
  }
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
const times = (history: History) => history.bars.list.map((bar) => bar.time);
const full = (last: number) => page(last - (PAGE - 1) * 60, last);

function opened() {
  const server = new Server();
  const drawn: (number | "all")[] = [];
  const history = new History(server.ask, { bar: (time) => drawn.push(time), everything: () => drawn.push("all") });
  void history.latest();
  return { server, history, drawn };
}

test("older pages are fetched one at a time, up to the short one", async () => {
  const { server, history } = opened();
  await server.at(0).answer(full(600_000));
  void history.older();
  void history.older();
  assert.equal(server.asked.length, 2);
  const oldest = 600_000 - (PAGE - 1) * 60;
  assert.equal(server.at(1).end, oldest - 1);
  await server.at(1).answer(full(oldest - 60));
  assert.equal(history.bars.list.length, 2 * PAGE);
  void history.older();
  await server.at(2).answer([]);
  void history.older();
  assert.equal(server.asked.length, 3);
  history.close();
});

test("a late answer of a closed history lands nowhere", async () => {
  const { server, history, drawn } = opened();
  history.close();
  await server.at(0).answer(page(60, 120));
  assert.deepEqual([times(history), drawn], [[], []]);
});

test("pushes that begin after the page's last bar have the page fetched anew, once", async () => {
  const { server, history } = opened();
  await server.at(0).answer(page(60, 120));
  history.push(pushed(180, "2", 1));
  assert.equal(server.asked.length, 2);
  await server.at(1).answer([kline(60, "1"), kline(120, "5")]);
  assert.deepEqual(history.bars.toArray().map((bar) => bar.close_price), ["1", "5", "2"]);
  history.push(pushed(240, "3", 2));
  assert.equal(server.asked.length, 2);
  history.close();
});

test("pushes before the page are kept, and show whether the page is too old", async () => {
  const { server, history } = opened();
  history.push(pushed(120, "2", 1));
  await server.at(0).answer(page(60, 120));
  assert.equal(server.asked.length, 1);
  assert.equal(history.bars.at(120)?.kline.close_price, "2");
  history.close();
});

test("after a reconnect the hole is filled, and an older page under way is forgotten", async () => {
  const { server, history } = opened();
  await server.at(0).answer(full(600_000));
  void history.older();
  history.heal();
  await server.at(2).answer(full(600_600));
  await server.at(1).answer(full(1_000));
  assert.equal(times(history).length, PAGE + 10);
  assert.equal(times(history).at(-1), 600_600);
  void history.older();
  assert.equal(server.asked.length, 4);
  history.close();
});

test("a refusal is said and stays; a silent server is asked again", async () => {
  const first = opened();
  await first.server.at(0).fail(Object.assign(new Error("code unauthorized"), { ret: 604 }));
  assert.deepEqual(first.history.state.value, { name: "failed", why: "code unauthorized", again: false });
  first.history.close();
  const second = opened();
  await second.server.at(0).fail(new TypeError("fetch failed"));
  assert.deepEqual(second.history.state.value, { name: "failed", why: "The server does not answer.", again: true });
  void second.history.latest();
  await second.server.at(1).answer([]);
  assert.deepEqual(second.history.state.value, { name: "ready" });
  assert.deepEqual(second.drawn, ["all"]);
  second.history.close();
});

test("bars that are known stay while a page after a reconnect fails", async () => {
  const { server, history } = opened();
  await server.at(0).answer(page(60, 120));
  history.heal();
  await server.at(1).fail(new TypeError("fetch failed"));
  assert.equal(history.state.value.name, "ready");
  assert.deepEqual(times(history), [60, 120]);
  history.close();
});
