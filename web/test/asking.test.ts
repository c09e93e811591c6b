import assert from "node:assert/strict";
import { test } from "node:test";

import { Changes, Lists, type Request, type Wants } from "../src/protocol/asking.ts";
import type { HelloData } from "../src/protocol/messages.ts";

const [TRADE, DEPTH, CANCEL, CHANGE, RESUME, STATES, STATES_CANCEL] = [22004, 22002, 22006, 28012, 28016, 28024, 28026];
const EPOCH = 1_795_364_866_865_660;
const HELLO: HelloData = {
  server: "tickwire",
  version: "0",
  time: 0,
  plan: {},
  extensions: [28000, CHANGE, RESUME, STATES],
  encodings: ["json"],
  resume_seconds: 60,
};

function wants(trades: string[], book = "", kline = ""): Wants {
  return {
    trades,
    books: new Map(book === "" ? [] : [[book, 5]]),
    klines: new Map(kline === "" ? [] : [[kline, 1]]),
  };
}

const trade = (code: string, more = {}) => ({ kind: "trade", code, ...more });

/** A server that takes changes, and gives what `state` says of each item. */
class Desk {
  readonly changes = new Changes();
  at = 1_000_000;
  wants = wants([]);

  constructor(offer: Partial<HelloData> = {}) {
    this.changes.greeted({ ...HELLO, ...offer });
  }

  next(wants: Wants): Request | null {
    this.wants = wants;
    return this.changes.next(wants, this.at);
  }

  /** All requests until nothing is to be asked, each answered. */
  settle(wants: Wants, last = 5, state: (item: { kind: string; code: string }) => object = () => ({})): [number, unknown][] {
    const found: [number, unknown][] = [];
    for (let request = this.next(wants); request !== null; request = this.next(wants)) {
      found.push([request.command, request.data]);
      this.answer(request, last, state);
    }
    return found;
  }

  answer(request: Request, last = 5, state: (item: { kind: string; code: string }) => object = () => ({})) {
    const { add = [], items = [] } = request.data as { add?: { kind: string; code: string }[]; items?: { kind: string; code: string }[] };
    const added = add.map((item) => ({ ...item, state: "ok", epoch: EPOCH, seq: EPOCH + last, ...state(item) }));
    const back = items.map((item) => ({ ...item, state: "resumed", epoch: EPOCH, from: EPOCH + last + 1, ...state(item) }));
    return this.changes.answered(request.command === RESUME ? { items: back } : { added, removed: [] }, this.at);
  }

  push(code: string, seq: number): void {
    this.changes.pushed("trade", code, 0, EPOCH + seq);
  }

  /** The connection is lost, and another one is there after so many seconds. */
  cut(seconds: number): void {
    this.changes.closed(this.at);
    this.at += seconds * 1000;
    this.changes.opened();
  }
}

test("all is added at once, what is looked at first, and then it is followed what they do", () => {
  const desk = new Desk();
  const found = desk.settle(wants(["GOLD", "BTCUSDT"], "GOLD", "GOLD"));
  const add = [
    { kind: "kline", code: "GOLD", kline_type: 1 },
    { kind: "depth", code: "GOLD", depth_level: 5 },
    trade("GOLD"),
    trade("BTCUSDT"),
  ];
  assert.deepEqual(found, [
    [CHANGE, { add, remove: [] }],
    [STATES, { symbol_list: [{ code: "BTCUSDT" }, { code: "GOLD" }] }],
  ]);
});

test("another code that is looked at changes its book and its bars alone", () => {
  const desk = new Desk();
  desk.settle(wants(["GOLD", "BTCUSDT"], "GOLD", "GOLD"));
  const [first, ...rest] = desk.settle(wants(["GOLD", "BTCUSDT"], "BTCUSDT", "BTCUSDT"));
  assert.deepEqual(first, [
    CHANGE,
    {
      add: [
        { kind: "kline", code: "BTCUSDT", kline_type: 1 },
        { kind: "depth", code: "BTCUSDT", depth_level: 5 },
      ],
      remove: [
        { kind: "kline", code: "GOLD", kline_type: 1 },
        { kind: "depth", code: "GOLD", depth_level: 5 },
      ],
    },
  ]);
  assert.deepEqual(rest, []);
});

test("one request at a time, and another number of levels is asked for anew", () => {
  const desk = new Desk({ extensions: [CHANGE, RESUME] });
  const request = desk.next(wants(["GOLD"], "GOLD"));
  assert.ok(request !== null);
  assert.equal(desk.next(wants(["GOLD"])), null);
  desk.answer(request);
  const deeper = { ...wants(["GOLD"]), books: new Map([["GOLD", 10]]) };
  assert.deepEqual(desk.settle(deeper), [[CHANGE, { add: [{ kind: "depth", code: "GOLD", depth_level: 10 }], remove: [] }]]);
});

test("after a cut each stream goes on behind the last event that came", () => {
  const desk = new Desk({ extensions: [CHANGE, RESUME] });
  desk.settle(wants(["GOLD", "BTCUSDT"]), 5);
  desk.push("GOLD", 6);
  desk.push("GOLD", 9);
  desk.push("GOLD", 8);
  desk.cut(30);
  const request = desk.next(wants(["GOLD", "BTCUSDT", "EURUSD"]));
  const items = [trade("GOLD", { epoch: EPOCH, seq: EPOCH + 9 }), trade("BTCUSDT", { epoch: EPOCH, seq: EPOCH + 4 })];
  assert.deepEqual(request, { command: RESUME, data: { items } });
  assert.ok(request !== null);
  assert.deepEqual(desk.answer(request, 9), []);
  assert.deepEqual(desk.settle(wants(["GOLD", "BTCUSDT", "EURUSD"])), [[CHANGE, { add: [trade("EURUSD")], remove: [] }]]);
});

test("what cannot be had of it is a hole: of trades with how many", () => {
  const desk = new Desk();
  const wanted = wants(["GOLD", "BTCUSDT"], "GOLD", "GOLD");
  desk.settle(wanted, 5);
  desk.push("GOLD", 5);
  desk.cut(30);
  const request = desk.next(wanted);
  assert.ok(request !== null);
  const holes = desk.answer(request, 5, ({ kind, code }) => (code === "GOLD" ? { state: "gap", from: EPOCH + 20 } : {}));
  assert.deepEqual(holes, [
    { kind: "kline", code: "GOLD", missed: null },
    { kind: "trade", code: "GOLD", missed: 14 },
  ]);
});

test("after a cut that was too long they are added, and what lies between is told", () => {
  const desk = new Desk();
  desk.settle(wants(["GOLD", "BTCUSDT", "EURUSD"]), 5);
  for (const code of ["GOLD", "BTCUSDT", "EURUSD"]) desk.push(code, 5);
  desk.cut(61);
  const request = desk.next(wants(["GOLD", "BTCUSDT", "EURUSD"]));
  assert.equal(request?.command, CHANGE);
  assert.ok(request !== null);
  const seqs: Record<string, object> = { GOLD: { seq: EPOCH + 5 }, BTCUSDT: { seq: EPOCH + 9 }, EURUSD: { epoch: EPOCH + 1e9, seq: 0 } };
  assert.deepEqual(
    desk.answer(request, 5, ({ code }) => seqs[code] ?? {}),
    [
      { kind: "trade", code: "BTCUSDT", missed: 3 }, // the last one follows
      { kind: "trade", code: "EURUSD", missed: null },
    ],
  );
});

test("trades that are wanted again soon are resumed too", () => {
  const desk = new Desk({ extensions: [CHANGE, RESUME] });
  desk.settle(wants(["GOLD", "BTCUSDT"], "GOLD"));
  desk.push("GOLD", 7);
  desk.settle(wants(["BTCUSDT"], "BTCUSDT"));
  desk.at += 10_000;
  const back = [RESUME, { items: [trade("GOLD", { epoch: EPOCH, seq: EPOCH + 7 })] }];
  const add = [{ kind: "depth", code: "GOLD", depth_level: 5 }];
  const remove = [{ kind: "depth", code: "BTCUSDT", depth_level: 5 }];
  assert.deepEqual(desk.settle(wants(["BTCUSDT", "GOLD"], "GOLD")), [[CHANGE, { add, remove }], back]);
});

test("the server says that a stream goes on elsewhere", () => {
  const desk = new Desk();
  desk.settle(wants(["GOLD"]), 5);
  desk.push("GOLD", 5);
  const goes = { kind: "trade", code: "GOLD", epoch: EPOCH, from: EPOCH + 10 } as const;
  assert.deepEqual(desk.changes.goesOn({ ...goes, gap: 1 }), [{ kind: "trade", code: "GOLD", missed: 4 }]);
  assert.deepEqual(desk.changes.goesOn({ ...goes, epoch: EPOCH + 100, from: EPOCH + 100, gap: 0 }), []);
  assert.deepEqual(desk.changes.goesOn({ ...goes, code: "NOPE", gap: 1 }), []);
});

test("where there is no room the first ones stay, and one that is looked at takes the place of the last", () => {
  const desk = new Desk({ extensions: [CHANGE, RESUME] });
  let room = 2;
  const state = () => (room-- > 0 ? {} : { state: "over_limit" });
  desk.settle(wants(["A", "B", "C", "D"]), 5, state);
  room = 2;
  assert.deepEqual(desk.settle(wants(["D", "A", "B", "C"]), 5, state), [[CHANGE, { add: [trade("D")], remove: [trade("B")] }]]);
});

test("what is unknown is not asked for again, before the next connection", () => {
  const desk = new Desk({ extensions: [CHANGE, RESUME] });
  const state = ({ code }: { code: string }) => (code === "NOPE" ? { state: "unknown" } : {});
  assert.equal(desk.settle(wants(["GOLD", "NOPE"]), 5, state).length, 1);
  desk.cut(1);
  assert.deepEqual(
    desk.settle(wants(["GOLD", "NOPE"]), 5, state).map(([command]) => command),
    [RESUME, CHANGE],
  );
});

test("what an answer does not name is not asked for again", () => {
  const desk = new Desk({ extensions: [CHANGE, RESUME] });
  assert.ok(desk.next(wants(["GOLD"])) !== null);
  assert.deepEqual(desk.changes.answered({ added: [], removed: [] }, desk.at), []);
  assert.equal(desk.next(wants(["GOLD"])), null);
});

test("what was too fast is asked again, and what is refused is not", () => {
  const desk = new Desk({ extensions: [CHANGE, RESUME] });
  const first = desk.next(wants(["GOLD"]));
  desk.changes.refused(true);
  assert.deepEqual(desk.next(wants(["GOLD"])), first);
  desk.changes.refused(false);
  assert.equal(desk.next(wants(["GOLD"])), null);
});

test("what instruments do is followed as the list changes, and ends with it", () => {
  const desk = new Desk();
  desk.settle(wants(["GOLD"]));
  const both = [STATES, { symbol_list: [{ code: "BTCUSDT" }, { code: "GOLD" }] }];
  assert.deepEqual(desk.settle(wants(["GOLD", "BTCUSDT"])).at(-1), both);
  assert.deepEqual(desk.settle(wants(["BTCUSDT", "GOLD"])), [], "in another order it is the same list");
  assert.deepEqual(desk.settle(wants([])).at(-1), [STATES_CANCEL, {}]);
  desk.cut(1);
  assert.deepEqual(desk.settle(wants([])), []);
});

test("a server that offers less is sent whole lists", () => {
  assert.ok(Changes.offeredBy(HELLO));
  assert.ok(!Changes.offeredBy({ ...HELLO, extensions: [CHANGE] }));
  const lists = new Lists();
  assert.deepEqual(lists.opened(wants(["GOLD"]), false), []);
  const [first, second] = [wants(["GOLD"], "GOLD"), wants(["GOLD"])];
  assert.equal(lists.next(first)?.command, TRADE);
  assert.equal(lists.next(first), null);
  lists.answered();
  assert.deepEqual(lists.next(first), { command: DEPTH, data: { symbol_list: [{ code: "GOLD", depth_level: 5 }] } });
  lists.refused(true);
  assert.equal(lists.next(first)?.command, DEPTH);
  lists.answered();
  assert.deepEqual(lists.next(second), { command: CANCEL, data: { cancel_type: 1 } });
  lists.refused(false);
  assert.equal(lists.next(second), null);
});

test("and after a cut of one nobody knows what is missing", () => {
  const lists = new Lists();
  assert.deepEqual(lists.opened(wants(["GOLD"], "", "GOLD"), true), [
    { kind: "kline", code: "GOLD", missed: null },
    { kind: "trade", code: "GOLD", missed: null },
  ]);
});
