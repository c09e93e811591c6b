/** One WebSocket of the protocol: it dials, keeps the heartbeat, heals, and asks for what is wanted anew each time. */

import { signal } from "@preact/signals";

import { token } from "../session.ts";
import type { Family } from "./api.ts";
import { type Asking, Changes, type Hole, Lists, type Wants } from "./asking.ts";
import {
  type BookData,
  Command,
  type GapData,
  type HelloData,
  type KlineData,
  PushCommand,
  type StateData,
  type StatusData,
  type TradeData,
} from "./messages.ts";

const SUBPROTOCOL = "tickwire";
const PATH: Record<Family, string> = { stock: "/quote-stock-b-ws-api", other: "/quote-b-ws-api" };
const HEARTBEAT = 5_000;
/** Not at once: while the page is still being drawn, the answer would wait for it. */
const FIRST_HEARTBEAT = 1500;
/** Milliseconds without an answer to a heartbeat after which a connection counts as dead. */
const MUTE = 5_000;
/** Milliseconds after which a server that has not said who it is counts as one that never does. */
const PATIENCE = 3_000;
const FIRST_WAIT = 300;
const LONGEST_WAIT = 8_000;
/** Milliseconds between a request and the next one; longer after the server said that it was too fast. */
const PACE = 120;
const SLOW_PACE = 3_200;
const TOO_MANY = new Set([605, 606]);

export type LinkState = "idle" | "connecting" | "open" | "waiting";

/** Who is told what comes. */
export interface Listener {
  trade(data: TradeData): void;
  book(data: BookData): void;
  kline(data: KlineData): void;
  status(data: StatusData): void;
  state(data: StateData): void;
  /** Events are missing before the next one of a stream. */
  hole(hole: Hole): void;
  /** The socket is open again after it was lost. */
  healed(): void;
  refused(ret: number, message: string): void;
  /** The socket could not be opened, so many times in a row. A browser does not say why. */
  shut(tries: number): void;
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
  #changes = new Changes();
  readonly #lists = new Lists();
  /** How this server is asked; null before that is known. */
  #asking: Asking | null = null;
  /** The number of the request whose answer is owed, 0 for none, and when it was sent. */
  #owed = 0;
  #owedSince = 0;
  /** The number of the request that asks who the server is, 0 once that is known. */
  #hello = 0;
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

  /** Drops the connection and what is known of it, until something is wanted anew. */
  stop(): void {
    this.#drop();
    this.#changes = new Changes();
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
    const socket = new WebSocket(url, [SUBPROTOCOL, `${SUBPROTOCOL}.token.${encoded(token())}`]);
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event: MessageEvent<string>) => this.#message(event.data);
    socket.onclose = () => {
      if (this.#socket === socket) this.#closed();
    };
  }

  #opened(socket: WebSocket): void {
    this.#tries = 0;
    this.state.value = "open";
    this.#next = 0;
    this.#hello = this.#send(Command.HELLO, {});
    // Whoever chose it most likely takes changes: the first prices do not wait until it has said so.
    if (socket.protocol === SUBPROTOCOL) this.#ask(this.#changes);
    this.#send(Command.STATUS, {});
    setTimeout(() => this.#socket === socket && this.#hello !== 0 && this.#greeted(null), PATIENCE);
    setTimeout(() => this.#socket === socket && this.#heartbeat(), FIRST_HEARTBEAT);
    this.#beating = setInterval(() => this.#heartbeat(), HEARTBEAT);
    if (this.reconnects.peek() > 0) this.listener.healed();
  }

  /** The server has said what it offers, or that it offers nothing of that. */
  #greeted(hello: HelloData | null): void {
    this.#hello = 0;
    if (hello === null || !Changes.offeredBy(hello)) return this.#ask(this.#lists);
    this.#changes.greeted(hello);
    if (this.#asking === null) this.#ask(this.#changes);
    else this.#flushSoon();
  }

  /** Asks so from now on. */
  #ask(asking: Asking): void {
    this.#asking?.closed(Date.now());
    this.#asking = asking;
    this.#owed = 0;
    const again = this.reconnects.peek() > 0;
    for (const hole of this.#asking.opened(this.#wants, again)) this.listener.hole(hole);
    this.#flush();
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
    this.#asking?.closed(Date.now());
    this.#asking = null;
    this.#hello = this.#owed = 0;
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) {
      socket.onmessage = socket.onopen = null;
      socket.close();
    }
  }

  #heartbeat(): void {
    this.#flushSoon(); // an answer that does not come is waited for so long
    if (this.#beat !== null) return; // one at a time, or the next would hide that this one has no answer
    const beat = { number: this.#send(Command.HEARTBEAT, {}), at: performance.now() };
    this.#beat = beat;
    setTimeout(() => {
      if (this.#beat === beat) this.#closed();
    }, MUTE);
  }

  #send(command: number, data: unknown): number {
    const number = ++this.#number;
    this.#socket?.send(JSON.stringify({ cmd_id: command, seq_id: number, trace: `terminal-${number}`, data }));
    return number;
  }

  #flushSoon(): void {
    if (this.state.peek() !== "open" || this.#flushing !== undefined) return;
    this.#flushing = setTimeout(() => this.#flush(), Math.max(20, this.#next - performance.now()));
  }

  /** Sends the next request, if there is one; one at a time, at the pace. */
  #flush(): void {
    this.#flushing = undefined;
    if (this.#asking === null || this.state.peek() !== "open") return;
    if (this.#owed !== 0 && performance.now() > this.#owedSince + MUTE) {
      this.#owed = 0;
      this.#asking.refused(true);
    }
    const request = this.#asking.next(this.#wants, Date.now());
    if (request === null) return;
    this.#owed = this.#send(request.command, request.data);
    this.#owedSince = performance.now();
    this.#next = this.#owedSince + this.#pace;
  }

  #message(text: string): void {
    let message: Message;
    try {
      message = JSON.parse(text) as Message;
    } catch {
      return; // a line that was garbled on its way; what it said comes again with the next
    }
    switch (message.cmd_id) {
      case PushCommand.TRADE: {
        const data = message.data as TradeData;
        this.#asking?.pushed("trade", data.code, 0, Number(data.seq));
        return this.listener.trade(data);
      }
      case PushCommand.DEPTH: {
        const data = message.data as BookData;
        this.#asking?.pushed("depth", data.code, 0, Number(data.seq));
        return this.listener.book(data);
      }
      case PushCommand.KLINE: {
        const data = message.data as KlineData;
        this.#asking?.pushed("kline", data.code, data.kline_type, Number(data.seq));
        return this.listener.kline(data);
      }
      case PushCommand.STATUS:
        return this.listener.status(message.data as StatusData);
      case PushCommand.STATE:
        return this.listener.state(message.data as StateData);
      case PushCommand.GAP:
        return this.#changes.goesOn(message.data as GapData).forEach((hole) => this.listener.hole(hole));
      default:
        return this.#answered(message.seq_id ?? 0, message.ret ?? 200, message);
    }
  }

  #answered(number: number, ret: number, { data, msg }: Message): void {
    if (this.#beat?.number === number) {
      this.latency.value = performance.now() - this.#beat.at;
      this.#beat = null;
    } else if (this.#hello === number) {
      this.#greeted(ret === 200 ? (data as HelloData) : null);
    } else if (this.#owed === number && this.#asking !== null) {
      this.#owed = 0;
      const again = TOO_MANY.has(ret);
      if (again) this.#next = performance.now() + (this.#pace = SLOW_PACE);
      if (ret === 200) for (const hole of this.#asking.answered(data, Date.now())) this.listener.hole(hole);
      else this.#asking.refused(again);
      if (ret !== 200 && !again) this.listener.refused(ret, msg ?? "");
      this.#flushSoon();
    }
  }
}

/** A token as a part of `Sec-WebSocket-Protocol`, which takes neither spaces nor most signs: base64url. */
function encoded(text: string): string {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
