/** What a server is asked for, over one connection after another: changes of its lists, and after a cut what was missed; of a server that takes no changes, whole lists. Pure: answers and times in, requests out. */

import {
  type ChangedData,
  Command,
  type GapData,
  type HelloData,
  type Item,
  type ItemState,
  type ResumedData,
} from "./messages.ts";

/** What is wanted; what is looked at stands first. What the instruments of all `trades` do is followed too. */
export interface Wants {
  readonly trades: readonly string[];
  /** With the levels. */
  readonly books: ReadonlyMap<string, number>;
  /** With the types of the bars. */
  readonly klines: ReadonlyMap<string, number>;
}

export interface Request {
  readonly command: number;
  readonly data: unknown;
}

/** Events of a stream are missing: so many, null where nobody knows. */
export interface Hole {
  readonly kind: Item["kind"];
  readonly code: string;
  readonly missed: number | null;
}

/** One way to ask. `at` is in milliseconds since the epoch. */
export interface Asking {
  /** A new connection is there, whose server has no lists yet; `again`: in place of one that was lost. */
  opened(wants: Wants, again: boolean): Hole[];
  closed(at: number): void;
  /** The next request; null while there is none, or the answer to the last one is owed. */
  next(wants: Wants, at: number): Request | null;
  /** It was answered. */
  answered(data: unknown, at: number): Hole[];
  /** It was refused, or not answered: it is asked `again`, or not on this connection. */
  refused(again: boolean): void;
  /** An event of a stream came. */
  pushed(kind: Item["kind"], code: string, klineType: number, seq: number): void;
}

/** Items of one request at the most. */
const MOST = 3000;

function itemsOf({ trades, books, klines }: Wants): Item[] {
  return [
    ...[...klines].map(([code, kline_type]): Item => ({ kind: "kline", code, kline_type })),
    ...[...books].map(([code, depth_level]): Item => ({ kind: "depth", code, depth_level })),
    ...trades.map((code): Item => ({ kind: "trade", code })),
  ];
}

/** By what streams are told apart. */
function nameOf(kind: string, code: string, klineType = 0): string {
  return `${kind} ${klineType} ${code}`;
}

/** Whole lists, each of which replaces the one before: AllTick's way. */
export class Lists implements Asking {
  /** What the server was last asked for, as text, by kind. */
  #asked = new Map<string, string>();
  #owed: string | null = null;

  opened(wants: Wants, again: boolean): Hole[] {
    this.#asked.clear();
    this.#owed = null;
    return again ? itemsOf(wants).map(({ kind, code }) => ({ kind, code, missed: null })) : [];
  }

  closed(): void {}

  next(wants: Wants): Request | null {
    if (this.#owed !== null) return null;
    for (const [key, request] of this.#requests(wants)) {
      const text = JSON.stringify(request.data);
      if (this.#asked.get(key) === text) continue;
      this.#asked.set(key, text);
      this.#owed = key;
      return request;
    }
    return null;
  }

  answered(): Hole[] {
    this.#owed = null;
    return [];
  }

  refused(again: boolean): void {
    if (again && this.#owed !== null) this.#asked.delete(this.#owed);
    this.#owed = null;
  }

  pushed(): void {}

  #requests({ trades, books, klines }: Wants): [string, Request][] {
    const requests: [string, Request][] = [];
    const add = (key: string, list: unknown[], command: number, cancel: Request) => {
      if (list.length > 0) requests.push([key, { command, data: { symbol_list: list } }]);
      else if (this.#asked.has(key)) requests.push([key, cancel]);
    };
    const cancel = (cancel_type: number): Request => ({ command: Command.CANCEL, data: { cancel_type } });
    add("trade", trades.map((code) => ({ code })), Command.TRADE, cancel(2));
    add("depth", [...books].map(([code, depth_level]) => ({ code, depth_level })), Command.DEPTH, cancel(1));
    const types = [...klines].map(([code, kline_type]) => ({ code, kline_type }));
    add("kline", types, Command.KLINE, { command: Command.KLINE_CANCEL, data: {} });
    return requests;
  }
}

/** The last event of a stream that came; `left` is since when nothing comes of it, null while it does. */
interface Position {
  epoch: number;
  seq: number;
  left: number | null;
}

interface Asked {
  readonly adds: ReadonlyMap<string, Item>;
  readonly removes: readonly string[];
  /** The codes that are to be followed, where that is what was asked. */
  readonly follows?: string;
}

/** Changes, item by item, and what was missed of streams that are taken up again: a Tickwire's way. */
export class Changes implements Asking {
  /** What stands in the server's lists. */
  #has = new Map<string, Item>();
  /** What this connection does not get. */
  #refused = new Set<string>();
  /** How many streams of a kind there is room for, once the server has said that there is no more. */
  #room = new Map<string, number>();
  #positions = new Map<string, Position>();
  #asked: Asked | null = null;
  #followed = "[]";
  #follows = false;
  /** For how long the server keeps what was missed, in milliseconds. */
  #kept = 0;

  /** Whether a server offers what is needed for this. */
  static offeredBy(hello: HelloData): boolean {
    return [Command.CHANGE, Command.RESUME].every((one) => hello.extensions.includes(one));
  }

  /** The server has said what it offers. */
  greeted(hello: HelloData): void {
    this.#kept = hello.resume_seconds * 1000;
    this.#follows = hello.extensions.includes(Command.STATES);
  }

  opened(): Hole[] {
    this.#has.clear();
    this.#refused.clear();
    this.#room.clear();
    this.#asked = null;
    this.#followed = "[]";
    return [];
  }

  closed(at: number): void {
    for (const position of this.#positions.values()) position.left ??= at;
  }

  next(wants: Wants, at: number): Request | null {
    if (this.#asked !== null) return null;
    const target = this.#target(wants);
    const removes = [...this.#has.keys()].filter((name) => !target.has(name)).slice(0, MOST);
    const fresh = [...target].filter(([name, item]) => {
      const has = this.#has.get(name);
      return has === undefined || has.depth_level !== item.depth_level;
    });
    const back = fresh.filter(([name]) => this.#resumable(name, at));
    // What leaves goes first, for it makes room.
    if (removes.length === 0 && back.length > 0) return this.#resume(new Map(back.slice(0, MOST)));
    const adds = fresh.filter((one) => !back.includes(one)).slice(0, MOST - removes.length);
    if (removes.length + adds.length > 0) return this.#change(new Map(adds), removes);
    return this.#follow(wants.trades);
  }

  answered(data: unknown, at: number): Hole[] {
    const asked = this.#asked;
    this.#asked = null;
    if (asked === null || asked.follows !== undefined) return [];
    for (const name of asked.removes) this.#leave(name, at);
    const { added, items } = data as Partial<ChangedData & ResumedData>;
    const told = new Map((added ?? items ?? []).map((one) => [nameOf(one.kind, one.code, one.kline_type), one]));
    const holes: Hole[] = [];
    const full = new Set<string>();
    for (const [name, item] of asked.adds) {
      const one = told.get(name);
      if (one === undefined || one.state === "unknown" || one.state === "unauthorized") this.#refused.add(name);
      else if (one.state === "over_limit") full.add(one.kind);
      else if (one.state !== "not_subscribed") {
        this.#has.set(name, item);
        // A resume names the event that follows, a change the last one, which follows too.
        const follows = "from" in one ? one.from : (one as ItemState).seq;
        const whole = one.state === "resumed" || one.state === "already";
        holes.push(...this.#join(item, one.epoch ?? 0, (follows ?? 0) - 1, whole));
      }
    }
    for (const kind of full) {
      this.#room.set(kind, [...this.#has.values()].filter((item) => item.kind === kind).length);
    }
    return holes;
  }

  refused(again: boolean): void {
    const asked = this.#asked;
    this.#asked = null;
    if (asked === null) return;
    if (asked.follows !== undefined) this.#followed = again ? "[]" : asked.follows;
    if (again) return;
    for (const name of asked.adds.keys()) this.#refused.add(name);
    for (const name of asked.removes) this.#has.delete(name);
  }

  pushed(kind: Item["kind"], code: string, klineType: number, seq: number): void {
    const position = this.#positions.get(nameOf(kind, code, klineType));
    if (position !== undefined && seq > position.seq) position.seq = seq;
  }

  /** The server says that a stream goes on elsewhere (28993). */
  goesOn({ kind, code, kline_type, epoch, from, gap }: GapData): Hole[] {
    const item: Item = kline_type === undefined ? { kind, code } : { kind, code, kline_type };
    if (!this.#positions.has(nameOf(kind, code, kline_type))) return [];
    return this.#join(item, epoch, from - 1, gap === 0);
  }

  /** What the server should have, as far as it gives it. */
  #target(wants: Wants): Map<string, Item> {
    const target = new Map<string, Item>();
    const taken = new Map<string, number>();
    for (const item of itemsOf(wants)) {
      const name = nameOf(item.kind, item.code, item.kline_type);
      const count = taken.get(item.kind) ?? 0;
      if (this.#refused.has(name) || count >= (this.#room.get(item.kind) ?? Infinity)) continue;
      target.set(name, item);
      taken.set(item.kind, count + 1);
    }
    return target;
  }

  #resumable(name: string, at: number): boolean {
    const left = this.#positions.get(name)?.left ?? null;
    return left !== null && at - left < this.#kept;
  }

  #resume(adds: ReadonlyMap<string, Item>): Request {
    this.#asked = { adds, removes: [] };
    const items = [...adds].map(([name, item]) => {
      const { epoch, seq } = this.#positions.get(name) ?? { epoch: 0, seq: 0 };
      return { ...item, epoch, seq };
    });
    return { command: Command.RESUME, data: { items } };
  }

  #change(adds: ReadonlyMap<string, Item>, removes: readonly string[]): Request {
    const remove = removes.flatMap((name) => this.#has.get(name) ?? []);
    this.#asked = { adds, removes };
    return { command: Command.CHANGE, data: { add: [...adds.values()], remove } };
  }

  #follow(codes: readonly string[]): Request | null {
    const symbol_list = (this.#follows ? codes : []).toSorted().map((code) => ({ code })); // in any order the same
    const follows = JSON.stringify(symbol_list);
    if (follows === this.#followed) return null;
    this.#asked = { adds: new Map(), removes: [], follows };
    this.#followed = follows;
    return symbol_list.length > 0
      ? { command: Command.STATES, data: { symbol_list } }
      : { command: Command.STATES_CANCEL, data: {} };
  }

  /** A stream is in no list any more. Of trades there may be a tape that they can be joined to later. */
  #leave(name: string, at: number): void {
    const position = this.#positions.get(name);
    if (this.#has.get(name)?.kind !== "trade") this.#positions.delete(name);
    else if (position !== undefined) position.left = at;
    this.#has.delete(name);
  }

  /** A stream goes on behind `seq`: what lies between that and what came of it is missing, unless it is `whole`. */
  #join({ kind, code, kline_type }: Item, epoch: number, seq: number, whole: boolean): Hole[] {
    const name = nameOf(kind, code, kline_type);
    const before = this.#positions.get(name);
    this.#positions.set(name, { epoch, seq: Math.max(seq, 0), left: null });
    if (whole || before === undefined || kind === "depth") return [];
    if (kind !== "trade" || before.epoch !== epoch) return [{ kind, code, missed: null }];
    const missed = seq - Math.max(before.seq, epoch - 1);
    return missed > 0 ? [{ kind, code, missed }] : [];
  }
}
