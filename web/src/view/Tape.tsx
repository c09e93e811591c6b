/** The tape: the latest trades, newest first. Its rows stand still and change their text; a pointer holds them. */

import "../style/tape.css";

import { type ReadonlySignal, type Signal, useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

import { exactTime, timeOfDay, timeZone } from "../market/clock.ts";
import { brief, grouped, places, shortened } from "../market/decimal.ts";
import { catalogue, markets, quote } from "../market/desk.ts";
import { largeFrom } from "../market/large.ts";
import type { Taped } from "../market/trades.ts";
import type { TradeData } from "../protocol/messages.ts";
import { selected, zone } from "../settings.ts";

/** As many as are kept of each instrument. */
const ROWS = Array.from({ length: 60 }, (_, place) => place);
/** By `trade_direction`: 1 the taker bought, 2 sold, 0 unknown (section 2 of the protocol). */
const SIDES = ["", "up", "down"];
const SAID = ["traded", "bought", "sold"];

export function Tape() {
  const code = selected.value;
  return (
    <section class="panel tape" aria-label="Trades">
      <Trades key={code} code={code} />
    </section>
  );
}

function Trades({ code }: { code: string }) {
  const { tape } = quote(code);
  /** The trades that are held still; null while they run. */
  const held = useSignal<readonly Taped[] | null>(null);
  const shown = useComputed(() => held.value ?? tape.value);
  const where = useComputed(() => timeZone(zone.value, catalogue.value.get(code)?.calendar, markets.value));
  const decimals = useComputed(() => places(shown.value.map(({ trade }) => trade.price)));
  const large = useComputed(() => largeFrom(shown.value.map(({ trade }) => trade)));
  const newer = useComputed(() => heldWords(held.value, tape.value));
  const word = useComputed(() => (shown.value.length === 0 ? "No trade has come yet." : ""));
  return (
    <>
      <header>
        <h2>Trades</h2>
        <span class="held">{newer}</span>
      </header>
      <div class="trades" role="table" aria-label={`Trades of ${code}`}>
        <div class="heads" role="row">
          <span role="columnheader">Time</span>
          <span role="columnheader">Price</span>
          <span role="columnheader">Volume</span>
        </div>
        <Still held={held} tape={tape}>
          {ROWS.map((place) => (
            <Trade key={place} place={place} {...{ shown, held, where, large, decimals }} />
          ))}
        </Still>
      </div>
      <p class="soft empty">{word}</p>
    </>
  );
}

interface StillProps {
  readonly held: Signal<readonly Taped[] | null>;
  readonly tape: ReadonlySignal<readonly Taped[]>;
  readonly children: ComponentChildren;
}

/** Holds the trades still under a mouse, under the keyboard, and wherever one has scrolled down. */
function Still({ held, tape, children }: StillProps) {
  const over = useSignal(false);
  const focused = useSignal(false);
  const scrolled = useSignal(false);
  const wanted = over.value || focused.value || scrolled.value;
  useEffect(() => {
    held.value = wanted ? tape.peek() : null;
  }, [wanted]);
  return (
    <div
      class="scroll"
      role="rowgroup"
      tabIndex={0}
      aria-label="Trades, newest first"
      onPointerEnter={() => (over.value = true)}
      onPointerLeave={() => (over.value = false)}
      onFocus={(event) => (focused.value = event.currentTarget.matches(":focus-visible"))}
      onBlur={() => (focused.value = false)}
      onScroll={(event) => (scrolled.value = event.currentTarget.scrollTop > 0)}
    >
      {children}
    </div>
  );
}

interface TradeProps {
  readonly place: number;
  readonly shown: ReadonlySignal<readonly Taped[]>;
  readonly held: ReadonlySignal<readonly Taped[] | null>;
  readonly where: ReadonlySignal<string | undefined>;
  readonly large: ReadonlySignal<number>;
  readonly decimals: ReadonlySignal<number>;
}

function Trade({ place, shown, held, where, large, decimals }: TradeProps) {
  const trade = useComputed(() => shown.value[place]?.trade);
  const hole = useComputed(() => holeWords(shown.value[place]?.missed));
  const missing = useComputed(() => trade.value === undefined);
  const side = useComputed(() => SIDES[trade.value?.trade_direction ?? 0] ?? "");
  const size = useComputed(() => (Number(trade.value?.volume ?? 0) >= large.value ? "large" : ""));
  const time = useComputed(() => (trade.value ? timeOfDay(Number(trade.value.tick_time), where.value) : ""));
  const price = useComputed(() => grouped(shortened(trade.value?.price ?? "", decimals.value)));
  const volume = useComputed(() => brief(trade.value?.volume ?? ""));
  const title = useComputed(() => (held.value && trade.value ? titled(trade.value, where.value) : ""));
  return (
    <div class="trade figure" role="row" hidden={missing} data-trend={side} data-size={size} data-hole={hole} title={title}>
      <span class="soft" role="cell">
        {time}
      </span>
      <span role="cell">{price}</span>
      <span role="cell">{volume}</span>
      <span class="hole" role="cell">
        {hole}
      </span>
    </div>
  );
}

function titled(trade: TradeData, where: string | undefined): string {
  const time = exactTime(Number(trade.tick_time), where);
  const said = SAID[trade.trade_direction] ?? SAID[0];
  return `${time}\n${said} ${grouped(trade.volume)} for ${grouped(trade.turnover)}`;
}

/** What is missing between a trade and the one below it. */
function holeWords(missed: number | null | undefined): string {
  if (missed === 0 || missed === undefined) return "";
  if (missed === null) return "trades are missing here";
  return missed === 1 ? "1 trade is missing here" : `${missed} trades are missing here`;
}

/** That the tape is held, and how many trades have come since. */
function heldWords(held: readonly Taped[] | null, tape: readonly Taped[]): string {
  if (held === null) return "";
  const newest = held[0];
  const newer = newest === undefined ? tape.length : tape.indexOf(newest);
  if (newer === 0) return "held";
  return `held, ${newer < 0 ? `${ROWS.length} or more` : newer} newer`;
}
