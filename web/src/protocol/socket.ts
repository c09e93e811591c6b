/** One WebSocket of the protocol: it dials, keeps the heartbeat, heals, and says what it wants anew each time. */

import { signal } from "@preact/signals";

import { token } from "../session.ts";
import type { Family } from "./api.ts";
import type { BookData, KlineData, StatusData, TradeData } from "./messages.ts";

const PATH: Record<Family, string> = { stock: "/quote-stock-b-ws-api", other: "/quote-b-ws-api" };
const HEARTBEAT = 5_000;
/** Not at once: while the page is still being drawn, the answer would wait for it. */
const FIRST_HEARTBEAT = 1500;
/** Milliseconds without an answer to a heartbeat after which a connection counts as dead. */
const MUTE = 5_000;
const FIRST_WAIT = 300;
const LONGEST_WAIT = 8_000;
/** Milliseconds between a request and the next one; longer after the server said that it was too fast. */
const PACE = 120;
const SLOW_PACE = 3_200;
const TOO_MANY = new Set([605, 606]);

const COMMAND = { heartbeat: 22000, depth: 22002, trade: 22004, cancel: 22006, kline: 28004, klineCancel: 28006, status: 28008 };

export type LinkState = "idle" | "connecting" | "open" | "waiting";

/** What a socket asks for. */
export interface Wants {
  readonly trades: readonly string[];
  readonly books: ReadonlyMap<string, number>;
  readonly klines: ReadonlyMap<string, number>;
}

/** Who is told what comes. */
export interface Listener {
  trade(data: TradeData): void;
  book(data: BookData): void;
  kline(data: KlineData): void;
  status(data: StatusData): void;
  /** The socket is open again after it was lost: what came in between is missing. */
  healed(): void;
  refused(ret: number, message: string): void;
  /** The socket could not be opened, so many times in a row. A browser does not say why. */
  shut(tries: number): void;
}

interface Request {
  readonly key: string;
  readonly command: number;
  readonly data: unknown;
}

interface Message {
  readonly cmd_id: number;
  readonly data: unknown;
  readonly ret?: number;
  readonly msg?: string;
  readonly seq_id?: number;
}

const NOTHING: Wants = { trades: [], books: new Map(), klines: new Map() };

export class Socket {
  readonly state = signal<LinkState>("idle");
  /** Milliseconds from a heartbeat to its answer; null before the first. */
  readonly latency = signal<number | null>(null);
  /** The times that an open connection was lost. */
  readonly reconnects = signal(0);
  #socket: WebSocket | null = null;
  #wants: Wants = NOTHING;
  /** What the server was last asked for, as text, by kind. */
  #asked = new Map<string, string>();
  #pending = new Map<number, string>();
  #number = 0;
  #tries = 0;
  #beat: { number: number; at: number } | null = null;
  #pace = PACE;
  #next = 0;
  #flushing: number | undefined;
  #beating: number | undefined;
  #redial: number | undefined;

  constructor(
    readonly family: Family,
    private readonly listener: Listener,
  ) {
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  /** Asks for this from now on, over however many connections. */
  want(wants: Wants): void {
    this.#wants = wants;
    const wanted = wants.trades.length + wants.books.size + wants.klines.size > 0;
    if (wanted && this.state.peek() === "idle") this.#dial();
    else this.#flushSoon();
  }

  /** Drops the connection, until something is wanted anew. */
  stop(): void {
    this.#drop();
    this.#tries = 0;
    this.state.value = "idle";
  }

  #hurry(): void {
    if (this.state.peek() === "waiting") this.#dial();
    else if (this.state.peek() === "open") this.#heartbeat(); // it may have died while the machine slept
  }

  #dial(): void {
    clearTimeout(this.#redial);
    this.state.value = "connecting";
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${PATH[this.family]}`;
    const socket = new WebSocket(url, ["tickwire", `tickwire.token.${encoded(token())}`]);
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event: MessageEvent<string>) => this.#message(event.data);
    socket.onclose = () => {
      if (this.#socket === socket) this.#closed();
    };
  }

  #opened(socket: WebSocket): void {
    this.#tries = 0;
    this.#asked.clear();
    this.#pending.clear();
    this.state.value = "open";
    this.#send("status", COMMAND.status, {});
    setTimeout(() => this.#socket === socket && this.#heartbeat(), FIRST_HEARTBEAT);
    this.#beating = setInterval(() => this.#heartbeat(), HEARTBEAT);
    this.#next = 0;
    this.#flush();
    if (this.reconnects.peek() > 0) this.listener.healed();
  }

  #closed(): void {
    this.#drop();
    const lost = this.state.peek() === "open";
    if (lost) this.reconnects.value++;
    this.state.value = "waiting";
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#tries++);
    this.#redial = setTimeout(() => this.#dial(), wait * (0.5 + Math.random() / 2));
    if (!lost) this.listener.shut(this.#tries);
  }

  #drop(): void {
    clearTimeout(this.#redial);
    clearTimeout(this.#flushing);
    clearInterval(this.#beating);
    this.#flushing = undefined;
    this.#beat = null;
    this.latency.value = null;
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) {
      socket.onmessage = socket.onopen = null;
      socket.close();
    }
  }

  #heartbeat(): void {
    if (this.#beat !== null) return; // one at a time, or the next would hide that this one has no answer
    const beat = { number: this.#send("heartbeat", COMMAND.heartbeat, {}), at: performance.now() };
    this.#beat = beat;
    setTimeout(() => {
      if (this.#beat === beat) this.#closed();
    }, MUTE);
  }

  #send(key: string, command: number, data: unknown): number {
    const number = ++this.#number;
    this.#pending.set(number, key);
    this.#socket?.send(JSON.stringify({ cmd_id: command, seq_id: number, trace: `terminal-${number}`, data }));
    return number;
  }

  #flushSoon(): void {
    if (this.state.peek() !== "open" || this.#flushing !== undefined) return;
    this.#flushing = setTimeout(() => this.#flush(), Math.max(20, this.#next - performance.now()));
  }

  /** Sends the next request, if what is wanted is not what was asked for; one at a time, at the pace. */
  #flush(): void {
    this.#flushing = undefined;
    const due = this.#requests().filter((one) => this.#asked.get(one.key) !== JSON.stringify(one.data));
    const [first, ...rest] = due;
    if (first === undefined || this.state.peek() !== "open") return;
    this.#asked.set(first.key, JSON.stringify(first.data));
    this.#send(first.key, first.command, first.data);
    this.#next = performance.now() + this.#pace;
    if (rest.length > 0) this.#flushSoon();
  }

  #requests(): Request[] {
    const { trades, books, klines } = this.#wants;
    const requests: Request[] = [];
    const add = (key: string, list: unknown[], command: number, cancel: number, cancelData: unknown) => {
      if (list.length > 0) requests.push({ key, command, data: { symbol_list: list } });
      else if (this.#asked.has(key)) requests.push({ key, command: cancel, data: cancelData });
    };
    add("trade", trades.map((code) => ({ code })), COMMAND.trade, COMMAND.cancel, { cancel_type: 2 });
    const depths = [...books].map(([code, depth_level]) => ({ code, depth_level }));
    add("depth", depths, COMMAND.depth, COMMAND.cancel, { cancel_type: 1 });
    const types = [...klines].map(([code, kline_type]) => ({ code, kline_type }));
    add("kline", types, COMMAND.kline, COMMAND.klineCancel, {});
    return requests;
  }

  #message(text: string): void {
    let message: Message;
    try {
      message = JSON.parse(text) as Message;
    } catch {
      return; // a line that was garbled on its way; what it said comes again with the next
    }
    switch (message.cmd_id) {
      case 22998:
        return this.listener.trade(message.data as TradeData);
      case 22999:
        return this.listener.book(message.data as BookData);
      case 28998:
        return this.listener.kline(message.data as KlineData);
      case 28997:
        return this.listener.status(message.data as StatusData);
      default:
        return this.#answered(message.seq_id ?? 0, message.ret ?? 200, message.msg ?? "");
    }
  }

  #answered(number: number, ret: number, message: string): void {
    const key = this.#pending.get(number);
    this.#pending.delete(number);
    if (this.#beat?.number === number) {
      this.latency.value = performance.now() - this.#beat.at;
      this.#beat = null;
    }
    if (ret === 200 || key === undefined || key === "heartbeat") return;
    if (TOO_MANY.has(ret)) {
      this.#asked.delete(key);
      this.#pace = SLOW_PACE;
      this.#next = performance.now() + SLOW_PACE;
      this.#flushSoon();
    } else {
      this.listener.refused(ret, message);
    }
  }
}

/** A token as a part of `Sec-WebSocket-Protocol`, which takes neither spaces nor most signs: base64url. */
function encoded(text: string): string {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
