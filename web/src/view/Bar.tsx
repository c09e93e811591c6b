/** The bar at the top: whose page it is, how the way to the server is, and the switches. */

import { linkState, simulated, sockets, sources, ticksPerSecond } from "../market/desk.ts";
import { signedIn, signOut } from "../session.ts";
import { switchTheme, theme } from "../settings.ts";
import { helpOpen } from "./keys.ts";
import { runningScenarios } from "./Sandbox.tsx";
import { statusOpen, statusTab } from "./Status.tsx";

const STATES = { idle: "Starting", connecting: "Connecting", open: "Live", waiting: "Reconnecting" };

export function Bar() {
  return (
    <header class="bar">
      <span class="name">
        <Mark />
        <span class="brand">Tickwire</span>
      </span>
      {simulated.value && (
        <span class="badge warn" title="The prices of this server are made up">
          Simulated<span class="wide"> data</span>
        </span>
      )}
      {runningScenarios.value > 0 && (
        <button
          class="badge down"
          onClick={() => {
            statusTab.value = "sandbox";
            statusOpen.value = true;
          }}
        >
          {runningScenarios.value} {runningScenarios.value === 1 ? "scenario" : "scenarios"}
          <span class="wide">{runningScenarios.value === 1 ? " runs" : " run"}</span>
        </button>
      )}
      <span class="fill" />
      <Link />
      <button aria-label="Status and sandbox" onClick={() => (statusOpen.value = true)}>
        Status
      </button>
      <a class="wide" href="/docs">
        Docs
      </a>
      <button
        class="wide"
        aria-label={theme.value === "dark" ? "Light colours" : "Dark colours"}
        onClick={switchTheme}
      >
        {theme.value === "dark" ? "☀" : "☾"}
      </button>
      <button class="wide" aria-label="Keyboard" onClick={() => (helpOpen.value = true)}>
        ?
      </button>
      {signedIn.value !== null && <button onClick={() => signOut("You have signed out.")}>Sign out</button>}
    </header>
  );
}

/** The state of the way, for eyes as a dot with figures, for ears when it changes. */
function Link() {
  const state = linkState.value;
  const worst = [...sources.value.values()].find((source) => source.status !== "up");
  return (
    <span class="link" data-state={worst !== undefined && state === "open" ? "troubled" : state}>
      <span role="status">
        {STATES[state]}
        {worst !== undefined && state === "open" && `, ${worst.source} is ${worst.status}`}
      </span>
      <Figures />
    </span>
  );
}

function Figures() {
  const latencies = Object.values(sockets).flatMap((socket) => socket.latency.value ?? []);
  return (
    <span class="figure soft wide" title="The answer to a heartbeat; trades and books that came in the last second">
      {latencies.length > 0 && `${Math.max(...latencies).toFixed(0)} ms`} {ticksPerSecond.value}/s
    </span>
  );
}

function Mark() {
  return (
    <svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M8 9v14M16 6v20M24 10v12" stroke="var(--soft)" stroke-width="2" stroke-linecap="round" />
      <path d="M8 13v6" stroke="var(--down)" stroke-width="5" stroke-linecap="round" />
      <path d="M16 11v9M24 13v5" stroke="var(--up)" stroke-width="5" stroke-linecap="round" />
    </svg>
  );
}
