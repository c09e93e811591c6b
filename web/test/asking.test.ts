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

/** A server that keeps the last events of each stream, and a client of it that checks what it is given. */
class Market {
  readonly desk = new Desk({ extensions: [CHANGE, RESUME], resume_seconds: 10 });
  epoch = EPOCH;
  holes = 0;
  #last = new Map<string, number>();
  #lists = new Set<string>();
  #open = true;
  /** What the client had of each code, and what it was told to be missing before the next event. */
  #had = new Map<string, number>();
  #told = new Map<string, number | null>();

  /** So many events are kept of each. */
  readonly ring: number;

  constructor(ring: number) {
    this.ring = ring;
  }

  trade(code: string): void {
    this.#last.set(code, (this.#last.get(code) ?? this.epoch - 1) + 1);
    if (this.#open && this.#lists.has(code)) this.#push(code, this.#last.get(code) ?? 0);
  }

  cut(): void {
    if (this.#open) this.desk.changes.closed(this.desk.at);
    this.#open = false;
    this.#lists.clear();
  }

  open(): void {
    if (!this.#open) this.desk.changes.opened();
    this.#open = true;
  }

  restart(): void {
    this.cut();
    this.epoch += 1_000_000;
    this.#last.clear();
  }

  serve(wanted: Wants): void {
    if (!this.#open) return;
    for (let request = this.desk.next(wanted); request !== null; request = this.desk.next(wanted)) {
      const { add = [], remove = [], items = [] } = request.data as Record<string, { code: string; epoch: number; seq: number }[]>;
      for (const { code } of remove) this.#lists.delete(code);
      const pushes: [string, number][] = [];
      const added = add.map(({ code }) => {
        const last = this.#last.get(code);
        if (last !== undefined) pushes.push([code, last]);
        return { kind: "trade", code, state: "ok", epoch: this.epoch, seq: last ?? 0 };
      });
      const back = items.map(({ code, epoch, seq }) => {
        const last = this.#last.get(code) ?? this.epoch - 1;
        const oldest = Math.max(this.epoch, last - this.ring + 1);
        const whole = epoch === this.epoch && Math.max(seq + 1, epoch) >= oldest;
        const from = whole ? Math.max(seq + 1, epoch) : oldest;
        for (let next = from; next <= last; next++) pushes.push([code, next]);
        return { kind: "trade", code, state: whole ? "resumed" : "gap", epoch: this.epoch, from };
      });
      for (const { code } of [...add, ...items]) this.#lists.add(code);
      const holes = this.desk.changes.answered(request.command === RESUME ? { items: back } : { added, removed: [] }, this.desk.at);
      for (const { code, missed } of holes) {
        const before = this.#told.has(code) ? (this.#told.get(code) ?? null) : 0;
        this.#told.set(code, before === null || missed === null ? null : before + missed);
      }
      for (const [code, seq] of pushes) this.#push(code, seq);
    }
  }

  #push(code: string, seq: number): void {
    this.desk.changes.pushed("trade", code, 0, seq);
    const had = this.#had.get(code);
    const told = this.#told.has(code) ? (this.#told.get(code) ?? null) : 0;
    if (had !== undefined && seq <= had) return; // the last one, which comes again
    this.#had.set(code, seq);
    this.#told.delete(code);
    if (had === undefined) return;
    const missing = had < this.epoch ? null : seq - had - 1;
    assert.equal(told, missing, `${code}: ${had} to ${seq}`);
    if (missing !== 0) this.holes++;
  }
}

test("whatever happens, what came and what is told to be missing are together what there was", () => {
  let holes = 0;
  for (let seed = 1; seed <= 300; seed++) {
    let state = seed;
    const dice = (sides: number) => (state = (state * 48271) % 2147483647) % sides;
    const market = new Market(1 + dice(8));
    const codes = ["A", "B", "C", "D"];
    let wanted = wants(codes.slice(0, 2));
    for (let step = 0; step < 200; step++) {
      const what = dice(20);
      if (what < 11) market.trade(codes[dice(4)] ?? "");
      else if (what < 13) market.cut();
      else if (what < 16) market.open();
      else if (what < 17) wanted = wants(codes.filter(() => dice(2) === 0));
      else if (what < 19) market.desk.at += 1000 * dice(8);
      else if (dice(6) === 0) market.restart();
      if (dice(3) > 0) market.serve(wanted);
    }
    holes += market.holes;
  }
  assert.ok(holes > 100, `${holes} holes`);
});
