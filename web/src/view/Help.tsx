/** The list of keys. */

import "../style/help.css";

import { useEffect, useRef } from "preact/hooks";

import { helpOpen, KEYS, PART_KEYS } from "./keys.ts";

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  const rows = [...KEYS.map((key) => [key.shown, key.does] as const), ...PART_KEYS];
  return (
    <dialog ref={dialog} class="help" aria-label="Keyboard" onClose={() => (helpOpen.value = false)}>
      <header>
        <h2>Keyboard</h2>
        <button onClick={() => (helpOpen.value = false)}>Close</button>
      </header>
      <dl>
        {rows.map(([shown, does]) => (
          <div key={shown}>
            <dt>{shown}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  );
}
