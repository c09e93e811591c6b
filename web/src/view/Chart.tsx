/** The chart of the selected instrument: its head, the picture, and what stands over it. */

import "../style/chart.css";

import { useComputed, useSignalEffect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";

import type { Trend } from "../chart/legend.ts";
import { lacks, Stage } from "../chart/stage.ts";
import { KLINE_TYPES } from "../protocol/klines.ts";
import type { KlineBar } from "../protocol/messages.ts";
import { interval, logScale, selected, type Zone, zone } from "../settings.ts";
import { latestAsked } from "./keys.ts";
import { Standing } from "./State.tsx";

/** The element, with its bars at hand for consoles and browser tests: the texts of the server, oldest first. */
export interface ChartElement extends HTMLElement {
  bars?: () => KlineBar[];
}

const ZONES: readonly [Zone, string][] = [
  ["local", "Local"],
  ["utc", "UTC"],
  ["exchange", "Exchange"],
];
const CLOSER = 0.8;

export function Chart() {
  const [stage] = useState(() => new Stage());
  const section = useRef<ChartElement>(null);
  const picture = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (section.current !== null) section.current.bars = () => stage.bars();
    return picture.current === null ? undefined : stage.mount(picture.current);
  }, [stage]);
  useSignalEffect(() => {
    if (latestAsked.value > 0) stage.toLatest();
  });
  return (
    <section ref={section} class="panel chart" aria-label="Chart" data-shown={stage.shown} data-bars={stage.count}>
      <Head stage={stage} />
      <div class="picture">
        <div
          ref={picture}
          class="canvas"
          tabIndex={0}
          role="application"
          aria-label={stage.summary}
          aria-roledescription="chart"
          aria-description="Left and right move the crosshair, plus and minus zoom, R goes to the latest bar."
          onKeyDown={(event) => pressed(event, stage)}
          onBlur={() => stage.step(null)}
        />
        <Figures stage={stage} />
        <Words stage={stage} />
        <ToLatest stage={stage} />
        <a class="credit" href="https://www.tradingview.com/" target="_blank" rel="noreferrer noopener">
          Charts by TradingView
        </a>
        <span class="unseen" aria-live="polite">
          {stage.said}
        </span>
      </div>
    </section>
  );
}

/** What is charted, and how. */
function Head({ stage }: { stage: Stage }) {
  const instrument = stage.instrument.value;
  const names = [instrument?.name_en, instrument?.name_cn].filter(Boolean).join(" · ");
  return (
    <header>
      <h2 class="subject">
        <b>{selected.value || "–"}</b>
        {instrument !== undefined && <Standing key={instrument.code} instrument={instrument} />}
        <span title={names}>{names}</span>
      </h2>
      <div class="types" role="group" aria-label="Length of a bar">
        {KLINE_TYPES.map((type) => {
          const lacking = lacks(instrument, type);
          return (
            <button
              key={type.number}
              aria-label={`Bars of ${type.name}`}
              aria-pressed={interval.value === type}
              title={lacking ? `Stocks have no bars of ${type.name}` : `Bars of ${type.name}`}
              disabled={lacking}
              onClick={() => (interval.value = type)}
            >
              {type.label}
            </button>
          );
        })}
      </div>
      <button
        aria-label="Logarithmic scale"
        title="Logarithmic scale"
        aria-pressed={logScale.value}
        onClick={() => (logScale.value = !logScale.value)}
      >
        log
      </button>
      <select
        aria-label="Time zone"
        title={`Times are those of ${stage.times.value.zone}`}
        value={zone.value}
        onChange={(event) => (zone.value = event.currentTarget.value as Zone)}
      >
        {ZONES.map(([name, label]) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
      </select>
    </header>
  );
}

/** The legend: the figures of the bar under the crosshair, or of the latest one. */
function Figures({ stage }: { stage: Stage }) {
  const of = stage.legend.value;
  if (of === null) return null;
  return (
    <dl class="legend figure" data-trend={of.trend}>
      <Figure name="O" title="Open" text={of.open} />
      <Figure name="H" title="High" text={of.high} />
      <Figure name="L" title="Low" text={of.low} />
      <Figure name="C" title="Close" text={of.close} />
      <Figure name="Δ" title="Change" text={`${of.change} ${of.changePercent}`} trend={of.changeTrend} />
      <Figure name="Vol" title="Volume" text={of.volume} />
      {of.incomplete && <div class="warn">incomplete</div>}
    </dl>
  );
}

interface FigureProps {
  readonly name: string;
  readonly title: string;
  readonly text: string;
  /** Where it is not the bar's. */
  readonly trend?: Trend;
}

function Figure({ name, title, text, trend }: FigureProps) {
  return (
    <div>
      <dt>
        <abbr title={title}>{name}</abbr>
      </dt>
      <dd data-trend={trend}>{text}</dd>
    </div>
  );
}

/** Why there is nothing to be seen. */
function Words({ stage }: { stage: Stage }) {
  const state = stage.state.value;
  const none = useComputed(() => stage.count.value === 0);
  if (stage.lacking.value) {
    return <p class="words">Stocks have no bars of {interval.value.name}. Choose another length.</p>;
  }
  if (state.name === "loading") return <p class="words">Loading bars…</p>;
  if (state.name === "ready") return none.value ? <p class="words">There are no bars yet.</p> : null;
  return (
    <p class="words" role="alert">
      The bars did not come: {state.why} {state.again && "They are asked for again."}
      <button onClick={() => stage.retry()}>Ask now</button>
    </p>
  );
}

function ToLatest({ stage }: { stage: Stage }) {
  if (!stage.away.value) return null;
  return (
    <button class="latest" aria-label="To the latest bar" title="To the latest bar" onClick={() => stage.toLatest()}>
      »
    </button>
  );
}

function pressed(event: KeyboardEvent, stage: Stage): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const far = event.shiftKey ? 10 : 1;
  const does: Record<string, () => void> = {
    ArrowLeft: () => stage.step(-far),
    ArrowRight: () => stage.step(far),
    Escape: () => stage.step(null),
    End: () => stage.toLatest(),
    r: () => stage.toLatest(),
    "+": () => stage.zoom(CLOSER),
    "-": () => stage.zoom(1 / CLOSER),
  };
  const run = does[event.key];
  if (run === undefined) return;
  event.preventDefault();
  run();
}
