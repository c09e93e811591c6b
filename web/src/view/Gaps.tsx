/** The gap ledger: when sources were down, and whether the bars are complete again. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { dateAndTime, span, timeOfDay, timeZone } from "../market/clock.ts";
import { catalogue, healed, markets, now, sources } from "../market/desk.ts";
import { ApiError, gaps } from "../protocol/api.ts";
import type { GapInfo } from "../protocol/messages.ts";
import { zone } from "../settings.ts";

const MOST = 30;
const EACH = 10_000;
const DAY = 86_400_000;
/** Codes that are named; the others are counted. */
const NAMED = 3;

export function Gaps() {
  const found = useSignal<readonly GapInfo[] | null>(null);
  const failed = useSignal("");
  const told = sources.value;
  const times = healed.value;
  useEffect(() => {
    let left = false;
    const ask = async () => {
      if (document.hidden) return;
      try {
        const { gap_list } = await gaps(MOST);
        if (left) return;
        found.value = gap_list;
        failed.value = "";
      } catch (error) {
        failed.value = error instanceof ApiError ? error.message : "The server does not answer.";
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), EACH);
    return () => {
      left = true;
      clearInterval(timer);
    };
  }, [told, times]);
  return (
    <section aria-label="Gaps">
      <h3>Gaps</h3>
      {failed.value !== "" && <p class="warn">{failed.value}</p>}
      {found.value === null && failed.value === "" && <p class="soft">Asking…</p>}
      {found.value?.length === 0 && <p class="soft">No source was down while its markets were open.</p>}
      <ul class="gaps">
        {found.value?.map((gap) => (
          <Gap key={`${gap.source} ${gap.market} ${gap.begin}`} gap={gap} />
        ))}
      </ul>
    </section>
  );
}

function Gap({ gap }: { gap: GapInfo }) {
  const [state, said] = stateOf(gap);
  const rest = gap.codes.length - NAMED;
  return (
    <li>
      <span class="codes" title={gap.codes.join(", ")}>
        <b>{gap.codes.slice(0, NAMED).join(", ")}</b>
        {rest > 0 && <span class="soft"> and {rest} more</span>}
      </span>
      <span class="health" data-health={state}>
        {said}
      </span>
      <Times gap={gap} />
      <small class="reason soft">
        {gap.source}
        {gap.reason !== "" && `: ${gap.reason}`}
      </small>
    </li>
  );
}

function stateOf(gap: GapInfo): [state: string, said: string] {
  if (gap.end === null) return ["down", "lasts"];
  return gap.filled === null ? ["stale", "not filled"] : ["up", "filled"];
}

/** From when to when by the market's clock, and how long: until now, while it lasts. */
function Times({ gap }: { gap: GapInfo }) {
  const calendar = catalogue.value.get(gap.codes[0] ?? "")?.calendar;
  const where = timeZone(zone.value, calendar, markets.value);
  const end = gap.end ?? now.value;
  const until = end - gap.begin < DAY ? timeOfDay(end, where) : dateAndTime(end, where);
  return (
    <small class="figure times">
      {dateAndTime(gap.begin, where)} – {gap.end === null ? "now" : until} <b>{span(end - gap.begin)}</b>
    </small>
  );
}
