/** A row of the watchlist. Its figures are signals in the page's text: a tick changes text, and draws nothing anew. */

import { type ReadonlySignal, useComputed } from "@preact/signals";

import { grouped, shortened, sign, signed } from "../market/decimal.ts";
import { now, quote, unwatch } from "../market/desk.ts";
import type { InstrumentInfo } from "../protocol/messages.ts";
import { selected } from "../settings.ts";
import { Spark } from "./Spark.tsx";

interface Props {
  readonly instrument: InstrumentInfo;
  readonly onPick: () => void;
  readonly onDrag: () => void;
  readonly onDrop: () => void;
}

/** Milliseconds that a source's clock may be ahead. */
const MOST_AHEAD = 5_000;
/** Milliseconds after which a row says that nothing has come. */
const PATIENCE = 15_000;
const NO_DATA = "Nothing has come of it: no trade yet, or the token's plan has no room for more codes.";
const TREND = { "-1": "down", "0": "", "1": "up" };

export function Row({ instrument, onPick, onDrag, onDrop }: Props) {
  const { code } = instrument;
  const of = quote(code);
  const silent = useComputed(() => of.last.value === null && now.value > 0 && performance.now() - of.since > PATIENCE);
  const last = useComputed(() =>
    of.last.value === null ? (silent.value ? "no data" : "–") : grouped(shortened(of.last.value, of.decimals.value)),
  );
  const why = useComputed(() => (silent.value ? NO_DATA : ""));
  const change = useComputed(() => (of.change.value === null ? "" : grouped(signed(shortened(of.change.value, of.decimals.value)))));
  const part = useComputed(() => (of.changePercent.value ? `${signed(of.changePercent.value)}%` : ""));
  const trend = useComputed(() => TREND[of.change.value === null ? 0 : sign(of.change.value)]);
  const age = useComputed(() => (of.time.value === null ? "" : aged(now.value - of.time.value)));
  return (
    <li
      class="row"
      data-row={code}
      tabIndex={0}
      aria-current={selected.value === code}
      draggable
      onClick={onPick}
      onKeyDown={(event) => {
        if ((event.key === "Enter" || event.key === " ") && event.target === event.currentTarget) {
          event.preventDefault();
          onPick();
        }
      }}
      onDragStart={onDrag}
      onDragOver={(event) => event.preventDefault()}
      onDrop={onDrop}
    >
      <span class="code">
        <b>{code}</b>
        <small class="soft" title={instrument.name_cn}>
          {instrument.name_en || instrument.name_cn}
        </small>
      </span>
      <Spark closes={of.closes} last={of.last} trend={trend} />
      <span class="price figure" data-flash={of.flash} data-silent={silent} title={why}>
        {last}
      </span>
      <span class="change figure" data-trend={trend}>
        <span>{part}</span>
        <small>{change}</small>
      </span>
      <State instrument={instrument} age={age} />
      <button class="remove" aria-label={`Remove ${code}`} title="Remove" tabIndex={-1} onClick={removed(code)}>
        ×
      </button>
    </li>
  );
}

function removed(code: string) {
  return (event: Event) => {
    event.stopPropagation();
    unwatch(code);
  };
}

/** A dot for the state, and the age of the last tick. */
function State({ instrument, age }: { instrument: InstrumentInfo; age: ReadonlySignal<string> }) {
  return (
    <span class="state" data-state={instrument.state} title={`Market: ${instrument.state}`}>
      <span class="unseen">{instrument.state}</span>
      <small class="soft figure" title="Age of the last tick">
        {age}
      </small>
    </span>
  );
}

/** Empty for a time that is yet to come: then the market's clock has gone back, with another source. */
function aged(milliseconds: number): string {
  if (milliseconds < -MOST_AHEAD) return "";
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
