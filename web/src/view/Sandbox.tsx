/** The sandbox: scenarios that are ready, and what those do that run. */

import "../style/sandbox.css";

import { useEffect } from "preact/hooks";

import { simulated, sources } from "../market/desk.ts";
import { busy, library, look, outcome, refusal, running, start, stop, stopAll, watched } from "../market/scenarios.ts";
import { span } from "../market/clock.ts";
import { inWords, remaining } from "../market/steps.ts";
import type { Running } from "../protocol/admin.ts";
import { signedIn } from "../session.ts";

export { runningScenarios } from "../market/scenarios.ts";

export function Sandbox() {
  const token = signedIn.value;
  const able = simulated.value;
  useEffect(() => {
    if (!able) return;
    watched.value = true;
    void look();
    return () => {
      watched.value = false;
    };
  }, [able, token]);
  const ready = library.value;
  const reason = able ? refusal.value : unable();
  return (
    <div class="sandbox">
      {reason !== null && <p class="refusal">{reason}</p>}
      {able && ready !== null && (
        <>
          <Runs />
          <p class="outcome soft" role="status">
            {outcome.value}
          </p>
          <section aria-label="Ready scenarios">
            <h3>Ready scenarios</h3>
            <ul>
              {[...ready].map(([name, description]) => (
                <Ready key={name} name={name} description={description} />
              ))}
            </ul>
            <p class="soft">
              To write one of your own: <a href="/docs/sandbox">the sandbox</a>
            </p>
          </section>
        </>
      )}
    </div>
  );
}

function unable(): string {
  if (sources.value.size === 0) return "The server has not told of its sources yet.";
  return "Scenarios are for simulated data; this server's is not.";
}

function Runs() {
  const runs = running.value;
  return (
    <section aria-label="Running scenarios">
      <header>
        <h3>Running</h3>
        {runs.length > 1 && (
          <button disabled={busy.value} onClick={() => void stopAll()}>
            Stop all
          </button>
        )}
      </header>
      {runs.length === 0 && <p class="soft">Nothing runs. Start one below, and watch prices, book and link.</p>}
      <ul>
        {runs.map((run) => (
          <Run key={run.number} run={run} />
        ))}
      </ul>
    </section>
  );
}

function Run({ run }: { run: Running }) {
  const [soonest] = run.ahead;
  return (
    <li class="run" data-scenario={run.name}>
      <div class="head">
        <b>{run.name}</b>
        <span class="figure soft" title="Since it began">
          {span(run.seconds * 1000)}
        </span>
        <button class="stop" disabled={busy.value} aria-label={`Stop ${run.name}`} onClick={() => void stop(run)}>
          Stop
        </button>
      </div>
      <ul class="steps">
        {run.active.map((step, place) => (
          <li key={place}>
            {inWords(step)} <small class="figure soft">{remaining(step, run.seconds)}</small>
          </li>
        ))}
        {soonest !== undefined && (
          <li class="soft">
            In {Math.max(0, Math.ceil((soonest.at ?? 0) - run.seconds))} s: {inWords(soonest)}
          </li>
        )}
      </ul>
    </li>
  );
}

function Ready({ name, description }: { name: string; description: string }) {
  const runs = running.value.some((run) => run.name === name);
  return (
    <li class="ready">
      <span>
        <b>{name}</b>
        <small class="soft">{description}</small>
      </span>
      <button
        disabled={busy.value || runs}
        aria-label={runs ? `${name} runs` : `Start ${name}`}
        onClick={(event) => {
          void start(name);
          event.currentTarget.closest(".drawer")?.scrollTo(0, 0); // to where one sees it run
        }}
      >
        {runs ? "Runs" : "Start"}
      </button>
    </li>
  );
}
