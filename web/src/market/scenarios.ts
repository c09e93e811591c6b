/** The scenarios of the server: what runs, what is ready, and whether this person may know. */

import { computed, effect, signal } from "@preact/signals";

import { local, type Running, scenarios, startScenario, stopScenario, stopScenarios } from "../protocol/admin.ts";
import { ApiError } from "../protocol/api.ts";
import { healed, refreshStates, simulated } from "./desk.ts";

const SOON = 1000;
const LATER = 5000;

/** Descriptions of the ready ones, by name; null until the server told of them. */
export const library = signal<ReadonlyMap<string, string> | null>(null);
export const running = signal<readonly Running[]>([]);
/** How many run. */
export const runningScenarios = computed(() => running.value.length);
/** Why nothing can be shown or done; null if it can. */
export const refusal = signal<string | null>(null);
/** What came of the last start or stop. */
export const outcome = signal("");
/** Whether an answer to a start or a stop is on its way. */
export const busy = signal(false);
/** Whether somebody looks at the scenarios. */
export const watched = signal(false);

let next: number | undefined;

/** Asks what runs, and goes on asking while something does or somebody looks. */
export async function look(): Promise<void> {
  clearTimeout(next);
  if (!document.hidden) {
    try {
      const found = await scenarios();
      library.value = new Map(Object.entries(found.library));
      refusal.value = null;
      show(found.running);
    } catch (error) {
      refusal.value = told(error);
      if (error instanceof ApiError) return forget();
    }
  }
  clearTimeout(next);
  const wait = watched.peek() && running.peek().length > 0 ? SOON : LATER;
  if (watched.peek() || running.peek().length > 0) next = setTimeout(() => void look(), wait);
}

export function start(name: string): Promise<void> {
  return act(async () => {
    const run = await startScenario(name);
    show([...running.peek(), run]);
    return `${name} has begun.`;
  });
}

export function stop(run: Running): Promise<void> {
  return act(async () => {
    await stopScenario(run.number);
    show(running.peek().filter((one) => one.number !== run.number));
    return `${run.name} is stopped.`;
  });
}

export function stopAll(): Promise<void> {
  return act(async () => {
    await stopScenarios();
    show([]);
    return "All scenarios are stopped.";
  });
}

async function act(work: () => Promise<string>): Promise<void> {
  busy.value = true;
  try {
    outcome.value = await work();
  } catch (error) {
    outcome.value = told(error);
  }
  busy.value = false;
  await look();
}

function show(runs: readonly Running[]): void {
  const before = running.peek();
  const over = before.filter((one) => !runs.some((run) => run.number === one.number));
  if (over.length > 0) outcome.value = `${over.map((one) => one.name).join(", ")}: all steps are done.`;
  running.value = runs;
  // What an instrument does is asked for each minute; a scenario changes it within seconds.
  if (atWork(before) !== atWork(runs)) void refreshStates();
}

function atWork(runs: readonly Running[]): string {
  return JSON.stringify(runs.map((run) => [run.number, run.active]));
}

/** Who may not know is not asked again until somebody looks anew. */
function forget(): void {
  library.value = null;
  running.value = [];
}

function told(error: unknown): string {
  return error instanceof ApiError ? error.message : "The server does not answer.";
}

// Scenarios may run that were started elsewhere. Only this machine is let in for certain, so only there it is tried.
effect(() => {
  void healed.value;
  if (simulated.value && local) void look();
});
