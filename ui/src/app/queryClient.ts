import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "../api/client";
import { setLive } from "../api/live";

/** Answers that will not change by asking again. */
const FINAL = new Set([400, 401, 403, 404, 405, 409]);

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      retry: (count, error) => count < 2 && !(error instanceof ApiError && FINAL.has(error.status)),
    },
    mutations: { retry: false },
  },
});

queryClient.getQueryCache().subscribe((event) => {
  if (event.type !== "updated" || (event.action.type !== "failed" && event.action.type !== "error")) return;
  if (!(event.action.error instanceof ApiError)) return;
  if (event.action.error.status === 0) setLive("lost");
  // The session ended: the shell asks who one is, hears the same, and shows the way in.
  if (event.action.error.status === 401 && event.query.queryKey[0] !== "whoami") {
    void queryClient.invalidateQueries({ queryKey: ["whoami"] });
  }
});
