/** The history of one chart: its latest page, older ones on demand, and what is pushed. */

import { type ReadonlySignal, signal } from "@preact/signals";

import type { ApiError } from "../protocol/api.ts";
import type { KlineBar, KlineData, TradeData } from "../protocol/messages.ts";
import { Bars } from "./bars.ts";

/** Bars of a page: the most that /kline answers at a time. */
export const PAGE = 500;
const RETRY = 4000;

/** Bars up to and including `end` in seconds (0 for the latest), oldest first. */
export type Ask = (end: number) => Promise<readonly KlineBar[]>;

/** Who draws: one bar, or everything. */
export interface Drawn {
  bar(time: number): void;
  everything(): void;
}

export type State =
  | { readonly name: "loading" }
  | { readonly name: "ready" }
  /** `again` says that it is tried again by itself. */
  | { readonly name: "failed"; readonly why: string; readonly again: boolean };

const LOADING: State = { name: "loading" };
const READY: State = { name: "ready" };

export class History {
  readonly bars: Bars;
  readonly #state = signal<State>(LOADING);
  readonly state: ReadonlySignal<State> = this.#state;
  /** Counts the latest pages that were asked for: only the newest one's answer counts. */
  #run = 0;
  #closed = false;
  #loaded = false;
  #paging = false;
  #exhausted = false;
  #pausedUntil = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** The newest bar of the latest page, and that of the first push since the connection began. */
  #paged: number | null = null;
  #firstPushed: number | null = null;
  #joined = false;

  readonly #ask: Ask;
  readonly #drawn: Drawn;

  /** `seconds` as for Bars. */
  constructor(ask: Ask, drawn: Drawn, seconds = 0) {
    this.bars = new Bars(seconds);
    this.#ask = ask;
    this.#drawn = drawn;
  }

  /** Nothing that is still under way has an effect after this. */
  close(): void {
    this.#closed = true;
    this.#run++;
    clearTimeout(this.#retry);
  }

  push(data: KlineData): void {
    const effect = this.bars.push(data);
    if (effect === "bar") this.#drawn.bar(Number(data.timestamp));
    if (effect === "between") this.#drawn.everything();
    if (data.state !== "revised") this.#firstPushed ??= Number(data.timestamp);
    this.#join();
  }

  trade(data: TradeData): void {
    const newest = this.bars.trade(data) === "bar" ? this.bars.list.at(-1) : undefined;
    if (newest !== undefined) this.#drawn.bar(newest.time);
  }

  /** Bars are missing: the connection was lost and is open again. */
  heal(): void {
    this.bars.renumber();
    this.#firstPushed = null;
    this.#paged = null;
    this.#joined = false;
    void this.latest();
  }

  /** Fetches the latest page, which also completes what is known. */
  async latest(): Promise<void> {
    clearTimeout(this.#retry);
    const run = ++this.#run;
    const since = this.bars.seq;
    this.#paging = false;
    if (!this.#loaded) this.#state.value = LOADING;
    try {
      const page = await this.#ask(0);
      if (run !== this.#run) return;
      if (!this.bars.latest(page, since)) this.#exhausted = page.length < PAGE;
      this.#paged = page.length === 0 ? null : Number(page.at(-1)?.timestamp);
    } catch (error) {
      if (run === this.#run) this.#failed(error);
      return;
    }
    this.#loaded = true;
    this.#state.value = READY;
    this.#drawn.everything();
    this.#join();
  }

  /** Fetches the page before the oldest bar, if there may be one and none is under way. */
  async older(): Promise<void> {
    const oldest = this.bars.list[0]?.time;
    if (this.#closed || this.#paging || this.#exhausted || !this.#loaded) return;
    if (oldest === undefined || Date.now() < this.#pausedUntil) return;
    this.#paging = true;
    const run = this.#run;
    const since = this.bars.seq;
    try {
      const page = await this.#ask(oldest - 1);
      if (run !== this.#run) return;
      this.#paging = false;
      this.#exhausted = page.length < PAGE;
      if (page.length === 0) return;
      this.bars.older(page, since);
      this.#drawn.everything();
    } catch {
      if (run !== this.#run) return;
      this.#paging = false;
      this.#pausedUntil = Date.now() + RETRY; // the next scroll after that asks again
    }
  }

  /** Asks anew, once, if pushes began with a bar after the page: its last bar may have changed in between. */
  #join(): void {
    if (this.#joined || this.#paged === null || this.#firstPushed === null) return;
    this.#joined = true;
    if (this.#firstPushed > this.#paged) void this.latest();
  }

  #failed(error: unknown): void {
    const ret = error instanceof Error ? (error as Partial<ApiError>).ret : undefined;
    const again = ret === undefined || ret === 429 || (ret >= 500 && ret < 600);
    if (again) this.#retry = setTimeout(() => void this.latest(), RETRY);
    if (!this.#loaded) {
      const why = ret === undefined || !(error instanceof Error) ? "The server does not answer." : error.message;
      this.#state.value = { name: "failed", why, again };
    }
  }
}
