/** The order book: levels of both sides around the spread. Its rows stand still; a book changes their text and bars. */

import "../style/ladder.css";

import { type ReadonlySignal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { brief, grouped, places, shortened } from "../market/decimal.ts";
import { book, catalogue, quote } from "../market/desk.ts";
import { type Rungs, rungs } from "../market/levels.ts";
import { selected } from "../settings.ts";

/** Pixels of a row, and of what stands between the sides; the style has MOST and MIDDLE too. */
const LEAST = 18;
const MOST = 24;
const MIDDLE = 36;

type Side = "asks" | "bids";

const ARROWS = { up: "▲", down: "▼", "": "" };

export function Ladder() {
  const code = selected.value;
  const instrument = catalogue.value.get(code);
  const levels = instrument?.depth_levels ?? 0;
  return (
    <section class="panel ladder" aria-label="Order book">
      <header>
        <h2>Order book</h2>
        <span class="soft">{levels > 0 && (levels === 1 ? "best prices only" : `${levels} levels`)}</span>
      </header>
      {instrument !== undefined && levels > 0 && (
        <Levels key={`${code} ${levels}`} code={code} levels={levels} currency={instrument.currency} />
      )}
      {instrument !== undefined && levels === 0 && <p class="soft empty">{code} has no order book.</p>}
    </section>
  );
}

function Levels({ code, levels, currency }: { code: string; levels: number; currency: string }) {
  const body = useRef<HTMLDivElement>(null);
  const height = useSignal(0);
  useEffect(() => {
    if (body.current === null) return;
    const observer = new ResizeObserver(([entry]) => (height.value = entry?.contentRect.height ?? 0));
    observer.observe(body.current);
    return () => observer.disconnect();
  }, []);
  const room = useComputed(() => Math.floor((height.value - MIDDLE) / 2));
  const count = useComputed(() => Math.max(1, Math.min(levels, Math.floor(room.value / LEAST))));
  const row = useComputed(() => `${Math.max(LEAST, Math.min(MOST, Math.floor(room.value / count.value)))}px`);
  const laid = useComputed(() => (book.value === null ? null : rungs(book.value, count.value)));
  const { tape } = quote(code);
  const decimals = useComputed(() => {
    const levels = [...(laid.value?.asks ?? []), ...(laid.value?.bids ?? [])];
    return places([...levels, ...tape.value.map(({ trade }) => trade)].map((one) => one.price));
  });
  const rows = Array.from({ length: count.value }, (_, place) => place);
  return (
    <div class="levels" role="table" aria-label={`Order book of ${code}`} style={{ "--levels": levels }}>
      <div class="heads" role="row">
        <span role="columnheader">{currency === "" ? "Price" : `Price ${currency}`}</span>
        <span role="columnheader">Size</span>
        <span role="columnheader">Total</span>
      </div>
      <div ref={body} class="body" role="rowgroup" style={{ "--level": row.value }}>
        <div class="asks" role="presentation">
          {rows.toReversed().map((place) => (
            <Level key={place} side="asks" place={place} laid={laid} decimals={decimals} />
          ))}
        </div>
        <Middle code={code} laid={laid} decimals={decimals} />
        <div class="bids" role="presentation">
          {rows.map((place) => (
            <Level key={place} side="bids" place={place} laid={laid} decimals={decimals} />
          ))}
        </div>
      </div>
    </div>
  );
}

interface LevelProps {
  readonly side: Side;
  readonly place: number;
  readonly laid: ReadonlySignal<Rungs | null>;
  readonly decimals: ReadonlySignal<number>;
}

function Level({ side, place, laid, decimals }: LevelProps) {
  const level = useComputed(() => laid.value?.[side][place]);
  const price = useComputed(() => figure(level.value?.price, decimals.value));
  const volume = useComputed(() => brief(level.value?.volume ?? ""));
  const total = useComputed(() => brief(level.value?.total ?? ""));
  const bar = useComputed(() => `transform: scaleX(${level.value?.share ?? 0})`);
  return (
    <div class="level figure" role="row">
      <span class="depth" style={bar} />
      <span class="at" role="cell">
        {price}
      </span>
      <span role="cell">{volume}</span>
      <span class="soft" role="cell">
        {total}
      </span>
    </div>
  );
}

interface MiddleProps {
  readonly code: string;
  readonly laid: ReadonlySignal<Rungs | null>;
  readonly decimals: ReadonlySignal<number>;
}

/** The last price with its direction, and the spread. */
function Middle({ code, laid, decimals }: MiddleProps) {
  const { last, side } = quote(code);
  const price = useComputed(() => figure(last.value, decimals.value));
  const arrow = useComputed(() => ARROWS[side.value]);
  const word = useComputed(() => (laid.value === null ? "Waiting for the book" : laid.value.word));
  const spread = useComputed(() => (laid.value?.spread ? `Spread ${figure(laid.value.spread, decimals.value)}` : ""));
  const points = useComputed(() => (laid.value?.points ? `${grouped(laid.value.points)} bp` : ""));
  return (
    <div class="middle" role="row">
      <span class="last figure" role="cell" data-trend={side}>
        <span class="unseen">Last price</span> {price} <span aria-hidden="true">{arrow}</span>
        <span class="unseen">{side}</span>
      </span>
      <span class="spread" role="cell" title="The spread, also in basis points of the price between the best ones">
        <b class="warn">{word}</b>
        <span class="figure">{spread}</span>
        <span class="figure soft">{points}</span>
      </span>
    </div>
  );
}

function figure(text: string | null | undefined, decimals: number): string {
  return text ? grouped(shortened(text, decimals)) : "";
}
