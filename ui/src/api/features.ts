// What this gateway's API has, from its own description: older and newer gateways are served by the same pages.
import { useQuery } from "@tanstack/react-query";
import { get } from "./client";

const document = {
  queryKey: ["openapi"],
  queryFn: () => get<{ paths: Record<string, unknown> }>("api/v1/openapi.json"),
  staleTime: Number.POSITIVE_INFINITY,
};

/** Whether the API has this path, as its description writes it. */
export function useFeature(path: string): boolean {
  const { data } = useQuery(document);
  return data !== undefined && path in data.paths;
}
