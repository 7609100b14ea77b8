import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The development server hands the API to a gateway and adds a token, because it cannot sign in:
// KEYWARD_SERVER=http://127.0.0.1:8701 KEYWARD_TOKEN=… npm run dev
const gateway = process.env.KEYWARD_SERVER ?? "http://127.0.0.1:8701";
const token = process.env.KEYWARD_TOKEN;
const headers = token ? { authorization: `Bearer ${token}` } : undefined;
const proxied = { target: gateway, headers };

export default defineConfig({
  plugins: [react()],
  // Assets are found from the page's <base>, which the gateway sets, so that any path prefix works.
  base: "./",
  build: {
    target: "es2023",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 900,
  },
  server: { host: "127.0.0.1", proxy: { "/api": proxied, "/auth": proxied, "/readyz": proxied, "/healthz": proxied } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
