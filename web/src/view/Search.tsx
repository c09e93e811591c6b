/** The search of the catalogue: by code, other names of it, and its names in English and Chinese. */

import { useEffect, useRef, useState } from "preact/hooks";

import { catalogue, unwatch, watch, watched } from "../market/desk.ts";
import type { InstrumentInfo } from "../protocol/messages.ts";
import { pane, selected } from "../settings.ts";
import { searchAsked } from "./keys.ts";

const MOST = 40;

export function Search() {
  const [text, setText] = useState("");
  const [place, setPlace] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const asked = searchAsked.value;
  useEffect(() => {
    if (asked > 0) {
      pane.value = "list";
      input.current?.focus();
      input.current?.select();
    }
  }, [asked]);
  const found = text.trim() === "" ? [] : search(text);
  const close = () => {
    setText("");
    setPlace(0);
  };
  const pick = (one: InstrumentInfo) => {
    watch(one.code);
    selected.value = one.code;
    close();
    input.current?.blur();
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setPlace(Math.min(place + 1, found.length - 1));
    else if (event.key === "ArrowUp") setPlace(Math.max(place - 1, 0));
    else if (event.key === "Escape") {
      close();
      input.current?.blur();
    } else if (event.key === "Enter") {
      const one = found[place];
      if (one !== undefined) pick(one);
    } else return;
    event.preventDefault();
  };
  return (
    <div
      class="search"
      onFocusOut={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) close();
      }}
    >
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label="Search the catalogue"
        aria-expanded={text !== ""}
        aria-controls="found"
        aria-activedescendant={found.length > 0 ? `found-${place}` : undefined}
        placeholder={`Search ${catalogue.value.size} instruments   /`}
        value={text}
        spellcheck={false}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setPlace(0);
        }}
        onKeyDown={pressed}
      />
      {text.trim() !== "" && (
        <ul
          id="found"
          role="listbox"
          aria-label="Instruments found"
          onMouseDown={(event) => event.preventDefault() /* the field keeps the focus, and the list its place */}
        >
          {found.length === 0 && <li class="soft empty">Nothing in the catalogue holds this text.</li>}
          {found.map((one, at) => (
            <Found key={one.code} instrument={one} id={`found-${at}`} chosen={at === place} onPick={() => pick(one)} />
          ))}
        </ul>
      )}
    </div>
  );
}

interface FoundProps {
  readonly instrument: InstrumentInfo;
  readonly id: string;
  readonly chosen: boolean;
  readonly onPick: () => void;
}

function Found({ instrument, id, chosen, onPick }: FoundProps) {
  const { code } = instrument;
  const item = useRef<HTMLLIElement>(null);
  const isWatched = watched.value.includes(code);
  useEffect(() => {
    if (chosen) item.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  return (
    <li ref={item} id={id} role="option" aria-selected={chosen} onClick={onPick}>
      <span class="code">
        <b>{code}</b>
        <small class="soft">{[instrument.name_en, instrument.name_cn].filter(Boolean).join(" · ")}</small>
      </span>
      <small class="soft">{instrument.market}</small>
      <button
        tabIndex={-1}
        aria-label={isWatched ? `Remove ${code} from the list` : `Add ${code} to the list`}
        onClick={(event) => {
          event.stopPropagation();
          if (isWatched) unwatch(code);
          else watch(code);
        }}
      >
        {isWatched ? "−" : "+"}
      </button>
    </li>
  );
}

/** Codes that begin with the text first, then those that hold it, then names. */
function search(text: string): InstrumentInfo[] {
  const wanted = text.trim().toLocaleLowerCase();
  const ranks = new Map<InstrumentInfo, number>();
  for (const one of catalogue.peek().values()) {
    const codes = [one.code, ...one.aliases].map((code) => code.toLocaleLowerCase());
    const names = [one.name_en, one.name_cn, one.name_hk].map((name) => name.toLocaleLowerCase());
    if (codes.includes(wanted)) ranks.set(one, 0);
    else if (codes.some((code) => code.startsWith(wanted))) ranks.set(one, 1);
    else if (names.some((name) => name.startsWith(wanted))) ranks.set(one, 2);
    else if ([...codes, ...names].some((name) => name.includes(wanted))) ranks.set(one, 3);
  }
  return [...ranks]
    .sort(([, a], [, b]) => a - b)
    .slice(0, MOST)
    .map(([one]) => one);
}
