/** How an instrument stands, as a mark and in words: what it does, or why nobody can know that now. */

import type { StatusData } from "../protocol/messages.ts";
import type { LinkState } from "../protocol/socket.ts";

export interface Standing {
  /** What an instrument does, or `lost` or `stale`. */
  readonly name: string;
  /** A sign that differs by its shape, not by its colour alone. */
  readonly mark: string;
  /** As it stands beside a name, and for ears. */
  readonly word: string;
  /** The whole of it, for a title. */
  readonly text: string;
}

const MARKS: Readonly<Record<string, readonly [string, string]>> = {
  "pre-open": ["◔", "Before its market opens."],
  open: ["●", "Its market is open."],
  break: ["◐", "Its market has a break."],
  closed: ["○", "Its market is closed."],
  halted: ["■", "Trading in it is halted."],
  "limit-up": ["▲", "At its upper limit: nobody sells."],
  "limit-down": ["▼", "At its lower limit: nobody buys."],
  delisted: ["×", "It is delisted."],
};
const UNSURE = "?";
const REASONS: Readonly<Record<string, string>> = {
  connecting: "is not connected yet",
  stale: "is connected and gives nothing, though its markets are open",
  down: "is not connected",
  ended: "has come to its end",
};

/** `state` is what the instrument did as far as is known, `link` how the way to the server is. */
export function standing(state: string, link: LinkState, sources: readonly StatusData[]): Standing {
  if (link !== "open" && link !== "idle") {
    return unsure("lost", "no connection", `No connection to the server: what is shown is the last that came. It was ${state}.`);
  }
  const [first] = sources;
  // With several sources nobody says here which one an instrument is of.
  if (first !== undefined && sources.every((source) => source.status !== "up")) {
    const why = REASONS[first.status] ?? `is ${first.status}`;
    return unsure("stale", `source ${first.status}`, `The source ${first.source} ${why}. Last known: ${state}.`);
  }
  const [mark, text] = MARKS[state] ?? [UNSURE, `It is ${state}.`];
  return { name: state, mark, word: state, text };
}

function unsure(name: string, word: string, text: string): Standing {
  return { name, mark: "!", word, text };
}
