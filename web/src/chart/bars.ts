/** The bars of one code and type, oldest first: pages of history and pushes, joined without a seam. */

import { compare, plus } from "../market/decimal.ts";
import type { KlineBar, KlineData, SeveralTradesData, TradeData } from "../protocol/messages.ts";

/** Trades that may have come before the push of the bar that they are in. */
const MOST_RECENT = 1000;

export interface Bar {
  /** When it opens, in seconds since the epoch. */
  readonly time: number;
  /** As the server wrote it. */
  readonly kline: KlineBar;
  /** The source was down during a part of it; only a push says so. */
  readonly incomplete: boolean;
  /** The `seq` of the push that it came with, 0 if it came with a page. */
  readonly seq: number;
  /** The `seq` of the last trade that it counts while it forms, 0 where that is not known. */
  readonly tradeSeq: number;
}

/** What a push did: nothing to be seen, the newest bar or one that was there, or one between others. */
export type Effect = "none" | "bar" | "between";

export class Bars {
  #list: readonly Bar[] = [];
  /** Pushes of bars that are older than the list, or came before there was one: they wait for their page. */
  #early = new Map<number, Bar>();
  #begun = false;
  #seq = 0;
  /** Trades that no bar counted yet that was pushed, as they came. */
  #recent: TradeData[] = [];
  readonly #seconds: number;

  /** `seconds` is how long a bar is; 0 where that depends on the calendar, then no trades are counted here. */
  constructor(seconds = 0) {
    this.#seconds = seconds;
  }

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
    } else {
      this.#list = this.#list.toSpliced(place, 0, bar);
    }
    this.#recent = this.#recent.filter((trade) => Number(trade.seq) > bar.tradeSeq);
    for (const trade of this.#recent) this.#count(trade);
    return known === undefined || known.time === bar.time ? "bar" : "between";
  }

  /**
   * A trade came. The newest bar counts it at once, unless it does so already: bars are pushed less often. What
   * is counted wrongly, such as a late one, is right with the next push.
   */
  trade(data: TradeData): Effect {
    this.#recent.push(data);
    if (this.#recent.length > MOST_RECENT) this.#recent.splice(0, MOST_RECENT / 2);
    return this.#count(data) ? "bar" : "none";
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

  #count(trade: TradeData): boolean {
    const bar = this.#list.at(-1);
    const time = Number(trade.tick_time);
    const first = Number((trade as Partial<SeveralTradesData>).first_seq ?? trade.seq);
    if (bar === undefined || bar.tradeSeq === 0 || first <= bar.tradeSeq) return false;
    if (time < bar.time * 1000 || time >= (bar.time + this.#seconds) * 1000) return false;
    this.#list = this.#list.with(-1, { ...bar, kline: counting(bar.kline, trade), tradeSeq: Number(trade.seq) });
    return true;
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
      return kept ? known : { time, kline, incomplete: false, seq: 0, tradeSeq: 0 };
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
    tradeSeq: data.state === "forming" ? Number(data.trade_seq ?? 0) : 0,
  };
}

/** A bar with one trade more. */
function counting(bar: KlineBar, { price, volume, turnover, ...more }: TradeData & Partial<SeveralTradesData>): KlineBar {
  const [high, low] = [more.high_price ?? price, more.low_price ?? price];
  return {
    ...bar,
    close_price: price,
    high_price: compare(high, bar.high_price) > 0 ? high : bar.high_price,
    low_price: compare(low, bar.low_price) < 0 ? low : bar.low_price,
    volume: plus(bar.volume, volume),
    turnover: plus(bar.turnover, turnover),
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
