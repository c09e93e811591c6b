/** The picture: candles and volume on the chart library. Prices become floats here, as places on the screen. */

import {
  CandlestickSeries,
  ColorType,
  createChartEx,
  CrosshairMode,
  HistogramSeries,
  type IChartApiBase,
  type IPriceLine,
  LineStyle,
  PriceScaleMode,
  type Time,
} from "lightweight-charts";

import { grouped } from "../market/decimal.ts";
import { Axis, type Series, timestamp } from "./axis.ts";
import type { Bar } from "./bars.ts";
import { type Colours, colours, faded } from "./colours.ts";
import type { Times } from "./times.ts";

const LOCALIZATION = { locale: "en-GB", dateFormat: "yyyy-MM-dd" };
const BAR_SPACING = 7;
/** Empty room for so many bars behind the latest. */
const RIGHT = 5;
/** The heights of candles and volume, as parts. */
const [CANDLES, VOLUME] = [5, 1];
const LEVEL = { title: "", lineWidth: 1, lineStyle: LineStyle.Dotted, axisLabelVisible: true } as const;

/** What a person does to the picture. */
export interface Hand {
  /** The pointer stands on the bar of that time, or on none. */
  pointed(time: number | null): void;
  /** The places, counted from the oldest bar, that are seen at the edges. */
  ranged(from: number, to: number): void;
}

export class Drawing {
  readonly #axis: Axis;
  readonly #chart: IChartApiBase<Time>;
  readonly #candles: Series<"Candlestick">;
  readonly #volume: Series<"Histogram">;
  #last: IPriceLine | null = null;
  #colours: Colours = colours();

  constructor(element: HTMLElement, times: Times, hand: Hand) {
    this.#axis = new Axis(times);
    this.#chart = createChartEx(element, this.#axis, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      // Its own logo would bring a style element, which the page forbids: the view shows a link.
      layout: { attributionLogo: false },
      localization: LOCALIZATION,
      timeScale: { rightOffset: RIGHT, barSpacing: BAR_SPACING },
    });
    // The library's own line and label are those of the newest bar in sight.
    this.#candles = this.#chart.addSeries(CandlestickSeries, { lastValueVisible: false, priceLineVisible: false });
    this.#volume = this.#chart.addSeries(
      HistogramSeries,
      { priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false },
      1,
    );
    this.#volume.priceScale().applyOptions({ scaleMargins: { top: 0.12, bottom: 0 } });
    for (const [place, part] of [CANDLES, VOLUME].entries()) this.#chart.panes()[place]?.setStretchFactor(part);
    this.#chart.subscribeCrosshairMove(({ time }) => hand.pointed(typeof time === "number" ? time : null));
    this.#chart.subscribeDblClick(() => this.toLatest());
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null) hand.ranged(range.from, range.to);
    });
    this.dress();
  }

  remove(): void {
    this.#chart.remove();
  }

  /** Takes the colours of the theme; what is drawn must be shown anew. */
  dress(): void {
    const { ground, line, soft, raised, up, down, font } = (this.#colours = colours());
    const cross = { color: soft, labelBackgroundColor: raised };
    this.#chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: ground },
        textColor: soft,
        fontFamily: font,
        fontSize: 11,
        panes: { separatorColor: line, separatorHoverColor: raised },
      },
      grid: { vertLines: { color: faded(line, 0.6) }, horzLines: { color: faded(line, 0.6) } },
      crosshair: { vertLine: cross, horzLine: cross },
      timeScale: { borderColor: line },
      rightPriceScale: { borderColor: line, entireTextOnly: true, tickMarkDensity: 4 },
    });
    this.#candles.applyOptions({
      upColor: up,
      downColor: down,
      borderVisible: false,
      wickUpColor: up,
      wickDownColor: down,
    });
  }

  /** Takes another zone; what is drawn must be shown anew. */
  read(times: Times): void {
    this.#axis.times = times;
    this.#chart.applyOptions({ localization: LOCALIZATION }); // forgets the labels that were written
    this.clear(); // and how weighty each point is
  }

  scale(logarithmic: boolean): void {
    const mode = logarithmic ? PriceScaleMode.Logarithmic : PriceScaleMode.Normal;
    this.#candles.priceScale().applyOptions({ mode });
  }

  /** How prices are written on their axis. */
  precise(decimals: number): void {
    const formatter = (price: number) => grouped(price.toFixed(decimals));
    this.#candles.applyOptions({
      priceFormat: { type: "custom", formatter, base: 10 ** decimals, minMove: 10 ** -decimals },
    });
  }

  /** Another instrument or type: empty, at the latest bar, all scales by themselves. */
  begin(): void {
    this.clear();
    this.#candles.priceScale().applyOptions({ autoScale: true });
    this.#chart.timeScale().resetTimeScale();
  }

  clear(): void {
    this.show([]);
  }

  show(bars: readonly Bar[]): void {
    this.#candles.setData(bars.map((bar) => this.#candle(bar)));
    this.#volume.setData(bars.map((bar) => this.#column(bar)));
    this.#level(bars.at(-1));
  }

  /** A bar that is shown already, or that is newer than all. */
  update(bar: Bar, newest: boolean): void {
    this.#candles.update(this.#candle(bar), !newest);
    this.#volume.update(this.#column(bar), !newest);
    if (newest) this.#level(bar);
  }

  /** At once: a tick would stop an animation on its way. */
  toLatest(): void {
    this.#chart.timeScale().scrollToPosition(RIGHT, false);
  }

  /** Widens or narrows what is seen by a factor; the right edge stays. */
  zoom(factor: number): void {
    const scale = this.#chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (range === null) return;
    const { from, to } = range;
    scale.setVisibleLogicalRange({ from: to - (to - from) * factor, to });
  }

  /** Puts the crosshair on a bar, and the bar on the screen; null takes it away. */
  point(bar: Bar | null, place: number): void {
    if (bar === null) return this.#chart.clearCrosshairPosition();
    const scale = this.#chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (range !== null && (place < range.from || place > range.to)) {
      const by = place < range.from ? place - range.from : place - range.to;
      scale.setVisibleLogicalRange({ from: range.from + by, to: range.to + by });
    }
    this.#chart.setCrosshairPosition(Number(bar.kline.close_price), timestamp(bar.time), this.#candles);
  }

  /** The line at the last price. */
  #level(bar: Bar | undefined): void {
    if (bar === undefined) {
      if (this.#last !== null) this.#candles.removePriceLine(this.#last);
      this.#last = null;
      return;
    }
    const options = { price: Number(bar.kline.close_price), color: this.#colour(bar.kline) };
    if (this.#last === null) this.#last = this.#candles.createPriceLine({ ...options, ...LEVEL });
    else this.#last.applyOptions(options);
  }

  #candle({ time, kline, incomplete }: Bar) {
    const candle = {
      time: timestamp(time),
      open: Number(kline.open_price),
      high: Number(kline.high_price),
      low: Number(kline.low_price),
      close: Number(kline.close_price),
    };
    if (!incomplete) return candle;
    const color = faded(this.#colour(kline), 0.45);
    return { ...candle, color, wickColor: color };
  }

  #column({ time, kline, incomplete }: Bar) {
    const color = faded(this.#colour(kline), incomplete ? 0.25 : 0.5);
    return { time: timestamp(time), value: Number(kline.volume), color };
  }

  #colour(kline: Bar["kline"]): string {
    return Number(kline.close_price) >= Number(kline.open_price) ? this.#colours.up : this.#colours.down;
  }
}
