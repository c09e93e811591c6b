/** The drawer with the state of the way to the server, of its sources, and the sandbox. */

import "../style/status.css";

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { span } from "../market/clock.ts";
import { linkState, now, simulated, sockets, sources, ticksPerSecond } from "../market/desk.ts";
import { runningScenarios } from "../market/scenarios.ts";
import type { Family } from "../protocol/api.ts";
import type { StatusData } from "../protocol/messages.ts";
import type { LinkState } from "../protocol/socket.ts";
import { switchTheme, theme } from "../settings.ts";
import { Gaps } from "./Gaps.tsx";
import { Sandbox } from "./Sandbox.tsx";

type Tab = "status" | "sandbox";

export const statusOpen = signal(false);
/** What the drawer shows. */
export const statusTab = signal<Tab>("status");

const TABS: readonly (readonly [Tab, string])[] = [
  ["status", "Status"],
  ["sandbox", "Sandbox"],
];
const FAMILIES: readonly (readonly [Family, string])[] = [
  ["other", "All but stocks"],
  ["stock", "Stocks"],
];
const STATES: Record<LinkState, string> = {
  idle: "not used",
  connecting: "connecting",
  open: "open",
  waiting: "lost, dials again",
};
/** Below this width the drawer covers the page, and takes the keyboard for itself. */
const COVERS = "(max-width: 700px)";

export function Status() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = statusOpen.value;
  useEffect(() => {
    const drawer = dialog.current;
    if (!open || drawer === null) return;
    if (matchMedia(COVERS).matches) drawer.showModal();
    else drawer.show();
    const pressed = (event: KeyboardEvent) => {
      if (!escapes(event)) return;
      event.preventDefault();
      drawer.close();
    };
    document.addEventListener("keydown", pressed);
    return () => {
      document.removeEventListener("keydown", pressed);
      drawer.close();
    };
  }, [open]);
  return (
    <dialog ref={dialog} class="status" aria-label="Status and sandbox" onClose={() => (statusOpen.value = false)}>
      {open && <Drawer onClose={() => dialog.current?.close()} />}
    </dialog>
  );
}

/** Escape closes the drawer wherever the keyboard is, unless something above it takes the key. */
function escapes(event: KeyboardEvent): boolean {
  return event.key === "Escape" && !event.defaultPrevented && document.querySelector("dialog:modal") === null;
}

/** Closing goes through the element, which gives the focus back while what had it is still there. */
function Drawer({ onClose }: { readonly onClose: () => void }) {
  const tab = statusTab.value;
  return (
    <>
      <header>
        <div role="tablist" aria-label="Status and sandbox" onKeyDown={turned}>
          {TABS.map(([name, label]) => (
            <button
              key={name}
              id={`tab-${name}`}
              role="tab"
              aria-selected={tab === name}
              aria-controls="drawer"
              tabIndex={tab === name ? 0 : -1}
              onClick={() => (statusTab.value = name)}
            >
              {label}
              {name === "sandbox" && runningScenarios.value > 0 && ` (${runningScenarios.value})`}
            </button>
          ))}
        </div>
        <button aria-label="Close" title="Close (Esc)" onClick={onClose}>
          ×
        </button>
      </header>
      <div id="drawer" class="drawer" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "status" ? <Health /> : <Sandbox />}
      </div>
    </>
  );
}

function turned(event: KeyboardEvent): void {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  event.preventDefault();
  statusTab.value = statusTab.peek() === "status" ? "sandbox" : "status";
  requestAnimationFrame(() => document.getElementById(`tab-${statusTab.peek()}`)?.focus());
}

function Health() {
  return (
    <>
      <Connections />
      <Sources />
      <Gaps />
      <section aria-label="Documents">
        <h3>Documents</h3>
        <ul class="links">
          <li>
            <a href="/docs">Manual</a>
          </li>
          <li>
            <a href="/openapi.json">OpenAPI</a>
          </li>
          <li>
            <a href="/asyncapi.json">AsyncAPI</a>
          </li>
        </ul>
      </section>
      <section aria-label="Colours">
        <button onClick={switchTheme}>
          {theme.value === "dark" ? "Light colours" : "Dark colours"}
        </button>
      </section>
      <footer class="soft">
        {simulated.value && <p class="warn">Simulated data: prices are made up.</p>}
        <p>Not affiliated with AllTick. A vendor's terms on redistribution bind whoever relays its data.</p>
      </footer>
    </>
  );
}

function Connections() {
  return (
    <section aria-label="Connections">
      <header>
        <h3>Connections</h3>
        <Pace />
      </header>
      <table>
        <thead>
          <tr>
            <th scope="col">Of</th>
            <th scope="col">State</th>
            <th scope="col">Latency</th>
            <th scope="col">Reconnects</th>
          </tr>
        </thead>
        <tbody>
          {FAMILIES.map(([family, label]) => (
            <Connection key={family} family={family} label={label} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Pace() {
  return <span class="figure soft">{ticksPerSecond.value} ticks/s</span>;
}

function Connection({ family, label }: { family: Family; label: string }) {
  const { state, latency, reconnects } = sockets[family];
  return (
    <tr>
      <th scope="row">{label}</th>
      <td>
        <span class="health" data-health={state.value}>
          {STATES[state.value]}
        </span>
      </td>
      <td class="figure">{latency.value === null ? "–" : `${latency.value.toFixed(1)} ms`}</td>
      <td class="figure">{reconnects}</td>
    </tr>
  );
}

function Sources() {
  const all = [...sources.value.values()];
  const heard = linkState.value === "open";
  return (
    <section aria-label="Sources">
      <header>
        <h3>Sources</h3>
        {!heard && all.length > 0 && <span class="soft">as last heard</span>}
      </header>
      {all.length === 0 && <p class="soft">Nothing is heard of them yet.</p>}
      <ul class="sources">
        {all.map((source) => (
          <Source key={source.source} source={source} />
        ))}
      </ul>
    </section>
  );
}

/** A status is dated by the server's clock, which is not the market's where a replay lives in the past. */
function Source({ source }: { source: StatusData }) {
  void now.value; // each second
  return (
    <li>
      <b>{source.source}</b>
      {source.simulated === 1 && <span class="badge warn">simulated</span>}
      <span class="health" data-health={source.status}>
        {source.status} <small class="figure soft">for {span(Date.now() - source.since)}</small>
      </span>
      {source.reason !== "" && <small class="reason">{source.reason}</small>}
    </li>
  );
}
