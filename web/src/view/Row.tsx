/** A row of the watchlist. Its figures are signals in the page's text: a tick changes text, and draws nothing anew. */

import { useComputed } from "@preact/signals";

import { grouped, shortened, sign, signed } from "../market/decimal.ts";
import { now, quote, unwatch } from "../market/desk.ts";
import type { InstrumentInfo } from "../protocol/messages.ts";
import { selected } from "../settings.ts";
import { Spark } from "./Spark.tsx";
import { State } from "./State.tsx";

interface Props {
  readonly instrument: InstrumentInfo;
  readonly onPick: () => void;
  readonly onDrag: () => void;
  readonly onDrop: () => void;
}

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
      <State instrument={instrument} />
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
