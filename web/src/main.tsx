import "./style/theme.css";
import "./style/layout.css";

import { render } from "preact";

import { begin } from "./market/desk.ts";
import { App } from "./view/App.tsx";

const root = document.getElementById("app");
if (root !== null) render(<App />, root);
void begin();
