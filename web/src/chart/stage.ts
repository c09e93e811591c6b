/** What the chart shows: the history of the selected instrument, live, drawn once a frame. */

import { computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";

import { onFrame, PACE } from "../frame.ts";
import { timeZone } from "../market/clock.ts";
import { barsMissing, catalogue, markets, onBar, onTrade } from "../market/desk.ts";
import { type Family, klines } from "../protocol/api.ts";
import { DAY, type KlineType } from "../protocol/klines.ts";
import type { InstrumentInfo, KlineBar, KlineData } from "../protocol/messages.ts";
import { interval, logScale, selected, theme, zone } from "../settings.ts";
import type { Bar } from "./bars.ts";
import { decimalsOf } from "./decimals.ts";
import { Drawing, type Hand } from "./drawing.ts";
import { type Drawn, History, PAGE, type State } from "./history.ts";
import { type Legend, legend, spoken } from "./legend.ts";
import { Times } from "./times.ts";

/** Older bars are fetched when so few are left of those that are seen. */
const EDGE = 60;
/** Milliseconds between two summaries for ears. */
const PAUSE = 5000;
/** Types that stocks do not have (section 3). */
const STOCKS_LACK: readonly number[] = [6, 7];

const LOADING: State = { name: "loading" };

export function lacks(instrument: InstrumentInfo | undefined, type: KlineType): boolean {
  return instrument?.family === "stock" && STOCKS_LACK.includes(type.number);
}

export class Stage implements Drawn, Hand {
  readonly instrument = computed(() => catalogue.value.get(selected.value));
  readonly lacking = computed(() => lacks(this.instrument.value, interval.value));
  readonly #history = signal<History | null>(null);
  readonly state: ReadonlySignal<State> = computed(() => this.#history.value?.state.value ?? LOADING);
  /** The bars that are drawn. */
  readonly count = signal(0);
  /** Code and type of what is drawn, as `BTCUSDT 1m`; empty while the first page is on its way. */
  readonly shown = signal("");
  /** Of the bar under the crosshair, or of the latest one. */
  readonly legend = signal<Legend | null>(null);
  /** Whether the latest bar is out of sight. */
  readonly away = signal(false);
  readonly summary = signal("Chart");
  /** What is said of the bar that the keys have gone to. */
  readonly said = signal("");
  /** The time zone of the axis: of bars of a day or more it is the one that cuts them. */
  readonly times = computed(() => new Times(this.#zone.value, this.#dates.value));
  readonly #dates = computed(() => interval.value.number >= DAY.number);
  readonly #zone = computed(() => {
    const one = this.instrument.value;
    const cut = one?.family === "stock" ? "exchange" : "utc";
    return timeZone(this.#dates.value ? cut : zone.value, one?.calendar, markets.value);
  });
  /** What is drawn depends on this alone; the catalogue itself is fetched anew now and then. */
  readonly #subject = computed(() => {
    const one = this.instrument.value;
    return one === undefined || this.lacking.value
      ? ""
      : JSON.stringify([one.code, one.family, one.price_decimals, interval.value.number]);
  });
  #drawing: Drawing | null = null;
  #fresh = new Set<number>();
  #everything = false;
  /** When what has changed may be drawn. */
  #due = 0;
  #drawnLast = -Infinity;
  #pointed: number | null = null;
  /** Decimals of the wire, and those that are shown. */
  #wire = 0;
  #decimals = -1;

  /** Draws into an element until the function that it returns is called. */
  mount(element: HTMLElement): () => void {
    const drawing = new Drawing(element, this.times.peek(), this);
    this.#drawing = drawing;
    const before = barsMissing.peek();
    const ends = [
      effect(() => {
        drawing.read(this.times.value);
        this.everything();
      }),
      theme.subscribe(() => onFrame(this.#dressed)),
      effect(() => drawing.scale(logScale.value)),
      effect(() => {
        if (this.#subject.value !== "") untracked(() => this.#begin());
        return () => untracked(() => this.#end());
      }),
      barsMissing.subscribe((count) => {
        if (count > before) this.#history.peek()?.heal();
      }),
      onBar((bar) => this.#push(bar)),
      onTrade((trade) => this.#history.peek()?.trade(trade)),
    ];
    const timer = setInterval(() => this.#summarise(), PAUSE);
    return () => {
      clearInterval(timer);
      for (const end of ends) end();
      this.#drawing = null;
      drawing.remove();
    };
  }

  /** The bars that are shown, as `/kline` answers them. */
  bars(): KlineBar[] {
    return this.#history.peek()?.bars.toArray() ?? [];
  }

  retry(): void {
    void this.#history.peek()?.latest();
  }

  toLatest(): void {
    this.#drawing?.toLatest();
  }

  zoom(factor: number): void {
    this.#drawing?.zoom(factor);
  }

  /** Moves the crosshair by so many bars, from the latest one if it stands on none; null takes it away. */
  step(by: number | null): void {
    const bars = this.#history.peek()?.bars;
    const last = (bars?.list.length ?? 0) - 1;
    if (bars === undefined || last < 0) return;
    const from = this.#pointed === null ? last + (by === null || by < 0 ? 1 : 0) : bars.place(this.#pointed);
    const place = Math.min(last, Math.max(0, from + (by ?? 0)));
    const bar = by === null ? null : (bars.list[place] ?? null);
    this.#drawing?.point(bar, place);
    this.pointed(bar?.time ?? null);
    if (bar === null) return;
    const figures = legend(bar, bars.list[place - 1], this.#decimals);
    this.said.value = `${this.times.peek().label(bar.time)}. ${spoken(figures)}`;
  }

  // What a history tells.
  bar(time: number): void {
    this.#fresh.add(time);
    onFrame(this.#draw);
  }

  everything(): void {
    this.#everything = true;
    onFrame(this.#draw);
  }

  // What a hand does.
  pointed(time: number | null): void {
    this.#pointed = time;
    onFrame(this.#tell);
  }

  ranged(from: number, to: number): void {
    const history = this.#history.peek();
    if (history === null) return;
    this.away.value = to < history.bars.list.length - 1;
    if (from < EDGE) void history.older();
  }

  #begin(): void {
    const instrument = this.instrument.peek();
    if (instrument === undefined) return;
    const { code } = instrument;
    this.#wire = instrument.price_decimals;
    this.#decimals = -1;
    const family = instrument.family as Family;
    const { number, seconds } = interval.peek();
    const ask = async (end: number) => (await klines(family, code, number, PAGE, end)).kline_list;
    this.#drawing?.begin();
    const history = new History(ask, this, number < DAY.number ? seconds : 0);
    this.#history.value = history;
    void history.latest();
  }

  #end(): void {
    this.#history.peek()?.close();
    this.#history.value = null;
    this.#drawing?.clear();
    this.#fresh.clear();
    this.#pointed = null;
    this.#drawnLast = -Infinity;
    this.legend.value = null;
    this.count.value = 0;
    this.shown.value = "";
    this.said.value = "";
    this.away.value = false;
  }

  #push(bar: KlineData): void {
    if (bar.code === selected.peek() && bar.kline_type === interval.peek().number) this.#history.peek()?.push(bar);
  }

  readonly #dressed = (): void => {
    this.#drawing?.dress();
    this.#everything = true;
    this.#draw();
  };

  readonly #draw = (): void => {
    const [drawing, history] = [this.#drawing, this.#history.peek()];
    if (drawing === null || history === null || history.state.peek().name !== "ready") return;
    const at = performance.now();
    if (at < this.#due && !this.#everything) return onFrame(this.#draw);
    this.#due = at + PACE;
    const { bars } = history;
    const fresh = [...this.#fresh].sort((a, b) => a - b).flatMap((time) => bars.at(time) ?? []);
    this.#precise(drawing, this.#everything ? bars.list : fresh);
    if (this.#everything) drawing.show(bars.list);
    else this.#update(drawing, fresh);
    this.#everything = false;
    this.#fresh.clear();
    this.#drawnLast = bars.list.at(-1)?.time ?? -Infinity;
    this.count.value = bars.list.length;
    const first = this.shown.peek() === "";
    this.shown.value = `${selected.peek()} ${interval.peek().label}`;
    this.#tell();
    if (first) this.#summarise();
  };

  #precise(drawing: Drawing, bars: readonly Bar[]): void {
    const decimals = decimalsOf(bars, this.#wire);
    if (decimals <= this.#decimals) return;
    this.#decimals = decimals;
    drawing.precise(decimals);
  }

  #update(drawing: Drawing, bars: readonly Bar[]): void {
    for (const bar of bars) {
      drawing.update(bar, bar.time >= this.#drawnLast);
      this.#drawnLast = Math.max(this.#drawnLast, bar.time);
    }
  }

  readonly #tell = (): void => {
    this.legend.value = this.#legendOf(this.#pointed);
  };

  #legendOf(time: number | null): Legend | null {
    const bars = this.#history.peek()?.bars;
    if (bars === undefined) return null;
    const pointed = time === null ? undefined : bars.at(time);
    const bar = pointed ?? bars.list.at(-1);
    return bar === undefined ? null : legend(bar, bars.list[bars.place(bar.time) - 1], this.#decimals);
  }

  #summarise(): void {
    const of = this.#legendOf(null);
    const what = `Chart of ${selected.peek()}, bars of ${interval.peek().name}`;
    this.summary.value = of === null ? what : `${what}. Last ${of.close}, change ${of.change} ${of.changePercent}`;
  }
}
