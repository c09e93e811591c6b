/** What an instrument does: a mark, in the chart's head with its word, and how long ago its last trade was. */

import "../style/state.css";

import { useComputed } from "@preact/signals";

import { linkStates, now, quote, sources } from "../market/desk.ts";
import { standing } from "../market/standing.ts";
import type { InstrumentInfo } from "../protocol/messages.ts";

/** Milliseconds that a source's clock may be ahead. */
const MOST_AHEAD = 5_000;

function useStanding({ code, state, family }: InstrumentInfo) {
  return useComputed(() =>
    standing(quote(code).state.value ?? state, linkStates[family].value, [...sources.value.values()]),
  );
}

/** In a row of the watchlist: the mark, and the age of the last trade below it. */
export function State({ instrument }: { readonly instrument: InstrumentInfo }) {
  const of = useStanding(instrument);
  const { time } = quote(instrument.code);
  const age = useComputed(() => (time.value === null ? "" : aged(now.value - time.value)));
  const name = useComputed(() => of.value.name);
  const mark = useComputed(() => of.value.mark);
  const word = useComputed(() => of.value.word);
  const text = useComputed(() => of.value.text);
  return (
    <span class="state" data-state={name} title={text}>
      <span class="mark" aria-hidden="true">
        {mark}
      </span>
      <span class="unseen">{word}</span>
      <small class="figure" title="Age of the last trade">
        {age}
      </small>
    </span>
  );
}

/** In the head of the chart. */
export function Standing({ instrument }: { readonly instrument: InstrumentInfo }) {
  const of = useStanding(instrument);
  const { time } = quote(instrument.code);
  const age = useComputed(() => (time.value === null ? "" : aged(now.value - time.value)));
  return (
    <span class="standing" data-state={of.value.name} title={of.value.text}>
      <span class="mark" aria-hidden="true">
        {of.value.mark}
      </span>{" "}
      {of.value.word}
      <small class="figure soft" title="Age of the last trade">
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
