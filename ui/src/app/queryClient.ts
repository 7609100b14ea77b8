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
  if (event.type !== "updated" || event.action.type !== "failed") return;
  if (event.action.error instanceof ApiError && event.action.error.status === 0) setLive("lost");
});
