/** The steps of scenarios in words. */

import type { Step } from "../protocol/admin.ts";
import type { Answer, Clock, Disconnect, Halt, Market, Refuse } from "../protocol/messages.ts";
import { signed } from "./decimal.ts";

/** Values of fields that the server leaves out because they are the usual ones. */
const HALT_REASON = "T1 Halt - News Pending";
const BURST_TIMES = 10;
const LATE_BY = 2;
const DELAY_BY = 1;
const CLOSE_CODE = 1011;
const REFUSE_STATUS = 503;

const MARKETS: Readonly<Record<Market, string>> = {
  us_stock: "US stocks",
  hk_stock: "Hong Kong stocks",
  cn_stock: "Chinese stocks",
  index: "stock indices",
  cfd_index: "CFD indices",
  crypto: "crypto",
  forex: "forex",
  metals: "metals",
  energy: "energy",
};

/** What a step does, and to whom. */
export function inWords(step: Step): string {
  const [what, whom] = said(step);
  return whom === "" ? what : `${what}: ${whom}`;
}

/** How long a step goes on; `seconds` is how long its scenario runs. */
export function remaining(step: Step, seconds: number): string {
  if (!step.for) return "until stopped";
  return `${Math.max(0, Math.ceil((step.at ?? 0) + step.for - seconds))} s left`;
}

function said(step: Step): [what: string, whom: string] {
  switch (step.do) {
    case "halt":
      return [`Halted (${step.reason ?? HALT_REASON})`, instruments(step)];
    case "resume":
      return ["Resumed", instruments(step)];
    case "limit-up":
      return [`At the limit${step.percent ? `, +${step.percent}%` : ""}, no sellers`, instruments(step)];
    case "limit-down":
      return [`At the limit${step.percent ? `, −${step.percent}%` : ""}, no buyers`, instruments(step)];
    case "delist":
      return ["Delisted", instruments(step)];
    case "close-market":
      return ["Closed", instruments(step)];
    case "gap":
      return ["The source is silent", instruments(step)];
    case "burst":
      return [`Every tick comes ${step.times ?? BURST_TIMES} times`, instruments(step)];
    case "late":
      return [`${some(step, "tick")} up to ${longest(step.by, LATE_BY)} s late`, instruments(step)];
    case "duplicate":
      return [`${some(step, "tick")} pushed twice`, instruments(step)];
    case "out-of-order":
      return [`${some(step, "tick")} pushed behind the next one`, instruments(step)];
    case "jump":
      return [`Prices moved by ${signed(String(step.percent))}%`, instruments(step)];
    case "disconnect":
      return [`${some(step, "connection")} ${ended(step)}`, clients(step)];
    case "refuse":
      return [`${some(step, "new connection")} refused with ${step.status ?? REFUSE_STATUS}`, clients(step)];
    case "answer":
      return [`${some(step, "request")}${answered(step)}`, clients(step)];
    case "delay":
      return [`${some(step, "answer")} up to ${longest(step.by, DELAY_BY)} s late`, clients(step)];
    case "expire-token":
      return ["Tokens count as expired", clients(step)];
    case "clock":
      return [clock(step), ""];
  }
}

function ended(step: Disconnect): string {
  const reason = step.reason ? ` (${step.reason})` : "";
  const how = step.reset ? "reset" : `closed with ${step.code ?? CLOSE_CODE}${reason}`;
  const after = longest(step.after, 0);
  return after === 0 ? how : `${how}, at most ${after} s old`;
}

function answered({ requests, ret }: Answer): string {
  const which = requests?.length ? ` (${requests.join(", ")})` : "";
  return `${which} answered with ${ret}`;
}

function clock({ to, speed, hours }: Clock): string {
  const words = [];
  if (to) words.push(`moved to ${to}`);
  if (typeof speed === "number") words.push(speed === 0 ? "standing still" : `${speed} times as fast`);
  if (typeof hours === "boolean") words.push(hours ? "markets keep their hours" : "markets always open");
  return `The market's clock: ${words.join(", ")}`;
}

function some({ chance = 1 }: { readonly chance?: number }, noun: string): string {
  return chance >= 1 ? `All ${noun}s` : `${Number((chance * 100).toPrecision(3))}% of ${noun}s`;
}

/** Of a number of seconds, or two between which the dice choose. */
function longest(by: number | readonly number[] | undefined, usual: number): number {
  return by === undefined ? usual : typeof by === "number" ? by : (by.at(-1) ?? usual);
}

function instruments({ codes = [], markets = [] }: Pick<Halt, "codes" | "markets">): string {
  const names = [...codes, ...markets.map((market) => MARKETS[market])];
  return names.length > 0 ? names.join(", ") : "all instruments";
}

function clients({ tokens, connections, family }: Pick<Refuse, "tokens" | "connections" | "family">): string {
  const words = [];
  if (tokens) words.push("some tokens"); // the server does not say which
  if (connections) words.push(`connections ${connections.join(", ")}`);
  if (family) words.push(family === "stock" ? "stocks only" : "all but stocks");
  return words.length > 0 ? words.join(", ") : "all clients";
}
