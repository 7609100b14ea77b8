import { Button, Modal, Textarea } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { Trouble } from "./Trouble";
import { useChange } from "./useChange";

interface Props {
  title: string;
  /** What the words are. */
  label: string;
  button: string;
  /** The most that the gateway takes of them, in bytes. */
  bytesMax: number;
  /** Nothing is done without words. */
  needed?: boolean;
  /** It takes something away. */
  deny?: boolean;
  change: (words: string) => Promise<unknown>;
  /** What is asked for again after it. */
  concerns: readonly unknown[];
  onClose: () => void;
  /** What will happen. */
  children: ReactNode;
}

/** Does something once it was said why. */
export function WordsDialog({
  title,
  label,
  button,
  bytesMax,
  needed,
  deny,
  change,
  concerns,
  onClose,
  children,
}: Props) {
  const [words, setWords] = useState("");
  const { run, pending, error } = useChange(() => change(words), concerns, onClose);
  const long = new TextEncoder().encode(words).length > bytesMax;
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ "aria-label": "Close" }}>
      <div className="dialog">
        {children}
        <Textarea
          label={label}
          value={words}
          onChange={(event) => setWords(event.currentTarget.value)}
          error={long ? `At most ${bytesMax.toLocaleString("en")} bytes` : undefined}
          autosize
          minRows={2}
          maxRows={8}
          data-autofocus
        />
        {error && <Trouble error={error} />}
        <div className="acts">
          <Button variant="default" onClick={onClose}>
            Back
          </Button>
          <Button
            color={deny ? "deny" : undefined}
            loading={pending}
            disabled={long || (needed && words.trim() === "")}
            onClick={run}
          >
            {button}
          </Button>
        </div>
      </div>
    </Modal>
  );
}
