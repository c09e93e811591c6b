/** The bars of one code and type, oldest first: pages of history and pushes, joined without a seam. */

import type { KlineBar, KlineData } from "../protocol/messages.ts";

export interface Bar {
  /** When it opens, in seconds since the epoch. */
  readonly time: number;
  /** As the server wrote it. */
  readonly kline: KlineBar;
  /** The source was down during a part of it; only a push says so. */
  readonly incomplete: boolean;
  /** The `seq` of the push that it came with, 0 if it came with a page. */
  readonly seq: number;
}

/** What a push did: nothing to be seen, the newest bar or one that was there, or one between others. */
export type Effect = "none" | "bar" | "between";

export class Bars {
  #list: readonly Bar[] = [];
  /** Pushes of bars that are older than the list, or came before there was one: they wait for their page. */
  #early = new Map<number, Bar>();
  #begun = false;
  #seq = 0;

  get list(): readonly Bar[] {
    return this.#list;
  }

  /** The `seq` of the latest push: whoever asks for a page remembers it. */
  get seq(): number {
    return this.#seq;
  }

  /** The bar that opens at a time. */
  at(time: number): Bar | undefined {
    const bar = this.#list[this.place(time)];
    return bar?.time === time ? bar : undefined;
  }

  /** The place of the first bar that does not open before a time. */
  place(time: number): number {
    let [low, high] = [0, this.#list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#list[middle]?.time ?? Infinity) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** As `/kline` would answer: the texts of the server. */
  toArray(): KlineBar[] {
    return this.#list.map((bar) => bar.kline);
  }

  push(data: KlineData): Effect {
    const bar = pushed(data);
    this.#seq = Math.max(this.#seq, bar.seq);
    const oldest = this.#list[0];
    if (data.removed === 1) return this.#remove(bar.time);
    if (!this.#begun || (oldest !== undefined && bar.time < oldest.time)) {
      if ((this.#early.get(bar.time)?.seq ?? -1) < bar.seq) this.#early.set(bar.time, bar);
      return "none";
    }
    const place = this.place(bar.time);
    const known = this.#list[place];
    if (known?.time === bar.time) {
      if (known.seq >= bar.seq) return "none"; // came twice, or late
      this.#list = this.#list.with(place, bar);
      return "bar";
    }
    this.#list = this.#list.toSpliced(place, 0, bar);
    return known === undefined ? "bar" : "between";
  }

  /**
   * Puts the latest page in; what was pushed after `since` is newer than it, and so is a bar behind its last one
   * that this connection pushed. False if what was known does not reach up to the page: then that is dropped.
   */
  latest(page: readonly KlineBar[], since: number): boolean {
    const first = page.length === 0 ? -Infinity : Number(page[0]?.timestamp);
    const last = Number(page.at(-1)?.timestamp ?? -Infinity);
    const reaches = this.#list.some((bar) => bar.time >= first && bar.seq <= since);
    const older = reaches ? this.#list.filter((bar) => bar.time < first) : [];
    const known = [...this.#list, ...this.#early.values()];
    const merged = new Map(this.#merged(page, since).map((bar) => [bar.time, bar]));
    for (const bar of known) {
      if (bar.time >= first && bar.seq > (bar.time > last ? 0 : since)) merged.set(bar.time, bar);
    }
    this.#list = [...older, ...[...merged.values()].sort((a, b) => a.time - b.time)];
    for (const bar of this.#list) this.#early.delete(bar.time);
    this.#begun = true;
    return reaches;
  }

  /** Puts a page before the oldest bar. */
  older(page: readonly KlineBar[], since: number): void {
    const oldest = this.#list[0]?.time ?? Infinity;
    this.#list = [...this.#merged(page, since).filter((bar) => bar.time < oldest), ...this.#list];
  }

  /** A new connection counts its pushes anew: what is known is older than all that comes. */
  renumber(): void {
    this.#seq = 0;
    this.#early.clear();
    this.#list = this.#list.map((bar) => (bar.seq === 0 ? bar : { ...bar, seq: 0 }));
  }

  /** All trades of a bar were cancelled: it is there no more. */
  #remove(time: number): Effect {
    this.#early.delete(time);
    if (this.at(time) === undefined) return "none";
    this.#list = this.#list.filter((bar) => bar.time !== time);
    return "between";
  }

  /** The bars of a page, each as it is known best. */
  #merged(page: readonly KlineBar[], since: number): Bar[] {
    return page.map((kline) => {
      const time = Number(kline.timestamp);
      const known = this.#early.get(time) ?? this.at(time);
      this.#early.delete(time);
      const kept = known !== undefined && (known.seq > since || same(known.kline, kline));
      return kept ? known : { time, kline, incomplete: false, seq: 0 };
    });
  }
}

function pushed(data: KlineData): Bar {
  const { timestamp, open_price, close_price, high_price, low_price, volume, turnover } = data;
  return {
    time: Number(timestamp),
    kline: { timestamp, open_price, close_price, high_price, low_price, volume, turnover },
    incomplete: data.incomplete === 1,
    seq: Number(data.seq),
  };
}

function same(a: KlineBar, b: KlineBar): boolean {
  return (
    a.open_price === b.open_price &&
    a.close_price === b.close_price &&
    a.high_price === b.high_price &&
    a.low_price === b.low_price &&
    a.volume === b.volume &&
    a.turnover === b.turnover
  );
}
