/** What the page knows of one instrument: signals that change at most once a frame. */

import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";

import { onFrame, PACE } from "../frame.ts";
import type { TradeData } from "../protocol/messages.ts";
import { changeSince } from "../settings.ts";
import { compare, minus, percent, places } from "./decimal.ts";
import { type Taped, Trades } from "./trades.ts";

/** Milliseconds for which a price is lit after it moved. */
const LIT = 350;

export type Side = "up" | "down" | "";

// One clock for all, since an animation of each price would paint every frame anew.
const lit = new Map<Quote, number>();

setInterval(() => {
  const before = performance.now() - LIT;
  batch(() => {
    for (const [quote, since] of lit) {
      if (since > before) continue;
      quote.flash.value = "";
      lit.delete(quote);
    }
  });
}, 100);

export class Quote {
  /** The last price, null before the first trade. */
  readonly last = signal<string | null>(null);
  /** The decimals that its prices have said something with: a stock is sent with six and needs two. */
  readonly decimals = signal(2);
  /** Where the price went last. */
  readonly side = signal<Side>("");
  /** The same for a moment after it moved, then nothing. */
  readonly flash = signal<Side>("");
  /** The source's time of the last trade, in milliseconds since the epoch. */
  readonly time = signal<number | null>(null);
  /** The latest trades, newest first; made only where somebody looks at them. */
  readonly tape: ReadonlySignal<readonly Taped[]> = computed(() => {
    void this.#shown.value;
    return this.#trades.latest;
  });
  /** What it does, as the server says at once; null where that has not said so. */
  readonly state = signal<string | null>(null);
  /** The close of the session before the latest one. */
  readonly previousClose = signal<string | null>(null);
  /** The price 24 hours ago. */
  readonly dayAgo = signal<string | null>(null);
  /** Closes of the last day, for the sparkline. */
  readonly closes = signal<readonly string[]>([]);
  readonly change: ReadonlySignal<string | null> = computed(() => this.#since((last, base) => minus(last, base)));
  readonly changePercent: ReadonlySignal<string | null> = computed(() => this.#since(percent));
  readonly #trades = new Trades();
  /** When the next price may be shown. */
  #due = 0;
  /** Counts the frames in which trades were shown. */
  #shown = signal(0);

  /** Since when it is looked at, by performance.now(). */
  readonly since = performance.now();

  constructor(readonly code: string) {}

  /** A trade came. */
  add(trade: TradeData): void {
    this.#trades.add(trade);
    onFrame(this.#show);
  }

  /** So many trades are missing before the next one, null if nobody knows. */
  hole(missed: number | null): void {
    this.#trades.hole(missed);
  }

  readonly #show = (): void => {
    const at = performance.now();
    if (at < this.#due) {
      onFrame(this.#show);
      return;
    }
    this.#due = at + PACE * (0.75 + Math.random() / 2); // lest all rows fall into the same frame
    const newest = this.#trades.newest;
    if (newest === undefined) return;
    const before = this.last.peek();
    const direction = before === null ? 0 : compare(newest.price, before);
    if (direction !== 0) {
      this.side.value = this.flash.value = direction > 0 ? "up" : "down";
      lit.set(this, at);
    }
    this.last.value = newest.price;
    this.decimals.value = Math.max(this.decimals.peek(), places([newest.price]));
    this.time.value = Number(newest.tick_time);
    this.#shown.value++;
  };

  #since(figure: (last: string, base: string) => string): string | null {
    const base = changeSince.value === "close" ? this.previousClose.value : this.dayAgo.value;
    const last = this.last.value;
    return base === null || last === null ? null : figure(last, base);
  }
}
