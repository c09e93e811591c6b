import { defineConfig } from "vite";

/** Where `npm run dev` finds a running server. */
const SERVER = "http://127.0.0.1:8600";
const PATHS = ["/quote-b-api", "/quote-stock-b-api", "/v1", "/admin", "/readyz"];
const SOCKETS = ["/quote-b-ws-api", "/quote-stock-b-ws-api"];

export default defineConfig({
  build: {
    outDir: "../src/tickwire/server/web",
    emptyOutDir: true,
    target: "es2022",
    // What is committed is compared with a fresh build, so it must be the same everywhere.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 600,
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries([
      ...PATHS.map((path) => [path, SERVER]),
      ...SOCKETS.map((path) => [path, { target: SERVER, ws: true }]),
    ]),
  },
});
