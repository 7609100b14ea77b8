import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";

/** A change that is sent once until there is an answer, however often it is pressed; then what it concerns is asked for
 * again. */
export function useChange(change: () => Promise<unknown>, concerns: readonly unknown[], done: () => void) {
  const client = useQueryClient();
  const under = useRef(false);
  const mutation = useMutation({
    mutationFn: change,
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: concerns });
      done();
    },
    onSettled: () => {
      under.current = false;
    },
  });
  const run = () => {
    if (under.current) return;
    under.current = true;
    mutation.mutate();
  };
  return { run, pending: mutation.isPending, error: mutation.error };
}
